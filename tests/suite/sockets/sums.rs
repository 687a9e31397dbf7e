//! The host's sums, in each situation that fills buffers.

use tests::{needs_tracing, ss};
use tracer::model::{
    socket_look::Look,
    sockets::{Kind, Source},
};

use super::{Held, Scene, alone, look, of_process, written};

/// 1 of Linux 6.5 and newer, which account each socket exactly; 2 of older ones.
fn allowed_hundredths() -> u64 {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|it| it.parse().unwrap_or(0));
    let version: (u64, u64) = (numbers.next().unwrap(), numbers.next().unwrap());
    if version < (6, 5) { 2 } else { 1 }
}

/// Everything that TCP accounts is in one of the sums.
fn assert_as_sockstat_says(look: &Look, [before, after]: [u64; 2], case: &str) {
    let sums = &look.host_sums;
    let found = sums.tcp_buffers() + sums.forward_bytes;
    let allowed = (after * allowed_hundredths() / 100).max(ss::tcp_unaccounted_bytes());
    let range = before.min(after).saturating_sub(allowed)..=before.max(after) + allowed;
    assert!(
        range.contains(&found),
        "{case}: {found}, not {range:?}: {sums:?}"
    );
    assert_eq!(look.host.tcp_unaccounted_bytes, ss::tcp_unaccounted_bytes());
    let unexplained = look.host.tcp_accounted_bytes as i64 - found as i64;
    assert_eq!(look.unexplained_bytes, unexplained, "{case}");
}

/// Looks both ways: the host's sums are sockstat's, the server's and the client's are
/// those of their sockets to the byte, and so are those of the port.
fn assert_sums(scene: &Scene, case: &str) -> Held {
    let mut held = Held::default();
    for (arguments, source) in [
        (&[][..], Source::Iterators),
        (&["--sock-diag"][..], Source::SockDiag),
    ] {
        let case = format!("{case} {arguments:?}");
        let (host, [seen, _]) = scene.quiet_look(arguments);
        assert_eq!(host.source, source, "{case}: {:?}", host.notes);
        let before = ss::tcp_accounted_bytes();
        let second = look(arguments);
        assert_as_sockstat_says(&second, [before, ss::tcp_accounted_bytes()], &case);

        let at_server = scene.at_server(&seen);
        held = Held::of(&at_server);
        let port = host
            .ports
            .iter()
            .find(|it| u64::from(it.port) == scene.port);
        if let Some(port) = port {
            assert_eq!(Held::of_sums(&port.sums), held, "{case}: port");
            assert_eq!(port.sums.connections, at_server.len() as u64, "{case}");
        } else {
            assert_eq!((held.total(), host.left_out.ports > 0), (0, true), "{case}");
        }
        // A look has seen nobody close: orphans are not the server's yet.
        let mut open = held;
        (open.orphan, open.orphans) = (0, 0);
        let server = of_process(&host, scene.server.pid());
        assert_eq!(Held::of_sums(&server.sums), open, "{case}: server");
        let at_client = seen.values().filter(|it| !at_server.contains(it));
        let client = of_process(&host, scene.client.pid());
        assert_eq!(
            Held::of_sums(&client.sums),
            Held::of(at_client),
            "{case}: client"
        );
        assert!(host.host_sums.orphan_bytes >= held.orphan, "{case}");
        assert!(host.host_sums.orphans >= held.orphans, "{case}");
    }
    held
}

/// Connections without any data: nothing in their buffers.
#[test]
fn idle() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 1000, 1, 0);
    let held = assert_sums(&scene, "idle");
    assert_eq!(held, Held::default());
    let pid = scene.server.pid().to_string();
    let look = look(&["-p", &pid]);
    let sums = look.sums;
    assert_eq!((sums.connections, sums.listeners), (1000, 1));
    // A struct tcp_sock alone has 2 KB.
    let slab = sums.slab_bytes / (sums.connections + sums.listeners);
    assert!((2000..10_000).contains(&slab), "{slab}");
}

/// Sixty thousand bytes each that the server does not read.
#[test]
fn unread() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 500, 1, 0);
    let wrote = written(&scene.client.ask("write 1 60000 16384"));
    assert_eq!(wrote, 500 * 60_000);
    let held = assert_sums(&scene, "unread");
    assert!(held.receive >= wrote, "{held:?}");
    assert_eq!((held.send, held.accept_queue, held.orphan), (0, 0, 0));
}

/// Peers that do not read, with a window of the kernel's choice and with a small one.
#[test]
fn stalled_peers() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 15, 7, 0);
    scene.connect(2, 15, 8, 2304);
    let wrote = written(&scene.server.ask("flood 1")) + written(&scene.server.ask("flood 2"));
    scene.settle();
    let held = assert_sums(&scene, "stalled");
    // What the clients' windows took is theirs.
    assert!(
        held.send > wrote / 2 && held.receive == 0,
        "{held:?} of {wrote}"
    );
    let pid = scene.server.pid();
    let look = look(&["-p", &pid.to_string()]);
    let server = of_process(&look, pid);
    assert_eq!(server.stalled, 30, "{server:?}");
    assert_eq!(server.stalled_bytes, server.sums.send_bytes);
    let not_sent: u64 = scene.seen().values().map(|it| it.not_sent).sum();
    assert_eq!(look.sums.not_sent_bytes, not_sent);
    for end in ["127.0.0.7", "127.0.0.8"] {
        let peer = look.peers.iter().find(|it| it.address.to_string() == end);
        assert_eq!(peer.unwrap().stalled, 15, "{end}");
    }
}

/// Two hundred bytes at a time: what segments take besides is counted.
#[test]
fn many_small_segments() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 300, 1, 0);
    let wrote = written(&scene.client.ask("write 1 40000 200"));
    scene.settle();
    let held = assert_sums(&scene, "small segments");
    let payload: u64 = scene.seen().values().map(|it| it.receive_queue).sum();
    assert_eq!((payload, wrote), (300 * 40_000, 300 * 40_000));
    assert!(held.receive > payload && held.send == 0, "{held:?}");
}

/// Closed with data queued: the kernel holds what nobody has open.
#[test]
fn closing() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 20, 7, 0);
    scene.server.ask("flood 1");
    scene.server.ask("close 1");
    scene.settle();
    let held = assert_sums(&scene, "closing");
    assert_eq!(held.orphans, 20);
    assert!(held.orphan > 20 * 1_000_000 && held.send == 0, "{held:?}");
}

/// Connections that nobody accepts, with data: they are the listener's owner's.
#[test]
fn full_accept_queue() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect_only(1, 400, 1, 0);
    let wrote = written(&scene.client.ask("write 1 50000 16384"));
    let held = assert_sums(&scene, "accept queue");
    assert_eq!((held.waiting, wrote), (400, 400 * 50_000));
    assert!(held.accept_queue >= wrote, "{held:?}");
}

/// UDP and Unix sockets with what nobody has read.
#[test]
fn datagrams_and_unix() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.server.ask("datagrams 1 50 30000");
    scene.server.ask("unix 2 50 60000 0");
    scene.server.ask("unix 3 50 60000 1");
    let pid = scene.server.pid();
    let inodes: Vec<String> = inodes(pid);
    let udp_words: Vec<String> = inodes.iter().map(|it| format!("ino:{it}")).collect();
    let udp = ss::datagram_bytes(pid, "-u", &udp_words);
    let unix = ss::datagram_bytes(pid, "-x", &inodes);
    assert!(udp >= 50 * 30_000 && unix >= 100 * 60_000, "{udp} {unix}");
    for arguments in [&[][..], &["--sock-diag"]] {
        let pid_text = pid.to_string();
        let look = look(&[&["-p", &pid_text], arguments].concat());
        let sums = &look.sums;
        assert_eq!((sums.udp, sums.udp_bytes), (100, udp), "{arguments:?}");
        assert_eq!((sums.unix, sums.unix_bytes), (200, unix), "{arguments:?}");
        let kinds = look.largest.iter().map(|it| it.socket.kind);
        assert!(kinds.clone().any(|it| it == Kind::Unix) || kinds.count() == 0);
    }
}

/// Inodes of a process's sockets.
fn inodes(pid: u32) -> Vec<String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    let inode = |link: std::path::PathBuf| {
        let text = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
        Some(text.to_owned())
    };
    links.filter_map(inode).collect()
}
