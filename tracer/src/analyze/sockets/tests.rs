mod attribution;

mod properties;

use std::net::SocketAddr;

use super::*;
use crate::model::{
    socket_look::Cause,
    sockets::{Host, Limit, Listener, Memory, Owner, Place, Tcp},
};

fn about(pid: u32) -> About {
    About {
        command: format!("p{pid}"),
        resident_bytes: Some(u64::from(pid) << 20),
    }
}

fn open(pids: &[u32]) -> Place {
    let owner = |pid: &u32| Owner {
        pid: *pid,
        descriptor: 3,
    };
    Place::Open {
        owners: pids.iter().map(owner).collect(),
    }
}

fn address(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

/// A connection of this server, with its buffers.
fn connection(cookie: u64, place: Place, peer: &str, receive: u64, send: u64) -> Socket {
    Socket {
        cookie,
        inode: cookie,
        namespace: 1,
        kind: Kind::Tcp,
        state: State::Established,
        place,
        local: address("10.0.0.1:8080"),
        peer: address(peer),
        memory: Memory {
            receive_bytes: receive,
            send_bytes: send,
            forward_bytes: 100,
            ..Memory::default()
        },
        tcp: Some(Tcp {
            receive_queue: receive / 2,
            send_queue: send / 2,
            segment_bytes: 1460,
            peer_window: 65_536,
            ..Tcp::default()
        }),
        listener: None,
    }
}

fn stalled(cookie: u64, place: Place, peer: &str, send: u64) -> Socket {
    let mut socket = connection(cookie, place, peer, 0, send);
    let tcp = socket.tcp.as_mut().unwrap();
    tcp.not_sent = send / 4;
    tcp.limited_by = Some(Limit::Receiver);
    tcp.peer_window = 1_459;
    socket
}

fn listener(cookie: u64, pids: &[u32], namespace: u32) -> Socket {
    Socket {
        state: State::Listen,
        namespace,
        peer: None,
        tcp: None,
        listener: Some(Listener::default()),
        memory: Memory::default(),
        ..connection(cookie, open(pids), "1.1.1.1:1", 0, 0)
    }
}

/// Two processes share a listener; one has a stalled connection, one waits to be
/// accepted, one was closed, one is a client's; beside them UDP and Unix.
fn host() -> Snapshot {
    let waits = Place::AcceptQueue { listener: Some(1) };
    let mut client = connection(5, open(&[30]), "10.0.0.1:5432", 0, 7);
    client.local = address("10.0.0.1:44444");
    let other = |cookie, kind, pid, receive, send| Socket {
        kind,
        tcp: None,
        ..connection(cookie, open(&[pid]), "10.0.0.9:53", receive, send)
    };
    Snapshot {
        sockets: vec![
            listener(1, &[20, 10], 1),
            stalled(2, open(&[20]), "10.0.0.7:51234", 4_000),
            connection(3, waits, "10.0.0.8:1", 300, 0),
            connection(4, Place::Orphan { had: Some(20) }, "10.0.0.7:2", 0, 50),
            client,
            connection(6, Place::Unknown, "[::ffff:10.0.0.7]:3", 11, 0),
            other(7, Kind::Udp, 20, 1_000, 0),
            other(8, Kind::Unix, 30, 0, 2_000),
        ],
        host: Host {
            tcp_accounted_bytes: 5_000,
            slab_bytes_per_socket: 4_000,
            ..Host::default()
        },
        notes: vec!["A note.".to_owned()],
        ..Snapshot::default()
    }
}

fn process(look: &Look, pid: Option<u32>) -> ProcessSockets {
    let found = look.processes.iter().find(|it| it.pid == pid);
    found.cloned().unwrap()
}

/// Every byte of a host of all kinds of sockets is where it belongs.
#[test]
fn shares_a_host_out() {
    let look = look(&host(), &[], &about);
    let expected = Sums {
        connections: 5,
        listeners: 1,
        receive_bytes: 11,
        send_bytes: 4_007,
        not_sent_bytes: 1_000,
        accept_queue: 1,
        accept_queue_bytes: 300,
        orphans: 1,
        orphan_bytes: 50,
        forward_bytes: 500,
        udp: 1,
        udp_bytes: 1_000,
        unix: 1,
        unix_bytes: 2_000,
        slab_bytes: 24_000,
    };
    assert_eq!((look.host_sums, look.sums), (expected, expected));
    assert_eq!(look.unexplained_bytes, 5_000 - 4_368 - 500);
    let pids: Vec<_> = look.processes.iter().map(|it| it.pid).collect();
    // A listener that was inherited, and what waits in its queue, is the first one's.
    assert_eq!(pids, [Some(20), Some(10), None, Some(30)]);
    let first = process(&look, Some(20));
    assert_eq!((first.stalled, first.stalled_bytes), (1, 4_000));
    assert_eq!(
        (first.sums.send_bytes, first.sums.orphan_bytes),
        (4_000, 50)
    );
    assert_eq!(first.command, "p20");
    assert_eq!(first.resident_bytes, Some(20 << 20));
    let second = process(&look, Some(10));
    assert_eq!((second.sums.listeners, second.sums.accept_queue), (1, 1));
    let nobody = process(&look, None);
    assert_eq!(
        (nobody.sums.receive_bytes, nobody.command.as_str()),
        (11, "")
    );
    assert_eq!(look.notes, ["A note."]);
}

/// The port that is listened at has its connections, a client's is not one; other
/// ends are counted by address, an IPv4 one in IPv6 with the IPv4 ones.
#[test]
fn shares_out_by_port_and_by_peer() {
    let look = look(&host(), &[], &about);
    assert_eq!(look.ports.len(), 1);
    let port = &look.ports[0];
    assert_eq!(
        (port.port, port.pid, port.command.as_str()),
        (8080, Some(10), "p10")
    );
    assert_eq!(port.sums.connections, 4);
    assert_eq!(port.sums.tcp_buffers(), 4_000 + 300 + 50 + 11);
    let peers: Vec<_> = (look.peers.iter())
        .map(|it| (it.address.to_string(), it.sums.tcp_buffers(), it.stalled))
        .collect();
    let expected = [
        ("10.0.0.7", 4_061, 1),
        ("10.0.0.8", 300, 0),
        ("10.0.0.1", 7, 0),
    ];
    assert_eq!(
        peers,
        expected.map(|(address, bytes, n)| (address.to_owned(), bytes, n))
    );
}

/// The largest sockets come with the reason for what is in them.
#[test]
fn names_the_largest() {
    let look = look(&host(), &[], &about);
    let largest: Vec<_> = (look.largest.iter())
        .map(|it| (it.socket.cookie, it.pid, it.cause))
        .collect();
    assert_eq!(
        largest,
        [
            (2, Some(20), Cause::PeerDoesNotRead),
            (8, Some(30), Cause::PeerDoesNotRead),
            (7, Some(20), Cause::NotRead),
            (3, Some(10), Cause::NotAccepted),
            (4, Some(20), Cause::InFlight),
            (6, None, Cause::NotRead),
            (5, Some(30), Cause::InFlight),
        ]
    );
}

/// With pids only theirs are told of, a shared listener is theirs, one without a
/// socket is there all the same, and the host's sums stay the host's.
#[test]
fn looks_at_those_asked_for() {
    let look = look(&host(), &[20, 99], &about);
    assert_eq!(look.host_sums.connections, 5);
    assert_eq!(look.pids, [20, 99]);
    assert_eq!(
        (
            look.sums.connections,
            look.sums.listeners,
            look.sums.accept_queue
        ),
        (3, 1, 1)
    );
    assert_eq!(look.sums.tcp_buffers(), 4_350);
    let pids: Vec<_> = look.processes.iter().map(|it| it.pid).collect();
    assert_eq!(pids, [Some(20), Some(99)]);
    assert_eq!(process(&look, Some(99)).sums, Sums::default());
    assert_eq!(look.ports[0].pid, Some(20));
    assert_eq!(look.unexplained_bytes, 132);
}

/// One port in two network namespaces is two ports.
#[test]
fn namespaces_have_their_own_ports() {
    let mut other = connection(4, open(&[2]), "10.0.0.8:1", 5, 0);
    other.namespace = 2;
    let mut third = connection(5, open(&[3]), "10.0.0.8:2", 99, 0);
    third.namespace = 3;
    let snapshot = Snapshot {
        sockets: vec![listener(1, &[1], 1), listener(2, &[2], 2), other, third],
        ..Snapshot::default()
    };
    let ports = look(&snapshot, &[], &about).ports;
    let ports: Vec<_> = (ports.iter())
        .map(|it| (it.port, it.pid, it.sums.connections, it.sums.receive_bytes))
        .collect();
    assert_eq!(ports, [(8080, Some(2), 1, 5), (8080, Some(1), 0, 0)]);
}

/// What lists have no room for is counted, and nobody is asked about who is not shown.
#[test]
fn counts_what_it_leaves_out() {
    let sockets = (1..=70_u32).flat_map(|pid| {
        let mut listener = listener(u64::from(pid), &[pid], 1);
        listener.local = address(&format!("0.0.0.0:{pid}"));
        let peer = format!("10.0.1.{pid}:1");
        let bytes = u64::from(pid);
        [
            listener,
            connection(100 + bytes, open(&[pid]), &peer, bytes, 0),
        ]
    });
    let snapshot = Snapshot {
        sockets: sockets.collect(),
        ..Snapshot::default()
    };
    let asked = std::cell::RefCell::new(Vec::new());
    let look = look(&snapshot, &[], &|pid| {
        asked.borrow_mut().push(pid);
        about(pid)
    });
    let left_out = LeftOut {
        processes: 20,
        ports: 50,
        peers: 50,
    };
    assert_eq!(look.left_out, left_out);
    assert_eq!(
        (look.processes[0].pid, look.processes[49].pid),
        (Some(70), Some(21))
    );
    assert_eq!(look.largest.len(), 20);
    // Fifty processes, and twenty listeners without a connection.
    let mut asked = asked.into_inner();
    asked.sort_unstable();
    assert_eq!(asked.len(), 50 + 20);
}

/// Each reason is told from the others, with and without the kernel's own word for it.
#[test]
fn tells_causes_apart() {
    let of = |change: &dyn Fn(&mut Socket, &mut Tcp)| {
        let mut socket = connection(1, open(&[1]), "10.0.0.7:1", 0, 0);
        let mut tcp = socket.tcp.unwrap();
        socket.memory.send_bytes = 4_000;
        (tcp.send_queue, tcp.not_sent) = (3_000, 2_000);
        change(&mut socket, &mut tcp);
        socket.tcp = Some(tcp);
        cause(&socket)
    };
    use Cause::*;
    // The receiver's fault: with room for a segment, and without.
    let receiver = |tcp: &mut Tcp| tcp.limited_by = Some(Limit::Receiver);
    assert_eq!(of(&|_, tcp| receiver(tcp)), PeerReadsSlowly);
    let full = |tcp: &mut Tcp| (tcp.limited_by, tcp.peer_window) = (Some(Limit::Receiver), 1_459);
    assert_eq!(of(&|_, tcp| full(tcp)), PeerDoesNotRead);
    assert_eq!(of(&|_, tcp| tcp.limited_by = Some(Limit::Network)), Network);
    assert_eq!(of(&|_, tcp| tcp.not_sent = 0), InFlight);
    // Not known by sock_diag: less than a segment's room, or most of the time none.
    assert_eq!(of(&|_, _| ()), Network);
    assert_eq!(of(&|_, tcp| tcp.peer_window = 1_459), PeerDoesNotRead);
    assert_eq!(of(&|_, tcp| tcp.peer_window = 1_460), Network);
    let limited = |ms| of(&|_, tcp| (tcp.busy_ms, tcp.receiver_limited_ms) = (1_000, ms));
    assert_eq!((limited(500), limited(501)), (Network, PeerReadsSlowly));
    // The network's fault, whatever the window was before.
    let now = |tcp: &mut Tcp| (tcp.limited_by, tcp.peer_window) = (Some(Limit::Network), 0);
    assert_eq!(of(&|_, tcp| now(tcp)), Network);
    // The receive side.
    assert_eq!(
        of(&|it, tcp| (it.memory.receive_bytes, tcp.receive_queue) = (9_000, 1)),
        NotRead
    );
    assert_eq!(of(&|it, _| it.memory.receive_bytes = 9_000), InFlight);
    let waits = || Place::AcceptQueue { listener: None };
    assert_eq!(of(&|it, _| it.place = waits()), NotAccepted);
    assert_eq!(of(&|it, _| it.memory.send_bytes = 0), Nothing);
}
