//! Who holds the memory of sockets: by process, by listening port, by the other end;
//! the largest, and why there is something in them.

mod attribution;
mod cause;
mod owners;
mod reading;
mod sums;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

pub use attribution::{Attribution, Share, Why, attribute};
pub use cause::{cause, is_stalled};

use crate::model::{
    socket_look::{About, Large, LeftOut, Look, PeerSockets, PortSockets, ProcessSockets, Sums},
    sockets::{Kind, Snapshot, Socket, State},
};
use owners::Owners;

/// Processes that are told of.
const PROCESSES: usize = 50;
/// Listening ports.
const PORTS: usize = 20;
/// Addresses of other ends.
const PEERS: usize = 20;
/// Sockets that are told of one by one.
const LARGEST: usize = 20;

/// Shares the sockets out to those whose they are. `pids`: only theirs, and how much
/// of the host's they are; empty: all. `about` is asked once for each process that
/// is named.
#[must_use]
pub fn look(snapshot: &Snapshot, pids: &[u32], about: &dyn Fn(u32) -> About) -> Look {
    let slab_bytes = snapshot.host.slab_bytes_per_socket;
    let owners = Owners::new(&snapshot.sockets, pids);
    let mut host_sums = Sums::default();
    let mut sums = Sums::default();
    let mut chosen = Vec::new();
    for socket in &snapshot.sockets {
        sums::add(&mut host_sums, socket, slab_bytes);
        let pid = owners.of(socket);
        if owners.is_asked(pid) {
            sums::add(&mut sums, socket, slab_bytes);
            chosen.push((pid, socket));
        }
    }
    let mut named = Named {
        about,
        known: HashMap::new(),
    };
    let mut left_out = LeftOut::default();
    let mut processes = by_process(&chosen, pids, slab_bytes);
    left_out.processes = cut(&mut processes, PROCESSES);
    for process in &mut processes {
        let about = named.of(process.pid);
        process.command = about.command;
        process.resident_bytes = about.resident_bytes;
    }
    let mut ports = by_port(&snapshot.sockets, &chosen, &owners, slab_bytes);
    left_out.ports = cut(&mut ports, PORTS);
    for port in &mut ports {
        port.command = named.of(port.pid).command;
    }
    let mut peers = by_peer(&chosen, slab_bytes);
    left_out.peers = cut(&mut peers, PEERS);
    let largest = largest(&chosen, &mut named);
    Look {
        source: snapshot.source,
        host: snapshot.host,
        unexplained_bytes: unexplained(snapshot),
        host_sums,
        pids: pids.to_vec(),
        sums,
        processes,
        ports,
        peers,
        largest,
        left_out,
        notes: snapshot.notes.clone(),
    }
}

/// All processes with sockets, most buffer bytes first; nothing but their sums.
#[must_use]
pub fn of_processes(snapshot: &Snapshot) -> Vec<ProcessSockets> {
    let owners = Owners::new(&snapshot.sockets, &[]);
    let owned = snapshot.sockets.iter().map(|it| (owners.of(it), it));
    let owned: Vec<Owned<'_>> = owned.collect();
    by_process(&owned, &[], snapshot.host.slab_bytes_per_socket)
}

/// A socket and whose it is.
type Owned<'a> = (Option<u32>, &'a Socket);

/// Asks of each process once.
struct Named<'a> {
    about: &'a dyn Fn(u32) -> About,
    known: HashMap<u32, About>,
}

impl Named<'_> {
    fn of(&mut self, pid: Option<u32>) -> About {
        let Some(pid) = pid else {
            return About::default();
        };
        let about = self.about;
        self.known.entry(pid).or_insert_with(|| about(pid)).clone()
    }
}

/// What the kernel accounts and no socket has.
fn unexplained(snapshot: &Snapshot) -> i64 {
    let tcp = snapshot.sockets.iter().filter(|it| it.kind == Kind::Tcp);
    let seen: i128 = tcp.map(|it| i128::from(it.memory.accounted())).sum();
    let left = i128::from(snapshot.host.tcp_accounted_bytes) - seen;
    i64::try_from(left).unwrap_or(if left < 0 { i64::MIN } else { i64::MAX })
}

/// A process that was asked for is there without a socket too.
fn by_process(chosen: &[Owned<'_>], pids: &[u32], slab_bytes: u64) -> Vec<ProcessSockets> {
    let mut by_pid: BTreeMap<Option<u32>, ProcessSockets> = BTreeMap::new();
    for pid in pids {
        by_pid.entry(Some(*pid)).or_default();
    }
    for (pid, socket) in chosen {
        let process = by_pid.entry(*pid).or_default();
        sums::add(&mut process.sums, socket, slab_bytes);
        if is_stalled(socket) {
            process.stalled += 1;
            sums::raise(&mut process.stalled_bytes, socket.memory.buffers());
        }
    }
    let processes = by_pid.into_iter();
    let mut processes: Vec<_> = processes
        .map(|(pid, process)| ProcessSockets { pid, ..process })
        .collect();
    processes.sort_by_key(|process| order(&process.sums));
    processes
}

/// Largest buffers first, then most sockets.
fn order(sums: &Sums) -> impl Ord + use<> {
    let others = sums.udp_bytes.saturating_add(sums.unix_bytes);
    let tcp = sums.connections + sums.listeners;
    Reverse((sums.tcp_buffers(), others, tcp, sums.udp + sums.unix))
}

/// Connections whose local port somebody listens at, in the same namespace: a port
/// that a client got from the kernel is nothing to know it by.
fn by_port(
    sockets: &[Socket],
    chosen: &[Owned<'_>],
    owners: &Owners<'_>,
    slab_bytes: u64,
) -> Vec<PortSockets> {
    let key = |socket: &Socket| {
        let port = socket.local?.port();
        (socket.kind == Kind::Tcp).then_some((port, socket.namespace))
    };
    let mut listening: HashMap<_, Vec<u32>> = HashMap::new();
    for socket in sockets.iter().filter(|it| it.state == State::Listen) {
        if let Some(key) = key(socket) {
            listening.entry(key).or_default().extend(owners.of(socket));
        }
    }
    let mut by_port: BTreeMap<_, Sums> = BTreeMap::new();
    for (_, socket) in chosen {
        if let Some(key) = key(socket).filter(|key| listening.contains_key(key)) {
            sums::add(by_port.entry(key).or_default(), socket, slab_bytes);
        }
    }
    let ports = by_port.into_iter();
    let mut ports: Vec<_> = ports
        .map(|(key, sums)| PortSockets {
            port: key.0,
            pid: (listening.get(&key)).and_then(|pids| owners.lowest(pids.iter().copied())),
            command: String::new(),
            sums,
        })
        .collect();
    ports.sort_by_key(|port| order(&port.sums));
    ports
}

fn by_peer(chosen: &[Owned<'_>], slab_bytes: u64) -> Vec<PeerSockets> {
    let mut by_address: BTreeMap<IpAddr, PeerSockets> = BTreeMap::new();
    for (_, socket) in chosen {
        let Some(address) = peer(socket) else {
            continue;
        };
        let peer = by_address.entry(address).or_insert_with(|| PeerSockets {
            address,
            sums: Sums::default(),
            stalled: 0,
        });
        sums::add(&mut peer.sums, socket, slab_bytes);
        peer.stalled += u64::from(is_stalled(socket));
    }
    let mut peers: Vec<_> = by_address.into_values().collect();
    peers.sort_by_key(|peer| order(&peer.sums));
    peers
}

/// Address of a connection's other end; of IPv4 in an IPv6 socket the IPv4 one.
fn peer(socket: &Socket) -> Option<IpAddr> {
    let is_connection = socket.kind == Kind::Tcp && socket.state != State::Listen;
    let address = socket.peer.filter(|_| is_connection)?.ip().to_canonical();
    (!address.is_unspecified()).then_some(address)
}

fn largest(chosen: &[Owned<'_>], named: &mut Named<'_>) -> Vec<Large> {
    let mut largest: Vec<&Owned<'_>> = (chosen.iter())
        .filter(|(_, socket)| socket.memory.buffers() > 0)
        .collect();
    largest.sort_by_key(|(_, socket)| (Reverse(socket.memory.buffers()), socket.cookie));
    (largest.into_iter().take(LARGEST))
        .map(|(pid, socket)| Large {
            pid: *pid,
            command: named.of(*pid).command,
            socket: (*socket).clone(),
            cause: cause(socket),
        })
        .collect()
}

/// Keeps the first ones; how many it left out.
fn cut<T>(list: &mut Vec<T>, most: usize) -> u64 {
    let left_out = list.len().saturating_sub(most);
    list.truncate(most);
    left_out as u64
}
