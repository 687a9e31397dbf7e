//! Whose the bytes in queues are.

use std::collections::{BTreeMap, HashMap};

use proptest::{collection::vec, prelude::*};
use tracer_common::socket::{MARKS, Mark, SocketCalls};

use super::{connection, listener, open, stalled};
use crate::{
    analyze::sockets::{Why, attribute},
    model::{
        sockets::{Place, Reads, Socket},
        trace_sockets::{Queue, Reading},
    },
};

/// Keys of sites have their top bit set.
const FLOOD: u64 = 1 << 63 | 1;
const ANSWER: u64 = 1 << 63 | 2;
const ACCEPT: u64 = 1 << 63 | 3;
const SPACE: u32 = 9;

fn processes() -> BTreeMap<u32, u32> {
    BTreeMap::from([(7, SPACE)])
}

/// Wrote from these places of the stream on.
fn wrote(marks: &[(u64, u32)]) -> SocketCalls {
    let mut calls = SocketCalls {
        space: SPACE,
        ..SocketCalls::default()
    };
    for (site, start) in marks {
        calls.senders[calls.marks as usize % MARKS] = Mark {
            site: *site,
            start: *start,
            reserved: 0,
        };
        calls.marks += 1;
    }
    calls
}

/// With this part of the stream in its queue.
fn queued(mut socket: Socket, acknowledged: u32, written: u32) -> Socket {
    let tcp = socket.tcp.as_mut().unwrap();
    (tcp.acknowledged, tcp.written) = (acknowledged, written);
    tcp.send_queue = u64::from(written.wrapping_sub(acknowledged));
    socket
}

/// A queue that two handlers wrote is shared by what of it each wrote; its overhead
/// goes with the payload, to the byte.
#[test]
fn a_send_queue_is_of_those_who_wrote_it() {
    let socket = queued(stalled(5, open(&[7]), "10.0.0.7:99", 1001), 1000, 2000);
    let calls = HashMap::from([(5, wrote(&[(ANSWER, 0), (FLOOD, 1100)]))]);
    let found = attribute(&[socket], &processes(), &calls);
    let share = |site| &found.by_site[&(SPACE, Queue::Send, site)];
    assert_eq!((share(ANSWER).bytes, share(FLOOD).bytes), (100, 901));
    let peers = share(FLOOD).peers();
    assert_eq!(peers.len(), 1);
    assert_eq!(peers[0].address, "10.0.0.7:99");
    assert_eq!((peers[0].bytes, peers[0].stalled), (901, 1));
    assert!(found.without.is_empty());
}

/// What was queued before the first stack was taken is nobody's; another process's is
/// not told of.
#[test]
fn what_nobody_was_seen_to_write_has_no_stack() {
    let sockets = [
        queued(
            connection(5, open(&[7]), "10.0.0.7:99", 0, 1000),
            1000,
            2000,
        ),
        connection(6, open(&[8]), "10.0.0.8:99", 0, 1000),
        connection(4, open(&[7]), "10.0.0.9:99", 500, 0),
    ];
    let calls = HashMap::from([(5, wrote(&[(FLOOD, 1400)]))]);
    let found = attribute(&sockets, &processes(), &calls);
    assert_eq!(found.by_site[&(SPACE, Queue::Send, FLOOD)].bytes, 600);
    let without = |queue, why| found.without[&(SPACE, queue, why)].bytes;
    assert_eq!(without(Queue::Send, Why::SentBefore), 400);
    assert_eq!(without(Queue::Receive, Why::NotReadSince), 500);
    assert_eq!(found.without.len(), 2);
}

/// A receive queue is of who read last, else of who opened the connection; what was
/// not accepted of who accepts there; an orphan's of who wrote it.
#[test]
fn each_queue_has_its_stack() {
    let orphan = Place::Orphan { had: Some(7) };
    let waiting = Place::AcceptQueue { listener: Some(1) };
    let sockets = [
        listener(1, &[7], 1),
        connection(2, open(&[7]), "10.0.0.7:1", 300, 0),
        connection(3, open(&[7]), "10.0.0.7:2", 200, 0),
        connection(4, waiting, "10.0.0.7:3", 50, 0),
        queued(connection(5, orphan, "10.0.0.7:4", 0, 70), 10, 20),
    ];
    let reader = SocketCalls {
        reader: ANSWER,
        opener: ACCEPT,
        ..wrote(&[])
    };
    let accepted = SocketCalls {
        opener: ACCEPT,
        ..wrote(&[])
    };
    let calls = HashMap::from([(2, reader), (3, accepted), (5, wrote(&[(FLOOD, 0)]))]);
    let found = attribute(&sockets, &processes(), &calls);
    let bytes = |queue, site| found.by_site[&(SPACE, queue, site)].bytes;
    assert_eq!(bytes(Queue::Receive, ANSWER), 300);
    assert_eq!(bytes(Queue::Receive, ACCEPT), 200);
    assert_eq!(bytes(Queue::Accept, ACCEPT), 50);
    assert_eq!(bytes(Queue::Orphan, FLOOD), 70);
}

/// Where only the queue's length is known it ends at the last send.
#[test]
fn without_places_the_queue_ends_at_the_last_send() {
    let mut socket = connection(5, open(&[7]), "10.0.0.7:99", 0, 1000);
    socket.tcp.as_mut().unwrap().send_queue = 500;
    let calls = SocketCalls {
        written: 10_000,
        ..wrote(&[(ANSWER, 0), (FLOOD, 9_600)])
    };
    let found = attribute(&[socket], &processes(), &HashMap::from([(5, calls)]));
    assert_eq!(found.by_site[&(SPACE, Queue::Send, ANSWER)].bytes, 200);
    assert_eq!(found.by_site[&(SPACE, Queue::Send, FLOOD)].bytes, 800);
}

proptest! {
    /// Whatever was kept of who wrote, every byte of the queues is told once.
    #[test]
    fn every_byte_is_told_once(
        sockets in vec((0u64..1 << 40, 0u64..1 << 40, any::<u32>(), any::<u32>()), 0..8),
        marks in vec((any::<u64>(), any::<u32>()), 0..12),
        reader: u64,
    ) {
        let sockets: Vec<Socket> = (1..).zip(sockets)
            .map(|(cookie, (receive, send, from, to))| {
                queued(connection(cookie, open(&[7]), "10.0.0.7:99", receive, send), from, to)
            })
            .collect();
        let calls: HashMap<u64, SocketCalls> = sockets.iter().step_by(2)
            .map(|socket| (socket.cookie, SocketCalls { reader, ..wrote(&marks) }))
            .collect();
        let found = attribute(&sockets, &processes(), &calls);
        let told: u64 = found.by_site.values().chain(found.without.values())
            .map(|share| share.bytes).sum();
        let queues: u64 = sockets.iter().map(|it| it.memory.buffers()).sum();
        prop_assert_eq!(told, queues);
    }
}

/// Whether a receive queue is read is counted socket by socket; where times differ the
/// shortest holds for all. Of what is sent nothing is said.
#[test]
fn tells_whether_anyone_reads() {
    let with = |cookie, read_bytes, reads: Option<(u64, u64)>| {
        let mut socket = connection(cookie, open(&[7]), "10.0.0.7:1", 300, 20);
        let tcp = socket.tcp.as_mut().unwrap();
        tcp.read_bytes = read_bytes;
        tcp.reads = reads.map(|(bytes, over_ms)| Reads { bytes, over_ms });
        socket
    };
    let sockets = [
        with(1, Some(0), None),
        with(2, Some(0), Some((0, 9_000))),
        with(3, Some(5), Some((0, 7_000))),
        with(4, Some(5), Some((0, 8_000))),
        with(5, Some(5), Some((2, 5_000))),
        with(6, Some(5), Some((0, 999))),
        with(7, Some(5), None),
        with(8, None, None),
    ];
    let found = attribute(&sockets, &processes(), &HashMap::new());
    let share = &found.without[&(SPACE, Queue::Receive, Why::NotReadSince)];
    let expected = Reading {
        never: 2,
        not_lately: 2,
        not_for_ms: 7_000,
        read: 1,
        read_bytes: 2,
        read_over_ms: 5_000,
        unknown: 3,
    };
    assert_eq!(share.reading(), Some(expected));
    assert_eq!(expected.sockets(), share.sockets());
    let peers: Vec<_> = share.peers().iter().filter_map(|it| it.reading).collect();
    let sum = peers.into_iter().reduce(Reading::and);
    assert_eq!(sum, Some(expected));
    let sent = &found.without[&(SPACE, Queue::Send, Why::SentBefore)];
    assert_eq!(sent.reading(), None);
}
