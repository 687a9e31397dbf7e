//! The slow consumer: one client among fifty that does not read, and a server in
//! JavaScript that goes on sending to it.

use std::process::Command;

use tests::{Memtrace, Program, build, needs_program, needs_tracing, node, programs_dir};
use tracer::model::trace_sockets::{Probes, Queue};

use super::{alone, assert_near, settled, share, sockets_of};

const CLIENTS: u64 = 50;
const ROUNDS: u64 = 250;
const PIECE: u64 = 32_768;
const STALLED: &str = "127.0.0.66";

/// The stalled peer is named in the report and on the screen, with the handler that
/// sends to it, what the kernel holds for it and what the process itself has queued.
fn slow_consumer(mut node: Command) {
    let script = programs_dir().join("slow_consumer.js");
    let mut server = Program::ready_as(node.arg(script).arg(STALLED));
    let mut client = Program::ready_as(&mut Command::new(build("sockets")));
    let port = server.ask("port").value("port");
    client.ask(&format!("connect 1 {port} 1 66 0"));
    client.ask(&format!("connect 2 {port} {} 1 0", CLIENTS - 1));
    let memtrace = Memtrace::attach(server.pid(), &[]);
    client.talk.say(&format!("receive 2 {}", ROUNDS * PIECE));
    let backlog = server
        .ask(&format!("push {ROUNDS} {CLIENTS}"))
        .value("backlog");
    assert_eq!(
        client.talk.truth().value("received"),
        (CLIENTS - 1) * ROUNDS * PIECE
    );
    let kernel: u64 = (settled(server.pid(), port).values())
        .filter(|seen| seen.local.map(|it| u64::from(it.port())) == Some(port))
        .map(|seen| seen.memory.send_bytes)
        .sum();
    let finished = memtrace.end();
    let report = finished.report();
    let sockets = sockets_of(&report);
    assert_ne!(sockets.probes, Probes::None, "{:?}", sockets.notes);

    // All of it is one peer's, by one handler.
    let end = sockets.timeline.last().unwrap();
    assert_eq!((end.connections, end.stalled), (CLIENTS, 1));
    assert_near(end.send_bytes, kernel, 2, "kernel memory");
    let (sent, by_handler) = share(sockets, Queue::Send, "pushUpdates");
    assert!(
        by_handler * 100 >= sent * 95,
        "{by_handler} of {sent}: {:#?}",
        sockets.sites
    );
    // However many stacks wrote to it, it is one socket.
    for site in sockets.sites.iter().filter(|it| it.queue == Queue::Send) {
        assert_eq!((site.sockets, site.peers.len()), (1, 1), "{site:?}");
        let peer = &site.peers[0];
        assert!(peer.address.starts_with(&format!("{STALLED}:")), "{site:?}");
        assert_eq!((peer.sockets, peer.stalled), (1, 1), "{site:?}");
    }
    let worst = &sockets.last.peers[0];
    assert_eq!(
        (worst.address.to_string().as_str(), worst.stalled),
        (STALLED, 1)
    );
    assert!(worst.sums.send_bytes * 100 >= kernel * 95);

    // The other part of what it was sent is the process's own.
    let queued = ROUNDS * PIECE;
    let payload: u64 = sockets.last.sums.not_sent_bytes;
    assert!(
        backlog > 0 && backlog + payload <= queued,
        "{backlog} and {payload}"
    );
    assert!(end.live_bytes >= backlog, "{} of {backlog}", end.live_bytes);

    // Kernel memory and the process's own side by side, in a few lines.
    let text = &finished.stdout;
    let (_, text) = text
        .split_once("In the kernel's queues of sockets")
        .unwrap();
    for words in [
        "send queues",
        "live in the processes' own heaps",
        "1 peer does not read",
        STALLED,
        "pushUpdates",
    ] {
        assert!(text.contains(words), "no {words:?}: {text}");
    }
    let picture = String::from_utf8(finished.file("sockets.svg")).unwrap();
    assert!(picture.contains("pushUpdates") && picture.contains(STALLED));
}

/// On the node that is installed.
#[test]
fn on_installed_node() {
    needs_tracing!();
    needs_program!("node");
    let _alone = alone();
    slow_consumer(Command::new("node"));
}

/// On the newest node of long-term support.
#[test]
fn on_node_24() {
    needs_tracing!();
    let _alone = alone();
    let Some(node) = node(24) else {
        let prebuilt = std::env::var_os("MEMTRACE_PREBUILT").is_some();
        assert!(prebuilt, "no node 24");
        return;
    };
    slow_consumer(Command::new(node));
}
