//! Which stack the bytes in the queues of traced processes are of.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
};

use tracer_common::socket::SocketCalls;

use super::{
    is_stalled,
    owners::Owners,
    reading::{add, reading},
};
use crate::model::{
    sockets::{Kind, Place, Socket, Tcp},
    trace_sockets::{PeerBytes, Queue, Reading},
};

/// Other ends that are told of one by one.
const PEERS: usize = 8;

/// Why there is no stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// It was written before the trace began.
    SentBefore,
    /// More stacks wrote by turns since than are kept.
    Forgotten,
    /// Nobody has read from the connection within the trace, nor opened it.
    NotReadSince,
    /// Nobody has accepted within the trace.
    NotAccepted,
    /// There was a stack, and it was lost.
    Lost,
}

impl Why {
    /// As reports say it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::SentBefore => "sent before the trace",
            Self::Forgotten => "by more stacks in turn than are kept",
            Self::NotReadSince => "neither opened nor read within the trace",
            Self::NotAccepted => "nothing was accepted there within the trace",
            Self::Lost => "stack lost",
        }
    }
}

/// Bytes of one stack in one kind of queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// In the queues.
    pub bytes: u64,
    /// By cookie, the sockets these are of.
    ends: BTreeMap<u64, End>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    address: Option<SocketAddr>,
    bytes: u64,
    is_stalled: bool,
    reading: Option<Reading>,
}

/// Whose the bytes are. All together they are the queues' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// By process, queue and the site's key.
    pub by_site: BTreeMap<(u32, Queue, u64), Share>,
    /// The others.
    pub without: BTreeMap<(u32, Queue, Why), Share>,
}

/// Shares the queues of TCP sockets out. `processes`: by pid, those that are traced;
/// `calls`: by cookie, who did what.
#[must_use]
pub fn attribute(
    sockets: &[Socket],
    processes: &BTreeMap<u32, u32>,
    calls: &HashMap<u64, SocketCalls>,
) -> Attribution {
    let pids: Vec<u32> = processes.keys().copied().collect();
    let owners = Owners::new(sockets, &pids);
    let spaces: HashSet<u32> = processes.values().copied().collect();
    let mut attribution = Attribution::default();
    let mut acceptors = HashMap::new();
    let mut waiting = Vec::new();
    for socket in sockets.iter().filter(|it| it.kind == Kind::Tcp) {
        let process = owners.of(socket).and_then(|pid| processes.get(&pid));
        let Some(process) = process.copied() else {
            continue;
        };
        let calls = calls.get(&socket.cookie);
        // Of several that have it, the one that used it last: its stacks are these.
        let used = calls.map(|calls| calls.space);
        let process = (used.filter(|space| spaces.contains(space))).unwrap_or(process);
        let opener = calls.map(|it| it.opener).filter(|site| *site != 0);
        match socket.place {
            Place::AcceptQueue { .. } => waiting.push((process, socket)),
            Place::Orphan { .. } => {
                let bytes = socket.memory.buffers();
                attribution.add_sent(process, Queue::Orphan, socket, bytes, calls);
            }
            Place::Open { .. } | Place::Unknown => {
                let sent = socket.memory.send_bytes;
                attribution.add_sent(process, Queue::Send, socket, sent, calls);
                let reader = calls.map(|it| it.reader).filter(|site| *site != 0);
                let received = socket.memory.receive_bytes;
                let site = reader.or(opener).ok_or(Why::NotReadSince);
                attribution.add(process, Queue::Receive, socket, received, site);
            }
        }
        if let (Some(opener), Some(key)) = (opener, listens(socket)) {
            acceptors.entry((process, key)).or_insert(opener);
        }
    }
    for (process, socket) in waiting {
        let acceptor = listens(socket).and_then(|key| acceptors.get(&(process, key)));
        let acceptor = acceptor.copied();
        let bytes = socket.memory.buffers();
        let site = acceptor.ok_or(Why::NotAccepted);
        attribution.add(process, Queue::Accept, socket, bytes, site);
    }
    attribution
}

/// What a listener and the connections it accepted have in common.
fn listens(socket: &Socket) -> Option<(u32, u16)> {
    Some((socket.namespace, socket.local?.port()))
}

impl Attribution {
    /// Bytes that were sent: first in, first out, those who wrote last have them.
    fn add_sent(
        &mut self,
        process: u32,
        queue: Queue,
        socket: &Socket,
        bytes: u64,
        calls: Option<&SocketCalls>,
    ) {
        let (Some(calls), Some(tcp)) = (calls.filter(|it| it.marks > 0), &socket.tcp) else {
            return self.add(process, queue, socket, bytes, Err(Why::SentBefore));
        };
        let (acknowledged, written) = stream(tcp, calls);
        let payload = written.wrapping_sub(acknowledged);
        if payload == 0 {
            // Overhead of what was acknowledged a moment ago.
            let last = calls
                .senders_of(tcp.written.wrapping_sub(1), tcp.written)
                .last();
            let site = last.map_or(Err(Why::SentBefore), |(site, _)| known(site));
            return self.add(process, queue, socket, bytes, site);
        }
        let oldest = match (calls.has_forgotten(), calls.opener) {
            (true, _) => Err(Why::Forgotten),
            // It began within the trace: the first one that was seen wrote what is before.
            (false, 1..) => known(calls.senders[0].site),
            (false, 0) => Err(Why::SentBefore),
        };
        let site_of = |site| if site == 0 { oldest } else { known(site) };
        // Overhead goes with the payload; the shares add up.
        let (mut before, mut given) = (0_u64, 0_u64);
        for (site, part) in calls.senders_of(acknowledged, written) {
            before += u64::from(part);
            let until = u128::from(bytes) * u128::from(before) / u128::from(payload);
            let until = (until as u64).clamp(given, bytes);
            self.add(process, queue, socket, until - given, site_of(site));
            given = until;
        }
        // Marks of two threads that got in each other's way can leave some.
        self.add(process, queue, socket, bytes - given, oldest);
    }

    fn add(
        &mut self,
        process: u32,
        queue: Queue,
        socket: &Socket,
        bytes: u64,
        site: Result<u64, Why>,
    ) {
        if bytes == 0 {
            return;
        }
        let share = match site.and_then(known) {
            Ok(site) => self.by_site.entry((process, queue, site)).or_default(),
            Err(why) => self.without.entry((process, queue, why)).or_default(),
        };
        share.bytes = share.bytes.saturating_add(bytes);
        let end = share.ends.entry(socket.cookie).or_insert(End {
            address: socket.peer,
            bytes: 0,
            is_stalled: is_stalled(socket),
            reading: (queue == Queue::Receive).then(|| reading(socket)),
        });
        end.bytes = end.bytes.saturating_add(bytes);
    }
}

/// Which part of the stream is queued. `sock_diag` tells its length only: it then ends
/// where the last send was seen.
fn stream(tcp: &Tcp, calls: &SocketCalls) -> (u32, u32) {
    if tcp.acknowledged == 0 && tcp.written == 0 {
        let queued = u32::try_from(tcp.send_queue).unwrap_or(u32::MAX);
        return (calls.written.wrapping_sub(queued), calls.written);
    }
    (tcp.acknowledged, tcp.written)
}

/// A site's key that says something.
fn known(site: u64) -> Result<u64, Why> {
    match site {
        0 => Err(Why::SentBefore),
        // `tracer_common::site::without_stack`
        1..=0xffff_ffff => Err(Why::Lost),
        site => Ok(site),
    }
}

impl Share {
    /// How many sockets the bytes are of.
    #[must_use]
    pub fn sockets(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Adds another one's bytes: of the same stack, seen twice.
    pub fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        for (cookie, end) in &other.ends {
            let known = self.ends.entry(*cookie).or_insert(End { bytes: 0, ..*end });
            known.bytes = known.bytes.saturating_add(end.bytes);
        }
    }

    /// Of receive queues: whether anyone reads.
    #[must_use]
    pub fn reading(&self) -> Option<Reading> {
        self.ends.values().map(|end| end.reading).fold(None, add)
    }

    /// To whom, most bytes first: by address, or socket by socket where there is but
    /// one address. The last one stands for all others.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerBytes> {
        let address = |end: &End| end.address.map(|it| it.ip().to_canonical());
        let first = self.ends.values().next().map(address);
        let is_one = self.ends.values().all(|end| Some(address(end)) == first);
        let mut peers: HashMap<(Option<IpAddr>, Option<u16>), (PeerBytes, u16)> = HashMap::new();
        for end in self.ends.values() {
            let port = end.address.map(|it| it.port());
            let key = (address(end), port.filter(|_| is_one));
            let (peer, only_port) = peers.entry(key).or_default();
            peer.bytes = peer.bytes.saturating_add(end.bytes);
            peer.sockets += 1;
            peer.stalled += u64::from(end.is_stalled);
            peer.reading = add(peer.reading, end.reading);
            *only_port = port.unwrap_or(0);
        }
        let peers = peers
            .into_iter()
            .map(|((address, _), (peer, port))| PeerBytes {
                address: match address {
                    Some(address) if peer.sockets == 1 => {
                        SocketAddr::new(address, port).to_string()
                    }
                    Some(address) => address.to_string(),
                    None => "unknown".to_owned(),
                },
                ..peer
            });
        let mut peers: Vec<PeerBytes> = peers.collect();
        peers.sort_by(|a, b| (Reverse(a.bytes), &a.address).cmp(&(Reverse(b.bytes), &b.address)));
        if peers.len() > PEERS {
            let others = peers.split_off(PEERS);
            let rest = others
                .into_iter()
                .fold(PeerBytes::default(), |sum, peer| PeerBytes {
                    address: String::new(),
                    bytes: sum.bytes.saturating_add(peer.bytes),
                    sockets: sum.sockets + peer.sockets,
                    stalled: sum.stalled + peer.stalled,
                    reading: add(sum.reading, peer.reading),
                });
            peers.push(rest);
        }
        peers
    }
}
