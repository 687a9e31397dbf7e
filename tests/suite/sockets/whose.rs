//! Whose the bytes are: of processes that are in every situation at once, and of
//! listeners that share a port.

use std::process::Command;

use tests::{Memtrace, Program, build, needs_tracing};
use tracer::model::trace_sockets::{Call, Probes, Queue};

use super::{
    BACKLOG, Held, Scene, alone, assert_near, has_frame, look, of_process, share, sockets_of,
};

/// Fills every kind of queue of a scene, in part before a trace of its server.
fn fill_before(scene: &mut Scene) {
    scene.connect(1, 100, 1, 0);
    scene.connect(2, 4, 7, 0);
    scene.connect(3, 4, 8, 0);
    scene.server.ask("flood 2");
}

fn fill_within(scene: &mut Scene) {
    scene.client.ask("write 1 60000 16384");
    // Connected before, closed within the window; and both within it.
    scene.server.ask("flood 3");
    scene.server.ask("close 3");
    scene.connect(4, 4, 9, 0);
    scene.server.ask("flood 4");
    scene.server.ask("close 4");
    scene.connect_only(5, 100, 1, 0);
    scene.client.ask("write 5 40000 1000");
    scene.settle();
}

/// Three pairs of processes in every situation at once: at least 98 hundredths of
/// what the traced one's connections hold, by `ss`, are told as its own, accept queue
/// and orphans that were born within the window included, and nothing of the others.
#[test]
fn every_situation_at_once() {
    needs_tracing!();
    let _alone = alone();
    let mut scenes = [Scene::new(), Scene::new(), Scene::new()];
    scenes.iter_mut().for_each(fill_before);
    let pid = scenes[1].server.pid();
    let memtrace = Memtrace::attach(pid, &[]);
    scenes.iter_mut().for_each(fill_within);
    let truth = Held::of(&scenes[1].at_server(&scenes[1].settle()));
    let finished = memtrace.end();
    let report = finished.report();
    let sockets = sockets_of(&report);
    assert_eq!((truth.waiting, truth.orphans), (100, 8));
    let process = of_process(&sockets.last, pid);
    let found = Held::of_sums(&process.sums);
    assert_near(found.total(), truth.total(), 2, "all");
    assert_near(found.receive, truth.receive, 2, "receive");
    assert_near(found.send, truth.send, 2, "send");
    assert_near(found.accept_queue, truth.accept_queue, 2, "accept queue");
    assert_near(found.orphan, truth.orphan, 2, "orphans");
    assert_eq!((found.waiting, found.orphans), (100, 8));
    assert_eq!(sockets.last.pids, [pid]);

    // What was written before nobody has seen; the rest has its stacks.
    assert_ne!(sockets.probes, Probes::None, "{:?}", sockets.notes);
    let (orphans, flooded) = share(sockets, Queue::Orphan, "flood");
    assert!(flooded * 100 >= orphans * 95, "{flooded} of {orphans}");
    let calls = sockets.sites.iter().filter(|it| it.queue == Queue::Orphan);
    assert!(calls.clone().all(|it| it.call == Call::Send));
    let (sent, flooded) = share(sockets, Queue::Send, "flood");
    assert!(
        flooded * 100 <= sent * 5,
        "{flooded} of {sent} before the trace"
    );
    let before = sockets
        .unattributed
        .iter()
        .find(|it| it.queue == Queue::Send);
    assert_eq!(
        before.map(|it| it.sockets),
        Some(4),
        "{:?}",
        sockets.unattributed
    );
    let picture = String::from_utf8(finished.file("sockets.svg")).unwrap();
    assert!(picture.contains("flood"));
}

/// Two processes listen at one port: what waits in the queue of each is its own.
#[test]
fn shared_port() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    let mut programs = [(); 2].map(|()| Program::ready_as(&mut Command::new(build("sockets"))));
    let port = programs[0]
        .ask(&format!("listen 1 0 {BACKLOG} 1"))
        .value("port");
    programs[1].ask(&format!("listen 1 {port} {BACKLOG} 1"));
    scene.port = port;
    scene.connect_only(1, 300, 1, 0);
    scene.client.ask("write 1 20000 1000");
    let (found, [seen, _]) = scene.quiet_look(&[]);
    let waiting = Held::of(&scene.at_server(&seen));
    assert_eq!(waiting.waiting, 300);
    let mut total = Held::default();
    for program in &mut programs {
        let sums = of_process(&found, program.pid()).sums;
        let accepted = program.ask("accept 2 1 0").value("accepted");
        assert!(accepted > 0, "the kernel gave it none");
        assert_eq!(sums.accept_queue, accepted);
        // They are all the same.
        let each = waiting.accept_queue / 300;
        assert_near(sums.accept_queue_bytes, accepted * each, 1, "queue");
        total.accept_queue += sums.accept_queue_bytes;
        total.waiting += sums.accept_queue;
    }
    assert_eq!(total.waiting, 300);
    assert_eq!(total.accept_queue, waiting.accept_queue);
    // Accepted, they are open.
    let after = look(&[]);
    for program in &programs {
        assert_eq!(of_process(&after, program.pid()).sums.accept_queue, 0);
    }
}

/// Netlink does not tell in whose queue a connection waits: it is nobody's rather
/// than the wrong one's.
#[test]
fn shared_port_by_netlink() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    let mut programs = [(); 2].map(|()| Program::ready_as(&mut Command::new(build("sockets"))));
    let port = programs[0]
        .ask(&format!("listen 1 0 {BACKLOG} 1"))
        .value("port");
    programs[1].ask(&format!("listen 1 {port} {BACKLOG} 1"));
    scene.port = port;
    scene.connect_only(1, 50, 1, 0);
    scene.client.ask("write 1 20000 1000");
    let (found, [seen, _]) = scene.quiet_look(&["--sock-diag"]);
    let waiting = Held::of(&scene.at_server(&seen));
    let nobody = found.processes.iter().find(|it| it.pid.is_none());
    let nobody = nobody.map(|it| it.sums).unwrap_or_default();
    assert!(nobody.accept_queue >= 50, "{nobody:?}");
    assert!(nobody.accept_queue_bytes >= waiting.accept_queue);
    for program in &programs {
        assert_eq!(of_process(&found, program.pid()).sums.accept_queue, 0);
    }
}

/// Without looking at sockets there is nothing about them; without probes the bytes
/// are there, and no stacks.
#[test]
fn can_be_left_out() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 2, 7, 0);
    let memtrace = Memtrace::attach(scene.server.pid(), &["--no-sockets"]);
    scene.server.ask("flood 1");
    let finished = memtrace.end();
    assert_eq!(finished.report().sockets, None);
    let picture = String::from_utf8(finished.file("sockets.svg")).unwrap();
    assert!(picture.contains("--no-sockets"));

    let memtrace = Memtrace::attach(scene.server.pid(), &["--socket-probes", "none"]);
    let truth = Held::of(&scene.at_server(&scene.settle()));
    let report = memtrace.end().report();
    let sockets = sockets_of(&report);
    assert_eq!(sockets.probes, Probes::None);
    assert_eq!(sockets.last.sums.send_bytes, truth.send);
    assert!(!sockets.sites.iter().any(|site| has_frame(site, "flood")));
    assert_eq!(
        sockets.unattributed.iter().map(|it| it.bytes).sum::<u64>(),
        truth.total()
    );
}
