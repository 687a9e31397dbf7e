//! Whether anyone reads: what was read of a connection between looks at which there
//! was something in its receive queue. Pure.
//!
//! A look says only what it sees, so that times are from one look to another, and
//! count only while there was something to read.

use std::collections::HashMap;

use crate::model::sockets::{Kind, Reads, Socket};

/// Two looks closer to each other tell little of who reads: ns.
const SHORT_NS: u64 = 1_000_000_000;

/// When a look was made, `CLOCK_MONOTONIC`, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    pub began_ns: u64,
    pub ended_ns: u64,
}

/// What was read of each connection with a receive queue, by cookie.
#[derive(Debug, Default)]
pub struct ReadsSeen {
    seen: HashMap<u64, Seen>,
}

/// What looks saw of a connection.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// How much had been read, at the earliest look since which that is so, and when
    /// that ended.
    now: (u64, u64),
    /// The same of the last look before.
    before: Option<(u64, u64)>,
    /// When the last look at all ended.
    last_ns: u64,
}

impl ReadsSeen {
    /// Takes a look in, and tells of each connection what was read since others.
    pub fn look(&mut self, sockets: &mut [Socket], looked: Looked) {
        let mut seen = HashMap::new();
        let tcp = sockets.iter_mut().filter(|it| it.kind == Kind::Tcp);
        for socket in tcp.filter(|it| it.cookie != 0) {
            let Some(tcp) = &mut socket.tcp else {
                continue;
            };
            let Some(read) = tcp.read_bytes.filter(|_| tcp.receive_queue > 0) else {
                continue;
            };
            let mut it = match self.seen.get(&socket.cookie) {
                // Less than before: it was connected anew.
                Some(it) if it.now.0 <= read => *it,
                _ => Seen {
                    now: (read, looked.ended_ns),
                    before: None,
                    last_ns: looked.ended_ns,
                },
            };
            if it.now.0 != read {
                it.before = Some((it.now.0, it.last_ns));
                it.now = (read, looked.ended_ns);
            }
            it.last_ns = looked.ended_ns;
            tcp.reads = it.reads(looked);
            seen.insert(socket.cookie, it);
        }
        self.seen = seen;
    }
}

impl Seen {
    fn reads(&self, looked: Looked) -> Option<Reads> {
        let (read, at) = self.now;
        let for_ns = looked.began_ns.saturating_sub(at);
        let (bytes, over_ns) = match self.before {
            // What was read a moment before is not held against a reader.
            Some((before, then)) if for_ns < SHORT_NS => {
                (read - before, looked.began_ns.saturating_sub(then))
            }
            _ => (0, for_ns),
        };
        // The first look.
        (over_ns > 0).then_some(Reads {
            bytes,
            over_ms: over_ns / 1_000_000,
        })
    }
}

#[cfg(test)]
mod tests;
