//! What holds for the sockets of any host.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;

fn any_number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0_u64..100, 0_u64..1 << 40, Just(u64::MAX)]
}

fn any_place() -> impl Strategy<Value = Place> {
    prop_oneof![
        vec(0_u32..6, 0..3).prop_map(|pids| open(&pids)),
        of(0_u64..8).prop_map(|listener| Place::AcceptQueue { listener }),
        of(0_u32..6).prop_map(|had| Place::Orphan { had }),
        Just(Place::Unknown),
    ]
}

prop_compose! {
    fn any_socket(number: impl Strategy<Value = u64> + Clone)(
        cookie in 0_u64..8,
        kind in prop::sample::select(vec![Kind::Tcp, Kind::Tcp, Kind::Udp, Kind::Unix]),
        state in prop::sample::select(vec![State::Listen, State::Close, State::Established]),
        place in any_place(),
        (namespace, local, peer) in (0_u32..2, any::<Option<SocketAddr>>(), any::<Option<SocketAddr>>()),
        (receive_bytes, send_bytes, forward_bytes) in (number.clone(), number.clone(), number.clone()),
        tcp in of((number.clone(), number.clone(), number.clone(), number)),
    ) -> Socket {
        Socket {
            cookie, inode: 0, namespace, kind, state, place, local, peer,
            memory: Memory { receive_bytes, send_bytes, forward_bytes, ..Memory::default() },
            tcp: tcp.map(|(send_queue, not_sent, peer_window, busy_ms)| Tcp {
                send_queue, not_sent, peer_window, busy_ms, receiver_limited_ms: busy_ms,
                ..Tcp::default()
            }),
            listener: None,
        }
    }
}

fn snapshot(sockets: Vec<Socket>, host: (u64, u64)) -> Snapshot {
    let host = Host {
        tcp_accounted_bytes: host.0,
        slab_bytes_per_socket: host.1,
        ..Host::default()
    };
    Snapshot {
        sockets,
        host,
        ..Snapshot::default()
    }
}

/// All of a sum's places.
fn buffers(sums: &Sums) -> u64 {
    sums.tcp_buffers() + sums.udp_bytes + sums.unix_bytes
}

proptest! {
    /// Each byte is in one place of one process, and what TCP's accounting has beside
    /// it is told.
    #[test]
    fn every_byte_is_in_one_place(
        sockets in vec(any_socket(0_u64..1 << 30), 0..40),
        host in (0_u64..1 << 40, 0_u64..5_000),
        pids in vec(0_u32..6, 0..3),
    ) {
        let snapshot = snapshot(sockets, host);
        let all: u64 = snapshot.sockets.iter().map(|it| it.memory.buffers()).sum();
        let host = look(&snapshot, &[], &about);
        prop_assert_eq!(buffers(&host.sums), all);
        prop_assert_eq!(host.sums, host.host_sums);
        prop_assert_eq!(host.left_out.processes, 0);
        let add_up = |look: &Look, of: fn(&Sums) -> u64| -> (u64, u64) {
            (look.processes.iter().map(|it| of(&it.sums)).sum(), of(&look.sums))
        };
        let some = look(&snapshot, &pids, &about);
        prop_assert_eq!(some.host_sums, host.host_sums);
        for look in [&host, &some] {
            let figures: [fn(&Sums) -> u64; 11] = [
                buffers, |it| it.connections, |it| it.listeners, |it| it.receive_bytes,
                |it| it.send_bytes, |it| it.accept_queue_bytes, |it| it.orphan_bytes,
                |it| it.forward_bytes, |it| it.slab_bytes, |it| it.udp, |it| it.unix,
            ];
            for of in figures {
                let (parts, whole) = add_up(look, of);
                prop_assert_eq!(parts, whole);
            }
        }
        let accounted = host.sums.tcp_buffers() + host.sums.forward_bytes;
        let left = snapshot.host.tcp_accounted_bytes as i64 - accounted as i64;
        prop_assert_eq!(host.unexplained_bytes, left);
    }

    /// Impossible figures are figures, and no panic.
    #[test]
    fn survives_figures_at_the_limit(
        sockets in vec(any_socket(any_number()), 0..10),
        host in (any_number(), any_number()),
        pids in vec(0_u32..6, 0..3),
    ) {
        let look = look(&snapshot(sockets, host), &pids, &about);
        prop_assert!(look.largest.len() <= LARGEST);
    }
}
