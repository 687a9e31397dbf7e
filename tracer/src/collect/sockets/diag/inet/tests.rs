use proptest::prelude::*;

use super::*;

const TCP: Question = Question {
    family: libc::AF_INET as u8,
    protocol: libc::IPPROTO_TCP as u8,
};

/// An entry by the kernel's header: addresses, queues and inode, then attributes.
fn entry(family: i32, state: u8, timer: u8, addresses: [[u8; 16]; 2]) -> Vec<u8> {
    let mut entry = vec![family as u8, state, timer, 0, 0, 80, 0x30, 0x39];
    entry.extend(addresses.concat());
    for number in [7_u32, 0x11, 0x22, 0, 1000, 2000, 0, 4711] {
        entry.extend(number.to_ne_bytes());
    }
    // INET_DIAG_SHUTDOWN, padded, before what is looked for.
    entry.extend(5_u16.to_ne_bytes());
    entry.extend([8, 0, 3, 0, 0, 0]);
    entry.extend(40_u16.to_ne_bytes());
    entry.extend(MEMORY.to_ne_bytes());
    for number in 1..=9_u32 {
        entry.extend(number.to_ne_bytes());
    }
    entry.extend(104_u16.to_ne_bytes());
    entry.extend(INFO.to_ne_bytes());
    entry.extend((0..100_u32).step_by(4).flat_map(u32::to_ne_bytes));
    entry
}

fn v4(address: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address);
    bytes
}

/// Everything of a connection is found; of a `tcp_info` that ends early what is there.
#[test]
fn reads_a_connection() {
    let addresses = [v4([10, 0, 0, 1]), v4([10, 0, 0, 2])];
    let socket = TCP.read(&entry(libc::AF_INET, 8, 0, addresses), 5);
    let expected = Socket {
        cookie: 0x22_0000_0011,
        inode: 4711,
        namespace: 5,
        kind: Kind::Tcp,
        state: State::CloseWait,
        place: Place::Unknown,
        local: "10.0.0.1:80".parse().ok(),
        peer: "10.0.0.2:12345".parse().ok(),
        memory: Memory {
            receive_bytes: 1,
            receive_limit: 2,
            send_bytes: 6,
            transmit_bytes: 3,
            send_limit: 4,
            forward_bytes: 5,
            option_bytes: 7,
            backlog_bytes: 8,
            drops: 9,
        },
        tcp: Some(Tcp {
            receive_queue: 1000,
            send_queue: 2000,
            congestion_window: 80,
            segment_bytes: 16,
            sent_ms_ago: 44,
            received_ms_ago: 52,
            acknowledged_ms_ago: 56,
            ..Tcp::default()
        }),
        listener: None,
    };
    assert_eq!(socket, Ok(Some(expected)));
}

/// A listener has a queue of connections, and no other end.
#[test]
fn reads_a_listener() {
    let mut entry = entry(libc::AF_INET, 10, 0, [v4([0; 4]), v4([0; 4])]);
    entry[6..8].fill(0);
    let socket = TCP.read(&entry, 5).ok().flatten().expect("a listener");
    let listener = Listener {
        queued: 1000,
        queue_limit: 2000,
    };
    assert_eq!(socket.listener, Some(listener));
    assert_eq!((socket.tcp, socket.peer), (None, None));
}

/// Addresses are as `ss` shows them; only a link's own have a scope.
#[test]
fn reads_ipv6() {
    let local: Ipv6Addr = "fe80::1".parse().expect("an address");
    let peer: Ipv6Addr = "::ffff:10.0.0.2".parse().expect("an address");
    let addresses = [local.octets(), peer.octets()];
    let entry = entry(libc::AF_INET6, 1, 0, addresses);
    let socket = TCP.read(&entry, 5).ok().flatten().expect("a connection");
    let shown =
        (socket.local.zip(socket.peer)).map(|(local, peer)| (local.to_string(), peer.to_string()));
    let expected = ("[fe80::1%7]:80", "[::ffff:10.0.0.2]:12345");
    assert_eq!(shown, Some((expected.0.to_owned(), expected.1.to_owned())));
}

/// What waits out its time is passed over even where its state is another, as after
/// a half-closed connection; what cannot be read is told.
#[test]
fn tells_what_is_none() {
    let addresses = [v4([10, 0, 0, 1]), v4([10, 0, 0, 2])];
    let waiting = entry(libc::AF_INET, 5, TIME_WAIT_TIMER, addresses);
    assert_eq!(TCP.read(&waiting, 5), Ok(None));
    let unknown_state = entry(libc::AF_INET, 77, 0, addresses);
    assert_eq!(TCP.read(&unknown_state, 5), Err(Malformed));
    let unknown_family = entry(99, 1, 0, addresses);
    assert_eq!(TCP.read(&unknown_family, 5), Err(Malformed));
    assert_eq!(TCP.read(&waiting[..ENTRY - 1], 5), Err(Malformed));
}

proptest! {
    /// No bytes make it panic, of whatever family and state.
    #[test]
    fn any_entry_is_read(
        start in (0_u8..12, 0_u8..14, 0_u8..5),
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut entry = vec![start.0, start.1, start.2];
        entry.extend(rest);
        let _ = TCP.read(&entry, 0);
    }
}
