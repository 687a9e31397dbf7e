//! Whose stack a receive queue has: who should read, and whether anyone does.

use tests::{Memtrace, Program, needs_tracing};
use tracer::model::trace_sockets::{Call, Queue, Sockets};

use super::{Held, Scene, alone, assert_near, share, sockets_of};

/// All of the receive queues is one call's, with a function in its frames.
fn assert_receivers(sockets: &Sockets, call: Call, function: &str, truth: u64) {
    let (received, with) = share(sockets, Queue::Receive, function);
    assert_eq!(received, truth, "{function}");
    assert_near(with, truth, 1, function);
    for site in sockets.sites.iter().filter(|it| it.queue == Queue::Receive) {
        assert_eq!(site.call, call, "{site:?}");
    }
}

fn trace(scene: &mut Scene, is_server: bool, work: impl FnOnce(&mut Scene)) -> (Sockets, Held) {
    let traced: &Program = if is_server {
        &scene.server
    } else {
        &scene.client
    };
    let memtrace = Memtrace::attach(traced.pid(), &[]);
    work(scene);
    let seen = scene.settle();
    let at_server = scene.at_server(&seen);
    let truth = match is_server {
        true => Held::of(&at_server),
        false => Held::of(seen.values().filter(|it| !at_server.contains(it))),
    };
    let report = memtrace.end().report();
    (sockets_of(&report).clone(), truth)
}

/// Accepted and never read: it is the function that accepted.
#[test]
fn never_read() {
    needs_tracing!();
    let _alone = alone();
    let (sockets, truth) = trace(&mut Scene::new(), true, |scene| {
        scene.connect(1, 20, 1, 0);
        scene.client.ask("write 1 50000 10000");
    });
    assert_receivers(&sockets, Call::Accept, "accept_from", truth.receive);
}

/// Read once, and not again: it is the function that reads.
#[test]
fn read_before() {
    needs_tracing!();
    let _alone = alone();
    let (sockets, truth) = trace(&mut Scene::new(), true, |scene| {
        scene.connect(1, 20, 1, 0);
        scene.client.ask("write 1 50000 10000");
        scene.server.ask("receive 1 10000");
        scene.client.ask("write 1 20000 10000");
    });
    assert_receivers(&sockets, Call::Receive, "receive_from", truth.receive);
}

/// The end that connected and never read: it is the function that connected.
#[test]
fn never_read_by_who_connected() {
    needs_tracing!();
    let _alone = alone();
    let (sockets, truth) = trace(&mut Scene::new(), false, |scene| {
        scene.connect(1, 20, 1, 0);
        scene.server.ask("write 1 50000 10000");
    });
    assert_receivers(&sockets, Call::Connect, "connect_to", truth.receive);
}

/// Connections from before the trace that nobody reads within it: without a stack,
/// and that is said.
#[test]
fn older_than_the_trace() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 20, 1, 0);
    let (sockets, truth) = trace(&mut scene, true, |scene| {
        scene.client.ask("write 1 50000 10000");
    });
    let without = sockets
        .unattributed
        .iter()
        .filter(|it| it.queue == Queue::Receive);
    assert!(without.clone().all(|it| !it.why.is_empty()));
    assert_eq!(without.map(|it| it.bytes).sum::<u64>(), truth.receive);
    assert!(truth.receive >= 20 * 50_000);
}
