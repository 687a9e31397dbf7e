//! Sockets like those of a server with peers that do not read.

use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::any::{any_frame, any_text};
use super::frame;
use crate::{
    analyze,
    model::{
        StackEnd,
        socket_look::{About, Look},
        sockets::{
            Host, Kind, Limit, Listener, Memory, Owner, Place, Snapshot, Socket, Source, State, Tcp,
        },
        trace_sockets::{
            Accounting, Call, Events, Moment, PeerBytes, Probes, Queue, Reading, SocketSite,
            Sockets, Unattributed,
        },
    },
};

const MIB: u64 = 1 << 20;

/// Of a server with fifty clients, so many of which do not read, and of its database.
pub fn host(stalled: u16) -> Snapshot {
    let mut sockets = vec![listener(1, 4242, 8080), listener(2, 700, 5432)];
    for client in 1..=50_u16 {
        let peer = SocketAddr::from(([10, 0, 0, client as u8], 51_000 + client));
        let mut socket = connection(u64::from(client) + 10, 4242, 8080, peer);
        if client <= stalled {
            stall(&mut socket, u64::from(client));
        } else if client == 50 {
            socket.memory.receive_bytes = 65_434;
            with_tcp(&mut socket, |tcp| {
                tcp.receive_queue = 60_000;
                tcp.read_bytes = Some(1_234_567);
            });
        }
        sockets.push(socket);
    }
    let waits = SocketAddr::from(([10, 0, 0, 77], 40_001));
    sockets.push(Socket {
        place: Place::AcceptQueue { listener: Some(1) },
        ..connection(100, 4242, 8080, waits)
    });
    let mut orphan = connection(101, 4242, 8080, SocketAddr::from(([10, 0, 0, 78], 40_002)));
    orphan.state = State::FinWait1;
    orphan.place = Place::Orphan { had: Some(4242) };
    orphan.memory.send_bytes = 32_768;
    sockets.push(orphan);
    let database = SocketAddr::from(([127, 0, 0, 1], 5432));
    for number in 0..4 {
        let mut client = connection(200 + number, 4242, 60_000, database);
        client.memory.send_bytes = 1280;
        sockets.push(client);
        let peer = SocketAddr::from(([127, 0, 0, 1], 60_000));
        sockets.push(connection(210 + number, 700, 5432, peer));
    }
    for number in 0..60_u32 {
        sockets.push(Socket {
            kind: if number < 4 { Kind::Udp } else { Kind::Unix },
            local: None,
            peer: None,
            tcp: None,
            ..connection(300 + u64::from(number), 900 + number / 2, 0, database)
        });
    }
    Snapshot {
        host: Host {
            tcp_accounted_bytes: sockets.iter().map(|it| it.memory.accounted()).sum::<u64>() + 8192,
            tcp_unaccounted_bytes: 4 * MIB,
            tcp_limits_bytes: [768 * MIB, 1024 * MIB, 1536 * MIB],
            udp_accounted_bytes: 0,
            time_wait: 3,
            slab_bytes_per_socket: 3_892,
        },
        sockets,
        source: Source::Iterators,
        notes: Vec::new(),
    }
}

/// Of [`host`], or of some of its processes.
pub fn look(stalled: u16, pids: &[u32]) -> Look {
    analyze::sockets::look(&host(stalled), pids, &about)
}

fn about(pid: u32) -> About {
    let (command, resident) = match pid {
        4242 => ("node", 82 * MIB),
        700 => ("/usr/lib/postgresql/16/bin/postgres", 24 * MIB),
        _ => ("dbus-daemon", 4 * MIB),
    };
    About {
        command: command.to_owned(),
        resident_bytes: Some(resident),
    }
}

fn listener(cookie: u64, pid: u32, port: u16) -> Socket {
    let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
    Socket {
        state: State::Listen,
        tcp: None,
        listener: Some(Listener {
            queued: 1,
            queue_limit: 511,
        }),
        memory: Memory::default(),
        peer: None,
        ..connection(cookie, pid, port, nobody)
    }
}

fn connection(cookie: u64, pid: u32, port: u16, peer: SocketAddr) -> Socket {
    Socket {
        cookie,
        inode: cookie + 100_000,
        namespace: 4_026_531_840,
        kind: Kind::Tcp,
        state: State::Established,
        place: Place::Open {
            owners: vec![Owner {
                pid,
                descriptor: cookie as u32,
            }],
        },
        local: Some(SocketAddr::from(([10, 0, 0, 1], port))),
        peer: Some(peer),
        memory: Memory {
            receive_limit: 131_072,
            send_limit: 87_040,
            ..Memory::default()
        },
        tcp: Some(Tcp {
            peer_window: 65_536,
            segment_bytes: 1448,
            congestion_window: 10,
            acknowledged_ms_ago: 1_200,
            received_ms_ago: 93_400,
            ..Tcp::default()
        }),
        listener: None,
    }
}

fn stall(socket: &mut Socket, number: u64) {
    socket.memory.send_bytes = 4_235_008 - number * 50_000;
    socket.memory.send_limit = 4 * MIB;
    with_tcp(socket, |tcp| {
        tcp.send_queue = 4_171_776 - number * 50_000;
        tcp.not_sent = tcp.send_queue - 60_000;
        tcp.peer_window = 0;
        tcp.busy_ms = 93_500;
        tcp.receiver_limited_ms = 93_032;
        tcp.limited_by = Some(Limit::Receiver);
        tcp.limited_for_ms = Some(93_000 - number * 100);
    });
}

fn with_tcp(socket: &mut Socket, change: impl FnOnce(&mut Tcp)) {
    if let Some(tcp) = &mut socket.tcp {
        change(tcp);
    }
}

/// Of a trace of that server, process 1 of the other samples: a handler that writes
/// to everybody, and what was there before.
pub fn sockets() -> Sockets {
    let look = look(10, &[4242]);
    let send = look.sums.send_bytes;
    let before = 2 * MIB;
    let peers = (look.largest.iter().take(3)).map(|it| PeerBytes {
        address: it.socket.peer.map_or_else(String::new, |it| it.to_string()),
        bytes: it.socket.memory.send_bytes,
        sockets: 1,
        stalled: 1,
        reading: None,
    });
    let mut peers: Vec<PeerBytes> = peers.collect();
    let told: u64 = peers.iter().map(|it| it.bytes).sum();
    peers.push(PeerBytes {
        address: String::new(),
        bytes: send - before - told,
        sockets: 40,
        stalled: 7,
        reading: None,
    });
    let broadcast = vec![
        frame("JS:*broadcast /srv/app.js:31:12", "[jit]", 0),
        frame("JS:~tick /srv/app.js:50:3", "[jit]", 0),
        frame("main", "/usr/local/bin/node", 0x00be_ef00),
    ];
    let handler = vec![
        frame("JS:~onRequest /srv/app.js:7:1", "[jit]", 0),
        frame("main", "/usr/local/bin/node", 0x00be_ef00),
    ];
    let not_read = Reading {
        not_lately: 1,
        not_for_ms: 24_870,
        ..Reading::default()
    };
    let from = vec![PeerBytes {
        address: "10.0.0.50:51050".to_owned(),
        bytes: 65_434,
        sockets: 1,
        stalled: 0,
        reading: Some(not_read),
    }];
    let site = |number: u64, queue, call, bytes, frames, peers| SocketSite {
        site_id: format!("{number:016x}"),
        process: 1,
        queue,
        call,
        bytes,
        sockets: 43,
        reading: None,
        peers,
        frames,
        stack_end: StackEnd::Root,
    };
    let moment = |seconds, send_bytes, live_bytes| Moment {
        seconds,
        connections: 54,
        receive_bytes: 65_434,
        send_bytes,
        orphan_bytes: 32_768,
        stalled: 10,
        live_bytes,
        host_bytes: send_bytes + 131_072,
        ..Moment::default()
    };
    let mut last = moment(29.9, send, 101 * MIB);
    last.events = Events {
        limit_exceeded: 3,
        retransmits: 12,
        ..Events::default()
    };
    Sockets {
        probes: Probes::Tracepoints,
        notes: vec!["fentry does not load here: EPERM.".to_owned()],
        timeline: vec![moment(0.1, 3 * MIB, 0), last],
        sites: vec![
            site(7, Queue::Send, Call::Send, send - before, broadcast, peers),
            SocketSite {
                sockets: 1,
                reading: Some(not_read),
                ..site(8, Queue::Receive, Call::Receive, 65_434, handler, from)
            },
        ],
        unattributed: vec![
            Unattributed {
                process: 1,
                queue: Queue::Send,
                bytes: before,
                sockets: 10,
                why: "sent before the trace".to_owned(),
                reading: None,
            },
            Unattributed {
                process: 1,
                queue: Queue::Orphan,
                bytes: 32_768,
                sockets: 1,
                why: "sent before the trace".to_owned(),
                reading: None,
            },
        ],
        accounting: Some(Accounting {
            raised_bytes: 213_024_768,
            forced_bytes: 30_302_208,
            reduced_bytes: 241_364_992,
            held_at_start_bytes: 3 * MIB,
            held_at_end_bytes: 5 * MIB,
        }),
        last: look,
    }
}

/// Figures that JavaScript keeps exact.
fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0..1_u64 << 20, 0..1_u64 << 53]
}

prop_compose! {
    fn any_moment()(
        seconds in 0.0..1e9_f64,
        (receive_bytes, send_bytes, live_bytes) in (number(), number(), number()),
        (accept_queue_bytes, orphan_bytes, stalled) in (number(), number(), number()),
        (limit_exceeded, retransmits) in (number(), number()),
    ) -> Moment {
        let events = Events { limit_exceeded, retransmits, ..Events::default() };
        Moment {
            seconds, receive_bytes, send_bytes, accept_queue_bytes, orphan_bytes, stalled,
            live_bytes, events, ..Moment::default()
        }
    }
}

fn any_queue() -> impl Strategy<Value = Queue> {
    prop::sample::select(vec![
        Queue::Send,
        Queue::Receive,
        Queue::Accept,
        Queue::Orphan,
    ])
}

prop_compose! {
    fn any_reading()(
        (never, not_lately, not_for_ms) in (number(), number(), number()),
        (read, read_bytes, read_over_ms) in (number(), number(), number()),
        unknown in number(),
    ) -> Reading {
        Reading { never, not_lately, not_for_ms, read, read_bytes, read_over_ms, unknown }
    }
}

prop_compose! {
    fn any_peer()(
        address in any_text(),
        (bytes, sockets, stalled) in (number(), number(), number()),
        reading in of(any_reading()),
    ) -> PeerBytes {
        PeerBytes { address, bytes, sockets, stalled, reading }
    }
}

prop_compose! {
    fn any_site()(
        site in any::<u64>(),
        process in 0..4_u32,
        queue in any_queue(),
        call in prop::sample::select(vec![Call::Send, Call::Receive, Call::Accept, Call::Connect]),
        (bytes, sockets) in (number(), number()),
        (reading, peers) in (of(any_reading()), vec(any_peer(), 0..4)),
        frames in vec(any_frame(), 0..4),
    ) -> SocketSite {
        SocketSite {
            site_id: format!("{site:016x}"),
            process, queue, call, bytes, sockets, reading, peers, frames,
            stack_end: StackEnd::Root,
        }
    }
}

prop_compose! {
    fn any_unattributed()(
        process in 0..4_u32,
        queue in any_queue(),
        (bytes, sockets) in (number(), number()),
        why in any_text(),
        reading in of(any_reading()),
    ) -> Unattributed {
        Unattributed { process, queue, bytes, sockets, why, reading }
    }
}

prop_compose! {
    /// A look with any names, and any figures where a few are told of.
    pub fn any_look(text: impl Strategy<Value = String> + 'static)(
        mut look in (0..51_u16, any::<bool>()).prop_map(|(stalled, all)| {
            look(stalled, if all { &[] } else { &[4242, 1] })
        }),
        names in vec(text, 3),
        (large, slab, off) in (number(), number(), -(1_i64 << 53)..1 << 53),
        source in prop::sample::select(vec![Source::Iterators, Source::SockDiag]),
    ) -> Look {
        for process in &mut look.processes {
            process.command.clone_from(&names[0]);
            process.stalled_bytes = large;
            process.sums.orphan_bytes = large;
            process.sums.slab_bytes = slab;
        }
        for port in &mut look.ports {
            port.command.clone_from(&names[1]);
            port.sums.send_bytes = large;
        }
        for it in &mut look.largest {
            it.command.clone_from(&names[1]);
            it.socket.memory.drops = slab;
        }
        look.sums.receive_bytes = large;
        look.notes = vec![names[2].clone()];
        look.unexplained_bytes = off;
        look.source = source;
        look
    }
}

prop_compose! {
    /// Sockets of any process, with any figures and reasons.
    pub fn any_sockets()(
        probes in prop::sample::select(vec![Probes::Fentry, Probes::Kprobe, Probes::Tracepoints, Probes::None]),
        notes in vec(any_text(), 0..3),
        timeline in vec(any_moment(), 0..3),
        last in any_look(any_text()),
        sites in vec(any_site(), 0..4),
        unattributed in vec(any_unattributed(), 0..3),
        accounting in of((number(), number(), number())),
    ) -> Sockets {
        let accounting = accounting.map(|(raised_bytes, reduced_bytes, held_at_end_bytes)| {
            Accounting { raised_bytes, reduced_bytes, held_at_end_bytes, ..Accounting::default() }
        });
        Sockets { probes, notes, timeline, last, sites, unattributed, accounting }
    }
}
