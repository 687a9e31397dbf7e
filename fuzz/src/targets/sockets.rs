//! What the kernel tells of sockets: by its iterators, by netlink, and as text in
//! `/proc`. Peers and processes choose the figures in it, and a newer kernel the form.
//!
//! Whatever stands there, reading it ends, keeps no more than there is, and the look
//! that is made of it has each socket's buffers once.

use std::{collections::BTreeMap, mem::offset_of, time::Duration};

use tracer::{
    analyze::sockets::{attribute, look},
    collect::sockets::{
        assemble::Told,
        diag::{
            inet::Question,
            netlink::{Content, attributes, messages, request},
            unix,
        },
        host::{limits, slab_bytes, sockstat},
        pressure::count,
    },
    model::{
        socket_look::{About, Look},
        sockets::{Snapshot, Socket},
    },
    probe::sockets::read,
};
use tracer_common::socket::{
    AcceptRecord, OwnerRecord, RECORD_ACCEPT, RECORD_OWNER, RECORD_SOCKET, SocketRecord,
};

/// Bytes of a netlink message's header.
const HEADER: usize = 16;
const TICK: Duration = Duration::from_millis(4);
/// `INET_DIAG_INFO`, `INET_DIAG_SKMEMINFO`, `UNIX_DIAG_PEER`, `UNIX_DIAG_MEMINFO`.
const INFO: u16 = 2;
const MEMORY: u16 = 7;
const UNIX_PEER: u16 = 2;
const UNIX_MEMORY: u16 = 5;
const QUESTIONS: [(i32, u8); 4] = [(2, 6), (10, 6), (2, 17), (10, 136)];

pub const WORDS: &[&str] = &["\u{1}\0\0\0", "\u{2}\0\0\0", "\u{3}\0\0\0", "\u{a}\0"];

/// A connection, a listener, a UDP and a Unix socket, who has them, and what waits.
pub fn record_seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    const STATE_LISTEN: u32 = 10;
    let socket = |number: u32, protocol: u32, family: u32, state: u32| {
        let mut bytes: Vec<u8> = (0..size_of::<SocketRecord>() as u32 / 4)
            .flat_map(|word| (word << 8).to_ne_bytes())
            .collect();
        let ends = offset_of!(SocketRecord, ends);
        for (at, value) in [
            (offset_of!(SocketRecord, record), RECORD_SOCKET),
            (offset_of!(SocketRecord, flags), 2),
            (offset_of!(SocketRecord, cookie), number),
            (offset_of!(SocketRecord, inode), number),
            (offset_of!(SocketRecord, protocol), protocol),
            (offset_of!(SocketRecord, state), state),
            (ends + 4, family),
        ] {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    };
    let owner = |pid: u32, number: u32| {
        let mut bytes = vec![0; size_of::<OwnerRecord>()];
        for (at, value) in [
            (offset_of!(OwnerRecord, record), RECORD_OWNER),
            (offset_of!(OwnerRecord, pid), pid),
            (offset_of!(OwnerRecord, inode), number),
        ] {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        bytes
    };
    let mut accept = vec![0; size_of::<AcceptRecord>()];
    accept[..4].copy_from_slice(&RECORD_ACCEPT.to_ne_bytes());
    accept[8..12].copy_from_slice(&2_u32.to_ne_bytes());
    accept[16..20].copy_from_slice(&3_u32.to_ne_bytes());
    let mut waits = socket(3, 6, 10, 1);
    waits[4..8].fill(0);
    Ok(vec![
        [
            socket(1, 6, 2, 1),
            socket(2, 6, 10, STATE_LISTEN),
            waits,
            accept,
            socket(4, 17, 2, 7),
            socket(5, 0, 1, 1),
            owner(7, 1),
            owner(8, 1),
            owner(7, 2),
        ]
        .concat(),
    ])
}

/// What iterators write.
pub fn run_records(bytes: &[u8]) {
    let mut told = Told::default();
    let mut records = 0;
    let read = read(bytes, |record| {
        records += 1;
        told.add(record);
    });
    assert!(records * size_of::<AcceptRecord>() <= bytes.len());
    assert!(read.is_err() || records > 0 || bytes.is_empty());
    assert!(told.unseen() <= records);
    let sockets = told.sockets(TICK);
    assert!(sockets.len() <= records);
    check(sockets);
}

/// A dump of each kind of socket, and one that fails.
pub fn diag_seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let attribute = |number: u16, words: u32| {
        let mut bytes = (4 + words as u16 * 4).to_ne_bytes().to_vec();
        bytes.extend(number.to_ne_bytes());
        bytes.extend((1..=words).flat_map(u32::to_ne_bytes));
        bytes
    };
    let message = |kind: u16, body: &[Vec<u8>]| {
        let mut bytes = request(1, &body.concat());
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes
    };
    let internet = |family: u8, state: u8| {
        let mut header = vec![family, state, 0, 0, 0, 80, 0x30, 0x39];
        header.extend((1..=16_u32).flat_map(u32::to_ne_bytes));
        let body = [header, attribute(MEMORY, 9), attribute(INFO, 60)];
        message(20, &body)
    };
    let mut header = vec![1, 2, 7, 0];
    header.extend(
        [4711_u32, 0x11, 0x22]
            .into_iter()
            .flat_map(u32::to_ne_bytes),
    );
    let unix = message(
        20,
        &[header, attribute(UNIX_PEER, 1), attribute(UNIX_MEMORY, 9)],
    );
    let done = message(3, &[vec![0; 4]]);
    let refused = message(2, &[(-2_i32).to_ne_bytes().to_vec()]);
    Ok(vec![
        [
            internet(2, 1),
            internet(10, 10),
            internet(10, 8),
            unix,
            done,
        ]
        .concat(),
        refused,
    ])
}

/// What netlink says: a datagram, taken for an answer to each question there is.
pub fn run_diag(bytes: &[u8]) {
    let mut sockets = Vec::new();
    let mut count = 0;
    for message in messages(bytes) {
        count += 1;
        let Content::Entry(entry) = message.content else {
            continue;
        };
        let body = attributes(entry).map(|(_, value)| value.len() + 4);
        assert!(body.sum::<usize>() <= entry.len());
        for (family, protocol) in QUESTIONS {
            let question = Question {
                family: family as u8,
                protocol,
            };
            sockets.extend(question.read(entry, 7).into_iter().flatten());
        }
        sockets.extend(unix::read(entry, 7));
    }
    // The last one may be none.
    assert!(count <= bytes.len() / HEADER + 1);
    assert!(sockets.len() <= count * (QUESTIONS.len() + 1));
    check(sockets);
}

fn check(sockets: Vec<Socket>) {
    let buffers: u64 = sockets.iter().map(|it| it.memory.buffers()).sum();
    let spaces = BTreeMap::from([(1, 7), (2, 8)]);
    let _ = attribute(&sockets, &spaces, &Default::default());
    let snapshot = Snapshot {
        sockets,
        ..Snapshot::default()
    };
    let about = |pid: u32| About {
        command: format!("process {pid}\u{1b}"),
        resident_bytes: None,
    };
    for pids in [&[][..], &[7, 8]] {
        let look = look(&snapshot, pids, &about);
        let sums = &look.host_sums;
        let all = sums.tcp_buffers() + sums.udp_bytes + sums.unix_bytes;
        assert_eq!(all, buffers, "each in one place");
        assert!(!pids.is_empty() || look.sums == look.host_sums);
        assert!(look.processes.len() <= 50 && look.largest.len() <= 20);
        assert!(look.ports.len() <= 20 && look.peers.len() <= 20);
        let in_processes: u64 = (look.processes.iter())
            .map(|it| it.sums.tcp_buffers() + it.sums.udp_bytes + it.sums.unix_bytes)
            .sum();
        assert!(in_processes <= all);
        assert!(look.left_out.processes > 0 || !pids.is_empty() || in_processes == all);
        let text = serde_json::to_string(&look).expect("a look is written");
        let again: Look = serde_json::from_str(&text).expect("and read");
        assert_eq!(again, look);
    }
}

/// Words of the host's own figures.
pub const TEXT_WORDS: &[&str] = &[
    "\n",
    " ",
    "TCP:",
    "UDP:",
    "mem",
    "tw",
    "TcpExt:",
    "TCPToZeroWindowAdv",
    "TCPv6",
    "filp",
    "-1",
    "18446744073709551616",
];

/// `sockstat`, `netstat`, `slabinfo` and a sysctl.
pub fn text_seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    Ok([
        "sockets: used 16\nTCP: inuse 1 orphan 0 tw 7 alloc 1 mem 368\nUDP: inuse 0 mem 5\n",
        "TcpExt: SyncookiesSent TCPToZeroWindowAdv A\nTcpExt: 1 22 3\nIpExt: C\nIpExt: 4\n",
        "# name <active_objs> <num_objs> <objsize>\nTCP 92 143 2368 13 8\nfilp 570 609 192 21 1\n",
        "287901\t383868\t575802\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into())
}

/// What stands behind changes nothing of what stands before.
pub fn run_text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (sockstat(&text), slab_bytes(&text), count(&text, "C"));
    assert!(
        limits(&text)
            .iter()
            .all(|pages| *pages == 0 || !text.is_empty())
    );
    let behind = |line: &str| format!("{line}\n{text}");
    let read = sockstat(&behind(
        "UDP: mem 5\nTCP: inuse 1 orphan 0 tw 7 alloc 1 mem 368",
    ));
    assert_eq!(
        (read.tcp_pages, read.time_wait, read.udp_pages),
        (368, 7, 5)
    );
    let netstat = behind("TcpExt: A TCPToZeroWindowAdv B\nTcpExt: 1 22 3");
    assert_eq!(count(&netstat, "TCPToZeroWindowAdv"), Some(22));
    assert_eq!(limits(&behind("1\t2\t3")), [1, 2, 3]);
    assert!(slab_bytes(&behind("TCP 92 143 2368 13 8")) >= 2368);
}
