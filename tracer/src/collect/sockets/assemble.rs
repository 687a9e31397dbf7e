//! From what the iterators told to sockets: pure.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tracer_common::socket::{
    AcceptRecord, Ends, FLAG_COUNTS_RECEIVED, FLAG_DEAD, FLAG_HAS_FILE, FLAG_UPPER_LAYER,
    OwnerRecord, SocketRecord,
};

use super::{SOCKETS_MAX, received::Received};
use crate::{
    model::sockets::{Kind, Limit, Listener, Memory, Owner, Place, Socket, State, Tcp},
    probe::sockets::Record,
};

/// With more owners of sockets than this the rest are only counted.
const OWNED_MAX: usize = 4 * SOCKETS_MAX;
const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const IPPROTO_TCP: u32 = 6;
/// `TCP_CHRONO_RWND_LIMITED`, `TCP_CHRONO_SNDBUF_LIMITED`: of `chrono_stat` one less.
const CHRONO_BUSY: u32 = 1;
const CHRONO_RECEIVER: u32 = 2;
const CHRONO_BUFFER: u32 = 3;

/// What the iterators told, all namespaces together.
#[derive(Debug, Default)]
pub struct Told {
    tcp: Vec<SocketRecord>,
    /// Their cookies: a table that changes while it is gone through has some twice.
    seen: HashSet<u64>,
    others: HashMap<u64, SocketRecord>,
    /// By inode: what MPTCP opens has one with the TCP sockets beneath it.
    owners: HashMap<u64, Vec<Owner>>,
    /// How many there are in all.
    owned: usize,
    /// By connection.
    listeners: HashMap<u64, u64>,
    left_out: LeftOut,
}

/// What there was no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Sockets.
    pub sockets: u64,
    /// What TCP's accounting has of those.
    pub bytes: u64,
    /// Times that somebody has one.
    pub owners: u64,
}

impl Told {
    /// Takes a record in.
    pub fn add(&mut self, record: Record) {
        match record {
            Record::Socket(record) => self.add_socket(record),
            Record::Owner(OwnerRecord {
                pid,
                descriptor,
                inode,
                ..
            }) => self.own(inode, pid, descriptor),
            Record::Accept(AcceptRecord { connection: 0, .. }) => {}
            Record::Accept(AcceptRecord {
                listener,
                connection,
                ..
            }) => {
                // Of more it is found out as of those of a long queue.
                if self.listeners.len() < SOCKETS_MAX {
                    self.listeners.insert(connection, listener);
                }
            }
        }
    }

    fn add_socket(&mut self, record: SocketRecord) {
        let is_tcp = record.protocol == IPPROTO_TCP;
        if !is_tcp {
            self.own(record.inode, record.pid, record.descriptor);
        }
        let is_known = match is_tcp {
            // Those of files come last: one that is in no table, as it was reset.
            true => record.cookie != 0 && self.seen.contains(&record.cookie),
            false => self.others.contains_key(&record.inode),
        };
        if is_known {
            return;
        }
        if self.tcp.len() + self.others.len() >= SOCKETS_MAX {
            self.left_out.sockets += 1;
            let bytes = memory(&record, kind(&record)).accounted();
            self.left_out.bytes = self.left_out.bytes.saturating_add(bytes);
        } else if is_tcp {
            self.seen.insert(record.cookie);
            self.tcp.push(record);
        } else {
            self.others.insert(record.inode, record);
        }
    }

    /// What it had no room for.
    pub const fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Whether there is something in accept queues, as far as was told.
    pub fn has_waiting(&self) -> bool {
        self.tcp.iter().any(is_waiting)
    }

    /// Sockets that are open and that no namespace told of.
    pub fn unseen(&self) -> usize {
        let seen: HashSet<u64> = self.tcp.iter().map(|it| it.inode).collect();
        let open = self.owners.keys();
        open.filter(|inode| !seen.contains(inode) && !self.others.contains_key(inode))
            .count()
    }

    fn own(&mut self, inode: u64, pid: u32, descriptor: u32) {
        // Files come process by process.
        let known = self.owners.get_mut(&inode);
        let last = known.and_then(|owners| owners.last_mut());
        if let Some(owner) = last.filter(|owner| owner.pid == pid) {
            owner.descriptor = owner.descriptor.min(descriptor);
        } else if self.owned < OWNED_MAX {
            self.owned += 1;
            let owners = self.owners.entry(inode).or_default();
            owners.push(Owner { pid, descriptor });
        } else {
            self.left_out.owners += 1;
        }
    }

    /// The sockets. `tick`: the time between two jiffies.
    pub fn sockets(mut self, tick: Duration) -> Vec<Socket> {
        let mut sockets = Vec::with_capacity(self.tcp.len() + self.others.len());
        for record in std::mem::take(&mut self.tcp) {
            let place = self.place(&record);
            sockets.extend(socket(&record, place, tick));
        }
        for record in std::mem::take(&mut self.others).into_values() {
            let place = self.open(&record);
            sockets.extend(socket(&record, place, tick));
        }
        sockets
    }

    fn place(&self, record: &SocketRecord) -> Place {
        if is_waiting(record) {
            return Place::AcceptQueue {
                listener: self.listeners.get(&record.cookie).copied(),
            };
        }
        if record.flags & FLAG_DEAD != 0 && record.flags & FLAG_HAS_FILE == 0 {
            return Place::Orphan { had: None };
        }
        self.open(record)
    }

    fn open(&self, record: &SocketRecord) -> Place {
        match self.owners.get(&record.inode).filter(|_| record.inode != 0) {
            Some(owners) => {
                let mut owners = owners.clone();
                owners.sort_unstable();
                owners.dedup_by_key(|owner| owner.pid);
                Place::Open { owners }
            }
            None => Place::Unknown,
        }
    }
}

/// A connection that nobody has accepted, or that is being made.
fn is_waiting(record: &SocketRecord) -> bool {
    record.flags & (FLAG_DEAD | FLAG_HAS_FILE) == 0
        && !matches!(
            State::from_number(record.state),
            Some(State::Listen | State::Close) | None
        )
}

const fn kind(record: &SocketRecord) -> Kind {
    match (record.protocol, record.ends.family) {
        (IPPROTO_TCP, _) => Kind::Tcp,
        (_, AF_UNIX) => Kind::Unix,
        _ => Kind::Udp,
    }
}

fn socket(record: &SocketRecord, place: Place, tick: Duration) -> Option<Socket> {
    let (kind, state) = (kind(record), State::from_number(record.state)?);
    let is_listener = kind == Kind::Tcp && state == State::Listen;
    let (local, peer) = addresses(&record.ends);
    Some(Socket {
        cookie: record.cookie,
        inode: record.inode,
        namespace: record.ends.namespace,
        kind,
        state,
        place,
        local,
        peer,
        memory: memory(record, kind),
        tcp: (kind == Kind::Tcp && !is_listener).then(|| tcp(record, state, tick)),
        listener: is_listener.then(|| Listener {
            queued: u64::from(record.accept_backlog),
            queue_limit: u64::from(record.accept_backlog_max),
        }),
    })
}

fn memory(record: &SocketRecord, kind: Kind) -> Memory {
    // A refcount that begins at one (`sk_wmem_alloc_get`, include/net/sock.h).
    let transmit_bytes = u64::from(record.send_allocated.saturating_sub(1));
    Memory {
        receive_bytes: signed(record.receive_allocated),
        receive_limit: signed(record.receive_buffer),
        send_bytes: match kind {
            Kind::Tcp => signed(record.send_queued),
            Kind::Udp | Kind::Unix => transmit_bytes,
        },
        transmit_bytes,
        send_limit: signed(record.send_buffer),
        forward_bytes: signed(record.forward_allocated),
        option_bytes: signed(record.option_allocated),
        backlog_bytes: signed(record.backlog),
        drops: u64::from(record.drops),
    }
}

/// What can be below zero for a moment.
fn signed(value: u32) -> u64 {
    u64::from((value as i32).max(0) as u32)
}

/// Both ends of a connection.
pub fn addresses(ends: &Ends) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let peer_port = u16::from_be(ends.peer_port as u16);
    (
        address(ends.family, ends.local_address, ends.local_port as u16),
        address(ends.family, ends.peer_address, peer_port).filter(|it| it.port() != 0),
    )
}

fn address(family: u32, words: [u32; 4], port: u16) -> Option<SocketAddr> {
    // Words as they stand in memory, which is in the network's order.
    let mut bytes = [0; 16];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    let address = match family {
        AF_INET => {
            let [a, b, c, d, ..] = bytes;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        AF_INET6 => IpAddr::V6(Ipv6Addr::from(bytes)),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

fn tcp(record: &SocketRecord, state: State, tick: Duration) -> Tcp {
    let milliseconds = |ticks: u32| (tick * ticks).as_millis() as u64;
    let ago = |then: u32| match then {
        0 => 0,
        then => milliseconds(record.now.wrapping_sub(then)),
    };
    // Sequence numbers are modulo 2³²; what is behind is not ahead.
    let ahead = |to: u32, from: u32| signed(to.wrapping_sub(from));
    // tcp_get_info_chrono_stats, net/ipv4/tcp.c
    let spell = record.now.wrapping_sub(record.chrono_start);
    let spent = |chrono: u32| {
        let before = record
            .chrono_stat
            .get(chrono as usize - 1)
            .copied()
            .unwrap_or(0);
        let now = if record.chrono_type == chrono {
            spell
        } else {
            0
        };
        milliseconds(before.wrapping_add(now))
    };
    let limited_by = match record.chrono_type {
        CHRONO_BUSY => Some(Limit::Network),
        CHRONO_RECEIVER => Some(Limit::Receiver),
        CHRONO_BUFFER => Some(Limit::SendBuffer),
        _ => None,
    };
    let (receiver, buffer) = (spent(CHRONO_RECEIVER), spent(CHRONO_BUFFER));
    let receive_queue = ahead(record.rcv_nxt, record.copied_seq);
    let received = Received {
        bytes: (record.flags & FLAG_COUNTS_RECEIVED != 0).then_some(record.bytes_received),
        queued: receive_queue,
        state,
        has_upper_layer: record.flags & FLAG_UPPER_LAYER != 0,
    };
    Tcp {
        receive_queue,
        send_queue: ahead(record.write_seq, record.snd_una),
        not_sent: ahead(record.write_seq, record.snd_nxt),
        acknowledged: record.snd_una,
        written: record.write_seq,
        read: record.copied_seq,
        read_bytes: received.read(),
        reads: None,
        peer_window: u64::from(record.snd_wnd),
        congestion_window: record.snd_cwnd,
        segment_bytes: record.mss_cache,
        retransmits: u64::from(record.total_retrans),
        busy_ms: spent(CHRONO_BUSY) + receiver + buffer,
        receiver_limited_ms: receiver,
        buffer_limited_ms: buffer,
        limited_by,
        limited_for_ms: limited_by.map(|_| milliseconds(spell)),
        sent_ms_ago: ago(record.last_sent),
        received_ms_ago: ago(record.last_received),
        acknowledged_ms_ago: ago(record.last_heard),
    }
}
