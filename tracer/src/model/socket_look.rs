//! What one look at the host's sockets says: `memtrace sockets --json`, and the last
//! look of a trace.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::sockets::{Host, Socket, Source};

/// Socket memory, of the host or of the processes asked for, by whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// How the sockets were found.
    pub source: Source,
    /// What the host says of itself.
    pub host: Host,
    /// All sockets of the host.
    pub host_sums: Sums,
    /// What `/proc/net/sockstat` has and the sockets do not; negative: the other
    /// way round. Small where everything was seen.
    pub unexplained_bytes: i64,
    /// The pids that were asked for; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<u32>,
    /// The sockets of those processes, or of the host.
    pub sums: Sums,
    /// By process, most buffer bytes first.
    pub processes: Vec<ProcessSockets>,
    /// By listening port (of a connection that was accepted: its own), most first.
    pub ports: Vec<PortSockets>,
    /// By the other end's address, most first.
    pub peers: Vec<PeerSockets>,
    /// The sockets with most in their buffers.
    pub largest: Vec<Large>,
    /// What the lists above had no room for: how many entries each left out.
    pub left_out: LeftOut,
    /// What is missing, approximate or not known. Sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Sums over sockets. Each socket's buffers are in exactly one of TCP's four, or in
/// UDP's or Unix's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// TCP sockets that are connections, wherever they are.
    pub connections: u64,
    /// TCP sockets that listen.
    pub listeners: u64,
    /// Received and not read, of open connections.
    pub receive_bytes: u64,
    /// Sent and not acknowledged or not sent yet, of open connections.
    pub send_bytes: u64,
    /// Of that not even sent: payload.
    pub not_sent_bytes: u64,
    /// Connections in accept queues.
    pub accept_queue: u64,
    /// Buffers of those.
    pub accept_queue_bytes: u64,
    /// Connections that their process has closed and the kernel has not.
    pub orphans: u64,
    /// Buffers of those.
    pub orphan_bytes: u64,
    /// Reserved by TCP sockets and not used.
    pub forward_bytes: u64,
    /// UDP sockets.
    pub udp: u64,
    /// Both their queues.
    pub udp_bytes: u64,
    /// Unix sockets.
    pub unix: u64,
    /// Both their queues.
    pub unix_bytes: u64,
    /// Estimated: the kernel's own structures for the TCP sockets.
    pub slab_bytes: u64,
}

/// One process's sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSockets {
    /// Process id on the host; `None`: of nobody that is known.
    pub pid: Option<u32>,
    /// `argv[0]` only: arguments hold secrets.
    pub command: String,
    /// Its sockets, with the accept queues of its listeners and its orphans.
    pub sums: Sums,
    /// Its resident set, where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// Connections that wait for the other end to read ([`Cause::PeerDoesNotRead`]).
    pub stalled: u64,
    /// Buffers of those.
    pub stalled_bytes: u64,
}

/// The connections of one local port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSockets {
    /// The port.
    pub port: u16,
    /// Who listens there; `None`: nobody that is known.
    pub pid: Option<u32>,
    /// Its name.
    pub command: String,
    /// Its connections.
    pub sums: Sums,
}

/// The connections to one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSockets {
    /// The other end.
    pub address: IpAddr,
    /// Its connections.
    pub sums: Sums,
    /// Of those, stalled ones.
    pub stalled: u64,
}

/// One of the largest sockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Large {
    /// Whose it is: the owner, the owner of its listener, or who had it.
    pub pid: Option<u32>,
    /// Its name.
    pub command: String,
    /// The socket.
    pub socket: Socket,
    /// Why there is so much in its buffers.
    pub cause: Cause,
}

/// Why there is something in a socket's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The other end does not read: its window is what holds the queue up, and has no
    /// room for even a segment.
    PeerDoesNotRead,
    /// The same, but there is some room, now and then: it reads too slowly.
    PeerReadsSlowly,
    /// The network does not take more.
    Network,
    /// The process does not read.
    NotRead,
    /// It was not accepted yet.
    NotAccepted,
    /// On its way: nothing holds it up that could be told.
    InFlight,
    /// Its buffers are empty.
    Nothing,
}

/// How many entries lists left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Of `processes`.
    pub processes: u64,
    /// Of `ports`.
    pub ports: u64,
    /// Of `peers`.
    pub peers: u64,
}

impl Sums {
    /// All buffers of TCP.
    #[must_use]
    pub fn tcp_buffers(&self) -> u64 {
        [
            self.receive_bytes,
            self.send_bytes,
            self.accept_queue_bytes,
            self.orphan_bytes,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// What is said of a process beside its sockets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// `argv[0]`, or what else names it; empty: not known.
    pub command: String,
    /// Its resident set, where it could be read.
    pub resident_bytes: Option<u64>,
}
