//! Sockets of another network namespace, as containers have them.

use std::{os::unix::fs::MetadataExt as _, process::Command};

use tests::{Memtrace, Program, build, needs_tracing};
use tracer::model::trace_sockets::Queue;

use super::{Held, Scene, alone, look, of_process, share, sockets_of};

/// A server and its client in a network namespace of their own.
fn elsewhere() -> Scene {
    let program = build("sockets");
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\""]);
    let server = Program::ready_as(command.arg(&program));
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{}/ns/net", server.pid()));
    let client = Program::ready_as(command.arg(&program));
    Scene::of(server, client)
}

/// They are seen and counted beside the host's own, with the namespace they are in,
/// also where two namespaces have a listener at the same port.
#[test]
fn sockets_elsewhere_are_seen() {
    needs_tracing!();
    let _alone = alone();
    let mut here = Scene::new();
    let mut there = elsewhere();
    there.port = (there.server.ask(&format!("listen 8 {} 100", here.port))).value("port");
    assert_eq!(here.port, there.port);
    for (scene, count) in [(&mut here, 10), (&mut there, 20)] {
        let listeners = if count == 20 { 8 } else { 0 };
        scene.connect_only(1, count, 1, 0);
        scene.server.ask(&format!("accept 1 {listeners} {count}"));
        scene.connect_only(2, count, 1, 0);
        scene.client.ask("write 1 60000 10000");
        scene.client.ask("write 2 60000 10000");
        scene.settle();
    }
    for arguments in [&[][..], &["--sock-diag"]] {
        for scene in [&here, &there] {
            let (look, [seen, _]) = scene.quiet_look(arguments);
            let truth = Held::of(&scene.at_server(&seen));
            assert!(truth.receive > 0 && truth.waiting > 0, "{truth:?}");
            let pid = scene.server.pid();
            let found = of_process(&look, pid).sums;
            assert_eq!(Held::of_sums(&found), truth, "{arguments:?}");
            let namespace = std::fs::metadata(format!("/proc/{pid}/ns/net"))
                .unwrap()
                .ino();
            let its = look.largest.iter().filter(|it| it.pid == Some(pid));
            for large in its {
                assert_eq!(u64::from(large.socket.namespace), namespace, "{large:?}");
            }
        }
        let pid = there.server.pid().to_string();
        let only = look(&[&["-p", &pid], arguments].concat());
        assert!(
            only.largest.len() == 20,
            "{arguments:?}: {:?}",
            only.largest
        );
    }
}

/// A trace of a process there has its sockets, and their stacks.
#[test]
fn trace_elsewhere() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = elsewhere();
    scene.connect(1, 3, 7, 0);
    let memtrace = Memtrace::attach(scene.server.pid(), &[]);
    scene.server.ask("flood 1");
    let truth = Held::of(&scene.at_server(&scene.settle()));
    let report = memtrace.end().report();
    let sockets = sockets_of(&report);
    assert_eq!(Held::of_sums(&sockets.last.sums), truth);
    let (sent, by_flood) = share(sockets, Queue::Send, "flood");
    assert!(by_flood * 100 >= sent * 95, "{by_flood} of {sent}");
}
