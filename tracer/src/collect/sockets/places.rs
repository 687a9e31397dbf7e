//! Whose each socket is: by its inode, or else by its state and its address.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
};

use super::owners::Owners;
use crate::model::sockets::{Kind, Place, Socket, State};

/// Says of each socket whose it is.
///
/// A socket of TCP without an inode is in an accept queue or an orphan. Which queue
/// is told by its local address; of several listeners at one address
/// (`SO_REUSEPORT`) the first stands for all if the same processes have them.
pub fn place(sockets: &mut [Socket], mut owners: Owners) {
    for socket in &mut *sockets {
        // An inode is that of one socket.
        let owners = match socket.inode {
            0 => None,
            inode => owners.by_inode.remove(&inode),
        };
        socket.place = match owners {
            Some(owners) => Place::Open { owners },
            None => Place::Unknown,
        };
    }
    let mut listeners = Listeners::of(sockets);
    let without: Vec<_> = (sockets.iter().enumerate())
        .filter(|(_, socket)| socket.kind == Kind::Tcp && socket.inode == 0)
        .map(|(index, socket)| (index, listeners.place(socket, sockets)))
        .collect();
    for (index, place) in without {
        if let Some(socket) = sockets.get_mut(index) {
            socket.place = place;
        }
    }
}

/// Says in which accept queue those are of which that was not told: more waited in it
/// than are told of, or it was accepted or queued meanwhile.
pub fn find_listeners(sockets: &mut [Socket]) {
    let is_open = |socket: &Socket| matches!(socket.place, Place::AcceptQueue { listener: None });
    if !sockets.iter().any(is_open) {
        return;
    }
    let mut listeners = Listeners::of(sockets);
    let waiting: Vec<_> = (sockets.iter().enumerate())
        .filter(|(_, socket)| is_open(socket))
        .map(|(index, socket)| (index, listeners.queue(socket, sockets)))
        .collect();
    for (index, place) in waiting {
        if let Some(socket) = sockets.get_mut(index) {
            socket.place = place;
        }
    }
}

/// The listeners, and what was found.
struct Listeners {
    /// Their indices by namespace and port.
    at: HashMap<(u32, u16), Vec<usize>>,
    /// By namespace and address: thousands may wait at a port where thousands listen.
    found: HashMap<(u32, SocketAddr), Place>,
}

impl Listeners {
    fn of(sockets: &[Socket]) -> Self {
        let mut at: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, socket) in sockets.iter().enumerate() {
            if let (Kind::Tcp, State::Listen, Some(local)) =
                (socket.kind, socket.state, socket.local)
            {
                let key = (socket.namespace, local.port());
                at.entry(key).or_default().push(index);
            }
        }
        Self {
            at,
            found: HashMap::new(),
        }
    }

    fn place(&mut self, socket: &Socket, sockets: &[Socket]) -> Place {
        match socket.state {
            State::FinWait1 | State::FinWait2 | State::LastAck | State::Closing => {
                Place::Orphan { had: None }
            }
            State::Established | State::CloseWait | State::SynReceived => {
                self.queue(socket, sockets)
            }
            _ => Place::Unknown,
        }
    }

    fn queue(&mut self, socket: &Socket, sockets: &[Socket]) -> Place {
        let Some(local) = socket.local else {
            return Place::Unknown;
        };
        let key = (socket.namespace, local);
        if let Some(place) = self.found.get(&key) {
            return place.clone();
        }
        let place = self.search(socket.namespace, local, sockets);
        self.found.insert(key, place.clone());
        place
    }

    fn search(&self, namespace: u32, local: SocketAddr, sockets: &[Socket]) -> Place {
        let there = self.at.get(&(namespace, local.port()));
        let there = || {
            let there = there.into_iter().flatten();
            there.filter_map(|index| sockets.get(*index))
        };
        // The more fitting address first, as the kernel looks (`__inet_lookup_listener`).
        for fit in [is_same, is_any_of_family, is_any] {
            let mut fitting =
                there().filter(|listener| (listener.local).is_some_and(|bound| fit(bound, local)));
            if let Some(first) = fitting.next() {
                let is_clear = fitting.all(|other| is_of_same(first, other));
                return Place::AcceptQueue {
                    listener: is_clear.then_some(first.cookie),
                };
            }
        }
        Place::Unknown
    }
}

/// A connection by IPv4 to an IPv6 listener is an IPv6 socket with a mapped address.
fn is_same(listener: SocketAddr, local: SocketAddr) -> bool {
    listener.ip() == local.ip()
}

fn is_any_of_family(listener: SocketAddr, local: SocketAddr) -> bool {
    listener.ip().is_unspecified() && listener.is_ipv4() == local.is_ipv4()
}

/// An IPv6 socket may become an IPv4 one (`IPV6_ADDRFORM`).
fn is_any(listener: SocketAddr, local: SocketAddr) -> bool {
    listener.ip() == IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED) && local.is_ipv4()
}

/// Whether the same processes have both, so that it does not matter which it is.
fn is_of_same(one: &Socket, other: &Socket) -> bool {
    let pids = |socket: &Socket| match &socket.place {
        Place::Open { owners } => owners.iter().map(|owner| owner.pid).collect(),
        _ => Vec::new(),
    };
    let pids = (pids(one), pids(other));
    !pids.0.is_empty() && pids.0 == pids.1
}

#[cfg(test)]
mod tests;
