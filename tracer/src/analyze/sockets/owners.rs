//! Whose a socket is.

use std::collections::HashMap;

use crate::model::sockets::{Owner, Place, Socket, State};

/// Tells whose sockets are.
pub struct Owners<'a> {
    asked: &'a [u32],
    /// By the listener's cookie.
    listeners: HashMap<u64, u32>,
}

impl<'a> Owners<'a> {
    /// Of these sockets; of several owners one that was asked for goes before.
    pub fn new(sockets: &[Socket], asked: &'a [u32]) -> Self {
        let mut owners = Self {
            asked,
            listeners: HashMap::new(),
        };
        let listeners = sockets.iter().filter(|it| it.state == State::Listen);
        for listener in listeners.filter(|it| it.cookie != 0) {
            if let Some(pid) = owners.of(listener) {
                owners.listeners.insert(listener.cookie, pid);
            }
        }
        owners
    }

    /// Pid of whose it is, if that is known.
    pub fn of(&self, socket: &Socket) -> Option<u32> {
        match &socket.place {
            Place::Open { owners } => self.first(owners),
            Place::AcceptQueue { listener } => self.listeners.get(listener.as_ref()?).copied(),
            Place::Orphan { had } => *had,
            Place::Unknown => None,
        }
    }

    /// Whether these sockets are to be told of.
    pub fn is_asked(&self, pid: Option<u32>) -> bool {
        self.asked.is_empty() || pid.is_some_and(|pid| self.asked.contains(&pid))
    }

    /// The lowest pid, of those that were asked for if there is one.
    pub fn lowest(&self, pids: impl Iterator<Item = u32> + Clone) -> Option<u32> {
        let asked = pids.clone().filter(|pid| self.asked.contains(pid)).min();
        asked.or_else(|| pids.min())
    }

    fn first(&self, owners: &[Owner]) -> Option<u32> {
        self.lowest(owners.iter().map(|owner| owner.pid))
    }
}
