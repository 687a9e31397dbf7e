//! By whose doing: which of a server's functions sent what its peers do not read.

use tests::{Memtrace, needs_tracing};
use tracer::model::trace_sockets::{Call, Queue};

use super::{Scene, alone, assert_near, share, sockets_of};

/// Two handlers, of which one floods a peer that does not read, while the other
/// answers those that do, and has said something to the stalled one too: 95
/// hundredths of what is queued are the first one's, and the peer is named.
#[test]
fn flooding_handler() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 1, 77, 0);
    scene.connect(2, 20, 1, 0);
    let memtrace = Memtrace::attach(scene.server.pid(), &[]);
    scene.talk(2, 50);
    scene.server.ask("answer 1");
    let flooded = scene.server.ask("flood 1").value("written");
    scene.talk(2, 50);
    let seen = scene.settle();
    let report = memtrace.end().report();
    let sockets = sockets_of(&report);
    let truth: u64 = scene
        .at_server(&seen)
        .iter()
        .map(|it| it.memory.send_bytes)
        .sum();
    let (sent, by_flood) = share(sockets, Queue::Send, "flood");
    assert_near(sent, truth, 1, "send queues");
    assert!(
        by_flood * 100 >= sent * 95,
        "{by_flood} of {sent}: {:#?}",
        sockets.sites
    );
    assert!(flooded > 1_000_000, "{flooded}");

    let largest = sockets.sites.iter().max_by_key(|site| site.bytes).unwrap();
    assert_eq!((largest.queue, largest.call), (Queue::Send, Call::Send));
    assert!(
        largest.peers[0].address.starts_with("127.0.0.77"),
        "{largest:?}"
    );
    assert_eq!((largest.peers[0].sockets, largest.peers[0].stalled), (1, 1));
    // The first that called the system call's function.
    assert_eq!(largest.frames[0].function.as_deref(), Some("flood"));
    let peers = &sockets.last.peers;
    let named = peers
        .iter()
        .find(|it| it.address.to_string() == "127.0.0.77");
    assert_eq!(named.map(|it| it.stalled), Some(1), "{peers:?}");
    let end = sockets.timeline.last().unwrap();
    assert_eq!((end.stalled, end.connections), (1, 21));
}

/// What was written and taken by the peer is nobody's any more, even when another
/// handler's bytes follow on the same connection.
#[test]
fn bytes_that_were_taken_are_gone() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 10, 1, 0);
    let memtrace = Memtrace::attach(scene.server.pid(), &[]);
    // By one function, and read; then by the other, and not read.
    for _ in 0..100 {
        assert_eq!(
            scene.server.ask("write 1 20000 10000").value("written"),
            200_000
        );
        scene.client.ask("receive 1 20000");
    }
    scene.server.ask("flood 1");
    scene.settle();
    let report = memtrace.end().report();
    let sockets = sockets_of(&report);
    let (sent, by_flood) = share(sockets, Queue::Send, "flood");
    assert!(
        by_flood * 100 >= sent * 99,
        "{by_flood} of {sent}: {:#?}",
        sockets.sites
    );
    let (_, by_write) = share(sockets, Queue::Send, "write_to");
    assert_eq!(by_write, 0);
}
