//! Each of the largest sockets, against `ss`.

use std::collections::BTreeMap;

use tests::{needs_tracing, ss::Seen};
use tracer::model::{
    socket_look::{Cause, Large},
    sockets::{Place, State},
};

use super::{Scene, alone, look};

/// Every figure that both have: at rest the same, and what grows between its values
/// before and after.
fn assert_as_ss_says(large: &Large, [before, after]: [&Seen; 2]) {
    let (ours, theirs) = (&large.socket, after);
    let tcp = ours.tcp.as_ref().unwrap();
    assert_eq!(ours.memory, theirs.memory, "{ours:?}");
    assert_eq!((ours.local, ours.peer), (theirs.local, theirs.peer));
    assert_eq!(ours.inode, theirs.inode, "{ours:?}");
    for (name, our, their) in [
        ("Recv-Q", tcp.receive_queue, theirs.receive_queue),
        ("Send-Q", tcp.send_queue, theirs.send_queue),
        ("notsent", tcp.not_sent, theirs.not_sent),
        (
            "cwnd",
            tcp.congestion_window.into(),
            theirs.congestion_window,
        ),
        ("mss", tcp.segment_bytes.into(), theirs.segment_bytes),
        ("snd_wnd", tcp.peer_window, theirs.peer_window),
    ] {
        assert_eq!(our, their, "{name}: {ours:?}");
    }
    for (name, our, low, high) in [
        (
            "rwnd_limited",
            tcp.receiver_limited_ms,
            before.receiver_limited_ms,
            after.receiver_limited_ms,
        ),
        ("busy", tcp.busy_ms, before.busy_ms, after.busy_ms),
    ] {
        assert!((low..=high).contains(&our), "{name}: {ours:?}");
    }
    let state = match theirs.state.as_str() {
        "ESTAB" => State::Established,
        "FIN-WAIT-1" => State::FinWait1,
        "CLOSE-WAIT" => State::CloseWait,
        other => panic!("{other} was not expected"),
    };
    assert_eq!(ours.state, state);
}

/// Compares what a look has of a scene's sockets; those by cookie.
fn compare(scene: &Scene, arguments: &[&str]) -> BTreeMap<u64, Large> {
    let (look, [before, after]) = scene.quiet_look(arguments);
    let ours = (look.largest.into_iter())
        .filter(|large| after.contains_key(&large.socket.cookie))
        .collect::<Vec<_>>();
    let mut compared = BTreeMap::new();
    for large in ours {
        let cookie = large.socket.cookie;
        assert_as_ss_says(&large, [&before[&cookie], &after[&cookie]]);
        compared.insert(cookie, large);
    }
    compared
}

/// Stalled, unread, waiting and closed ones: all of `skmem`, both queues and what is
/// not sent are those of `ss -tmi`, why they are so large is told, and whose.
#[test]
fn equal_to_ss() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 4, 7, 0);
    scene.connect(2, 3, 8, 0);
    scene.connect(3, 3, 9, 0);
    scene.connect_only(4, 3, 10, 0);
    scene.server.ask("flood 1");
    scene.server.ask("flood 2");
    scene.client.ask("write 3 60000 1000");
    scene.client.ask("write 4 60000 200");
    scene.server.ask("close 2");
    scene.settle();
    for arguments in [&[][..], &["--sock-diag"]] {
        let compared = compare(&scene, arguments);
        let pid = scene.server.pid();
        let server = scene.at_server(&scene.seen());
        for seen in &server {
            let large = compared.get(&seen.cookie);
            let large = large.unwrap_or_else(|| panic!("{seen:?} is missing {arguments:?}"));
            let end = seen.peer.unwrap().ip().to_string();
            let (cause, is_place) = match end.as_str() {
                "127.0.0.7" => (Cause::PeerDoesNotRead, is_open(&large.socket.place, pid)),
                "127.0.0.8" => (
                    Cause::PeerDoesNotRead,
                    large.socket.place == Place::Orphan { had: None },
                ),
                "127.0.0.9" => (Cause::NotRead, is_open(&large.socket.place, pid)),
                _ => (
                    Cause::NotAccepted,
                    matches!(large.socket.place, Place::AcceptQueue { listener: Some(_) }),
                ),
            };
            assert_eq!(large.cause, cause, "{arguments:?}: {large:?}");
            assert!(is_place, "{arguments:?}: {large:?}");
            let owner = (end != "127.0.0.8").then_some(pid);
            assert_eq!(large.pid, owner, "{arguments:?}: {large:?}");
        }
        assert_eq!(server.len(), 13);
    }
}

fn is_open(place: &Place, pid: u32) -> bool {
    match place {
        Place::Open { owners } => owners.len() == 1 && owners[0].pid == pid,
        _ => false,
    }
}

/// A listener for both families: what comes by IPv6 and what comes by IPv4 are there
/// with their addresses.
#[test]
fn both_families() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.port = scene.server.ask("listen 5 0 100 0 1").value("port");
    scene.connect_only(1, 1, 7, 0);
    scene.connect_only(1, 1, 0, 0);
    scene.server.ask("accept 1 5 2");
    scene.client.ask("write 1 50000 10000");
    scene.settle();
    for arguments in [&[][..], &["--sock-diag"]] {
        let pid = scene.server.pid().to_string();
        let look = look(&[&["-p", &pid], arguments].concat());
        let mut peers: Vec<String> = (look.peers.iter())
            .map(|it| it.address.to_canonical().to_string())
            .collect();
        peers.sort();
        assert_eq!(peers, ["127.0.0.7", "::1"], "{arguments:?}");
        assert_eq!(
            look.sums.receive_bytes,
            look.peers
                .iter()
                .map(|it| it.sums.receive_bytes)
                .sum::<u64>()
        );
    }
}
