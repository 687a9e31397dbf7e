//! One look of a trace at the sockets: what is there, and who did what.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
};

use tracer_common::socket::{Ends, KEY_IS_INODE, SocketCalls};

use super::{
    Reader, SocketsError,
    assemble::addresses,
    pressure,
    reads::{Looked, ReadsSeen},
};
use crate::{
    collect::clock,
    model::{
        sockets::{Kind, Place, Snapshot, Socket},
        trace_sockets::Events,
    },
    probe::sockets::CallsMap,
};

/// What a look found.
#[derive(Debug, Default)]
pub struct Seen {
    /// All sockets of the host.
    pub snapshot: Snapshot,
    /// Who did what to those of targets, by cookie.
    pub calls: HashMap<u64, SocketCalls>,
    /// Since the first look.
    pub events: Events,
}

/// Looks, and remembers what the next look must know.
pub struct Looker {
    reader: Reader,
    map: CallsMap,
    /// By cookie, the process that had a socket open.
    had: HashMap<u64, u32>,
    /// Keys of the map without a socket, last time.
    absent: HashSet<u64>,
    /// Of sockets that are gone.
    events: Events,
    retransmits: Option<HashMap<u64, u64>>,
    reads: ReadsSeen,
    windows: Option<Events>,
}

impl Looker {
    /// Nothing is known yet.
    pub fn new(reader: Reader, map: CallsMap) -> Self {
        Self {
            reader,
            map,
            had: HashMap::new(),
            absent: HashSet::new(),
            events: Events::default(),
            retransmits: None,
            reads: ReadsSeen::default(),
            windows: None,
        }
    }

    /// Looks. `processes`: by address space, the pids that are or were traced.
    pub fn look(&mut self, processes: &BTreeMap<u32, u32>) -> Result<Seen, SocketsError> {
        let began_ns = clock::Moment::now().monotonic_ns;
        let mut snapshot = self.reader.snapshot()?;
        let ended_ns = clock::Moment::now().monotonic_ns;
        let looked = Looked { began_ns, ended_ns };
        self.reads.look(&mut snapshot.sockets, looked);
        let mut raw = HashMap::new();
        self.map.read(|key, calls| {
            raw.insert(key, *calls);
        })?;
        let calls = calls_by_cookie(&snapshot, &raw);
        self.remember_owners(&mut snapshot, &calls, processes);
        let mut events = self.count_calls(&raw, &snapshot);
        let own = own_sockets(&snapshot, processes);
        self.count_retransmits(own);
        events.retransmits = self.events.retransmits;
        if let Some(now) = processes.values().find_map(|pid| pressure::windows(*pid)) {
            let first = *self.windows.get_or_insert(now);
            let since = |now: u64, first: u64| now.saturating_sub(first);
            events.zero_windows_sent = since(now.zero_windows_sent, first.zero_windows_sent);
            events.zero_windows_ended = since(now.zero_windows_ended, first.zero_windows_ended);
        }
        Ok(Seen {
            snapshot,
            calls,
            events,
        })
    }

    /// An orphan is of the process that was seen to have it, or to have used it.
    fn remember_owners(
        &mut self,
        snapshot: &mut Snapshot,
        calls: &HashMap<u64, SocketCalls>,
        processes: &BTreeMap<u32, u32>,
    ) {
        let mut known = HashMap::with_capacity(snapshot.sockets.len());
        let tcp = (snapshot.sockets.iter_mut()).filter(|socket| socket.kind == Kind::Tcp);
        for socket in tcp.filter(|socket| socket.cookie != 0) {
            let calls = calls.get(&socket.cookie);
            let user = calls.and_then(|calls| processes.get(&calls.space).copied());
            let before = self.had.get(&socket.cookie).copied();
            let pid = match &mut socket.place {
                Place::Open { owners } => user.or(owners.first().map(|owner| owner.pid)),
                Place::Orphan { had } => {
                    *had = had.or(user).or(before);
                    *had
                }
                Place::AcceptQueue { .. } | Place::Unknown => before,
            };
            if let Some(pid) = pid {
                known.insert(socket.cookie, pid);
            }
        }
        self.had = known;
    }

    /// Counts events, and forgets what has no socket any more, the second time it is
    /// not there: a socket may have come while the others were read.
    fn count_calls(&mut self, raw: &HashMap<u64, SocketCalls>, snapshot: &Snapshot) -> Events {
        let keys = |socket: &Socket| [socket.cookie, socket.inode | KEY_IS_INODE];
        let present: HashSet<u64> = snapshot.sockets.iter().flat_map(keys).collect();
        let orphans = snapshot.sockets.iter().filter(|socket| socket.inode == 0);
        let orphans: HashSet<Between> = orphans.map(between).collect();
        let is_present = |key: &u64, calls: &SocketCalls| {
            let is_early = key & KEY_IS_INODE != 0;
            present.contains(key) || (is_early && orphans.contains(&between_of(&calls.ends)))
        };
        let mut events = self.events;
        let mut absent = HashSet::new();
        for (key, calls) in raw {
            events.limit_exceeded += calls.limit_exceeded;
            events.receive_queue_full += calls.receive_queue_full;
            if is_present(key, calls) {
                continue;
            }
            if !self.absent.contains(key) || self.map.forget(*key).is_err() {
                absent.insert(*key);
            } else {
                self.events.limit_exceeded += calls.limit_exceeded;
                self.events.receive_queue_full += calls.receive_queue_full;
            }
        }
        self.absent = absent;
        events
    }

    fn count_retransmits<'a>(&mut self, sockets: impl Iterator<Item = &'a Socket>) {
        let now: HashMap<u64, u64> = sockets
            .filter_map(|socket| Some((socket.cookie, socket.tcp?.retransmits)))
            .collect();
        if let Some(before) = &self.retransmits {
            // What one sent again before it was seen first may be from before the trace.
            for (cookie, count) in &now {
                let before = before.get(cookie).unwrap_or(count);
                self.events.retransmits += count.saturating_sub(*before);
            }
        }
        self.retransmits = Some(now);
    }
}

/// A connection's network namespace and both ends.
type Between = (u32, (Option<SocketAddr>, Option<SocketAddr>));

const fn between(socket: &Socket) -> Between {
    (socket.namespace, (socket.local, socket.peer))
}

fn between_of(ends: &Ends) -> Between {
    (ends.namespace, addresses(ends))
}

/// What was done to each socket: kept by its cookie, and while it had none by its
/// inode, which an orphan has lost: then it is known by its ends.
fn calls_by_cookie(
    snapshot: &Snapshot,
    raw: &HashMap<u64, SocketCalls>,
) -> HashMap<u64, SocketCalls> {
    let early = raw.iter().filter(|(key, _)| *key & KEY_IS_INODE != 0);
    let by_ends: HashMap<Between, &SocketCalls> = early
        .map(|(_, calls)| (between_of(&calls.ends), calls))
        .collect();
    let of = |socket: &Socket| {
        let early = match socket.inode {
            0 => by_ends.get(&between(socket)).copied(),
            inode => raw.get(&(inode | KEY_IS_INODE)),
        };
        match (raw.get(&socket.cookie), early) {
            (Some(calls), Some(early)) => Some(merged(early, calls)),
            (calls, early) => calls.or(early).copied(),
        }
    };
    let sockets = snapshot.sockets.iter().filter(|socket| socket.cookie != 0);
    sockets
        .filter_map(|socket| Some((socket.cookie, of(socket)?)))
        .collect()
}

/// Two records of a socket, the older one first. The newer's marks go on from the
/// older's last one.
fn merged(older: &SocketCalls, newer: &SocketCalls) -> SocketCalls {
    let mut merged = *newer;
    if newer.marks == 0 {
        merged.marks = older.marks;
        merged.senders = older.senders;
    } else if older.marks > 0 && (newer.marks as usize) < newer.senders.len() {
        let last = (older.marks as usize - 1) % older.senders.len();
        merged.senders.rotate_right(1);
        merged.senders[0] = older.senders[last];
        merged.marks += 1;
    }
    if merged.reader == 0 {
        merged.reader = older.reader;
    }
    if merged.opener == 0 {
        merged.opener = older.opener;
    }
    merged
}

fn own_sockets<'a>(
    snapshot: &'a Snapshot,
    processes: &BTreeMap<u32, u32>,
) -> impl Iterator<Item = &'a Socket> {
    let pids: HashSet<u32> = processes.values().copied().collect();
    (snapshot.sockets.iter()).filter(move |socket| match &socket.place {
        Place::Open { owners } => owners.iter().any(|owner| pids.contains(&owner.pid)),
        Place::Orphan { had } => had.is_some_and(|pid| pids.contains(&pid)),
        Place::AcceptQueue { .. } | Place::Unknown => false,
    })
}
