//! Whether anyone reads: how much a process has read of each connection, against what
//! the program itself counted and what `ss` says was received.

use std::collections::BTreeMap;

use tests::{Memtrace, needs_tracing, wait_until};
use tracer::model::{
    socket_look::Large,
    trace_sockets::{Queue, Reading, Sockets},
};

use super::{Scene, alone, sockets_of};

/// By the last number of the client's address, the one connection from there at the server.
fn by_end(scene: &Scene, arguments: &[&str]) -> BTreeMap<u8, Large> {
    let (look, [_, after]) = scene.quiet_look(arguments);
    let server = scene.at_server(&after);
    let mut found = BTreeMap::new();
    for large in look.largest {
        let Some(seen) = server.iter().find(|it| it.cookie == large.socket.cookie) else {
            continue;
        };
        // The kernel's own figures, by somebody else: the end of the stream is one byte of them.
        let tcp = large.socket.tcp.as_ref().unwrap();
        assert_eq!(
            tcp.read_bytes,
            Some(seen.bytes_received - seen.receive_queue),
            "{arguments:?}: {seen:?}"
        );
        assert_eq!(tcp.reads, None, "one look knows no time");
        let address = seen.peer.unwrap().ip().to_canonical().to_string();
        let end = address.rsplit('.').next().unwrap().parse().unwrap();
        found.insert(end, large);
    }
    found
}

/// Of connections that were never read, read in part, read to all but the end of the
/// stream, and not accepted, as much was read as the program counted, by both ways to
/// look; and each is told in words.
#[test]
fn as_much_as_the_program_read() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    for end in 1..=3 {
        scene.connect(end, 1, end, 0);
    }
    scene.connect_only(4, 1, 4, 0);
    for end in 1..=4 {
        scene.client.ask(&format!("write {end} 60000 10000"));
    }
    let read = scene.server.ask("receive 2 24321").value("received");
    scene.client.ask("end 3");
    let ended = scene.server.ask("receive 3 59999").value("received");
    assert_eq!((read, ended), (24_321, 59_999));
    wait_until("the end has come", || {
        let seen = scene.at_server(&scene.settle());
        let is_ended = |state: &str| state == "CLOSE-WAIT";
        seen.iter()
            .any(|it| is_ended(&it.state) && it.receive_queue == 2)
    });
    for arguments in [&[][..], &["--sock-diag"]] {
        let found = by_end(&scene, arguments);
        let read_of = |end| found[&end].socket.tcp.unwrap().read_bytes;
        assert_eq!(read_of(1), Some(0), "{arguments:?}");
        assert_eq!(read_of(2), Some(read), "{arguments:?}");
        assert_eq!(read_of(3), Some(ended), "{arguments:?}");
        assert_eq!(read_of(4), Some(0), "{arguments:?}");
        let pid = scene.server.pid().to_string();
        let mut command = tests::memtrace();
        let command = command.args(["sockets", "-p", &pid]).args(arguments);
        let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
        for words in [
            "the process has never read from it",
            "not read yet; 23.8 KiB were read before",
            "nobody has accepted it yet",
        ] {
            assert!(text.contains(words), "no {words:?}: {text}");
        }
    }
}

/// The end of a stream, once read, is no byte more. So much is sent the other way that
/// the connection is told of.
#[test]
fn an_end_is_no_byte() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 1, 1, 0);
    scene.client.ask("write 1 50000 10000");
    scene.client.ask("end 1");
    let read = scene.server.ask("drain 1").value("received");
    assert_eq!(read, 50_000);
    scene.server.ask("flood 1");
    scene.settle();
    for arguments in [&[][..], &["--sock-diag"]] {
        let (look, [_, after]) = scene.quiet_look(arguments);
        let [server] = &scene.at_server(&after)[..] else {
            panic!("{after:?}");
        };
        assert_eq!(server.bytes_received, read + 1, "{server:?}");
        for large in (look.largest.iter()).filter(|it| after.contains_key(&it.socket.cookie)) {
            let is_server = large.socket.cookie == server.cookie;
            let expected = if is_server { read } else { 0 };
            let read_bytes = large.socket.tcp.unwrap().read_bytes;
            assert_eq!(read_bytes, Some(expected), "{arguments:?}: {large:?}");
        }
        let is_told = look
            .largest
            .iter()
            .any(|it| it.socket.cookie == server.cookie);
        assert!(is_told, "{arguments:?}: {:?}", look.largest);
    }
}

fn reading(sockets: &Sockets) -> Reading {
    let sites = sockets.sites.iter().filter(|it| it.queue == Queue::Receive);
    let without = (sockets.unattributed.iter()).filter(|it| it.queue == Queue::Receive);
    let all = (sites.filter_map(|it| it.reading)).chain(without.filter_map(|it| it.reading));
    all.fold(Reading::default(), Reading::and)
}

/// In a trace it is told which queues were never read, which not since an earlier look,
/// and which are read and yet not empty; no longer than looks have seen it.
#[test]
fn told_by_a_trace() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    // So many that the trace has more to say than one line.
    scene.connect(1, 10, 1, 0);
    scene.connect(2, 2, 2, 0);
    scene.connect(3, 1, 3, 0);
    for group in 1..=3 {
        scene.client.ask(&format!("write {group} 400000 50000"));
    }
    scene.server.ask("receive 2 10000");
    let began = std::time::Instant::now();
    let memtrace = Memtrace::attach(scene.server.pid(), &[]);
    // So slowly that something is left at each look.
    let mut read = 0;
    while began.elapsed().as_secs() < 6 {
        read += scene.server.ask("receive 3 10").value("received");
        scene.client.ask("write 3 10 10");
    }
    let finished = memtrace.end();
    let report = finished.report();
    let lasted = began.elapsed().as_millis() as u64;
    let sockets = sockets_of(&report);
    assert!(sockets.timeline.len() > 2, "{:?}", sockets.timeline);
    let all = reading(sockets);
    assert_eq!((all.never, all.not_lately, all.read), (10, 2, 1), "{all:?}");
    assert_eq!((all.unknown, all.sockets()), (0, 13));
    assert!((1_000..=lasted).contains(&all.not_for_ms), "{all:?}");
    assert!(
        all.read_bytes > 0 && all.read_bytes <= read,
        "{all:?}, {read}"
    );
    for large in &sockets.last.largest {
        let Some(tcp) = large.socket.tcp.filter(|it| it.receive_queue > 0) else {
            continue;
        };
        let end = large.socket.peer.unwrap().ip().to_canonical().to_string();
        let expected = match end.as_str() {
            "127.0.0.1" => 0,
            "127.0.0.2" => 10_000,
            _ => read,
        };
        assert_eq!(tcp.read_bytes, Some(expected), "{large:?}");
    }
    let text = &finished.stdout;
    let picture = String::from_utf8(finished.file("sockets.svg")).unwrap();
    for words in [
        "never read",
        "with no byte read for at least",
        "still read, ",
    ] {
        assert!(text.contains(words), "no {words:?}: {text}");
        assert!(picture.contains(words), "no {words:?} in the picture");
    }
}
