//! What a trace found of sockets: the report's `sockets`.

use serde::{Deserialize, Serialize};

use super::{Frame, StackEnd, socket_look::Look};

/// The sockets of a trace's processes, over the trace and at its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sockets {
    /// How the stacks of who sent were taken.
    pub probes: Probes,
    /// Why not in a better way, or what that leaves out. Sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// From time to time; the last one is the end.
    pub timeline: Vec<Moment>,
    /// The last look, at the sockets of the traced processes.
    pub last: Look,
    /// Whose doing the bytes of the last look are. With
    /// [`Self::unattributed`] they add up to the queues of the last look.
    pub sites: Vec<SocketSite>,
    /// Bytes in queues of the traced processes without a stack.
    pub unattributed: Vec<Unattributed>,
    /// The kernel's own accounting, where its allocators could be watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounting: Option<Accounting>,
}

/// How stacks of senders were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probes {
    /// At the kernel's TCP buffer allocators, by fentry (Linux 5.5).
    Fentry,
    /// The same, by kprobe.
    Kprobe,
    /// At the tracepoints of send and receive (Linux 6.5).
    Tracepoints,
    /// Not at all.
    #[default]
    None,
}

/// The sockets of the traced processes at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Since the window's start.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub seconds: f64,
    /// Connections.
    pub connections: u64,
    /// In receive queues.
    pub receive_bytes: u64,
    /// In send queues.
    pub send_bytes: u64,
    /// In accept queues of their listeners.
    pub accept_queue_bytes: u64,
    /// Of their orphans.
    pub orphan_bytes: u64,
    /// UDP and Unix sockets' queues.
    pub other_bytes: u64,
    /// Connections that wait for the other end to read.
    pub stalled: u64,
    /// The processes' own side: live bytes of their allocators, allocated within the window.
    pub live_bytes: u64,
    /// TCP's memory of the whole host as the kernel accounts it.
    pub host_bytes: u64,
    /// What has happened since the window's start.
    pub events: Events,
}

/// Events of pressure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// The targets' sockets came over the kernel's limits (`sock:sock_exceed_buf_limit`).
    pub limit_exceeded: u64,
    /// Theirs had no room for what came (`sock:sock_rcvqueue_full`).
    pub receive_queue_full: u64,
    /// Segments that their connections sent again.
    pub retransmits: u64,
    /// Connections that offer no room, in the targets' network namespaces
    /// (`TCPToZeroWindowAdv` in `/proc/PID/net/netstat`).
    pub zero_windows_sent: u64,
    /// And whose other end offered none (`TCPFromZeroWindowAdv` is the end of one).
    pub zero_windows_ended: u64,
}

/// Bytes in queues by one stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SocketSite {
    /// As [`super::Site::site_id`].
    pub site_id: String,
    /// [`super::Process::id`].
    pub process: u32,
    /// Which queue.
    pub queue: Queue,
    /// What the stack did.
    pub call: Call,
    /// In the queues.
    pub bytes: u64,
    /// Sockets that these are of.
    pub sockets: u64,
    /// Of receive queues: whether anyone reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// To whom, most bytes first; the last may be all the others.
    pub peers: Vec<PeerBytes>,
    /// Innermost first: the first called the system call's function.
    pub frames: Vec<Frame>,
    /// Why the stack ends where it does.
    #[serde(default, skip_serializing_if = "StackEnd::is_root")]
    pub stack_end: StackEnd,
}

/// A queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Sent, and not taken by the other end.
    Send,
    /// Received, and not read.
    Receive,
    /// Of a connection that nobody has accepted.
    Accept,
    /// Of a connection that was closed before all was sent.
    Orphan,
}

/// What a stack did to a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// It wrote what is queued.
    Send,
    /// It read last.
    Receive,
    /// It accepted the connection; nobody has read from it since.
    Accept,
    /// It connected; nobody has read since.
    Connect,
}

/// Bytes for one other end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerBytes {
    /// Its address, with the port where one socket is meant; empty: all others.
    pub address: String,
    /// Bytes in the queue.
    pub bytes: u64,
    /// Sockets.
    pub sockets: u64,
    /// Of those: stalled ones.
    pub stalled: u64,
    /// Of receive queues: whether anyone reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
}

/// How many of some connections with a receive queue are read, by the kernel's count
/// of what the process has taken of each. All together they are all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Of which the process has never read a byte.
    pub never: u64,
    /// Of which it has, but none between two looks of the trace that both found
    /// something to read, a second apart or more.
    pub not_lately: u64,
    /// For each of [`Self::not_lately`] at least so long, ms.
    pub not_for_ms: u64,
    /// Of which it has read between two looks, and yet both found something.
    pub read: u64,
    /// What it read of those.
    pub read_bytes: u64,
    /// In so long a time, ms: the longest of theirs.
    pub read_over_ms: u64,
    /// Of which there were no two looks, or the kernel does not tell.
    pub unknown: u64,
}

impl Reading {
    /// Of both: what is said of the times holds for each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let not_for_ms = match (self.not_lately, other.not_lately) {
            (0, _) => other.not_for_ms,
            (_, 0) => self.not_for_ms,
            _ => self.not_for_ms.min(other.not_for_ms),
        };
        Self {
            never: self.never.saturating_add(other.never),
            not_lately: self.not_lately.saturating_add(other.not_lately),
            not_for_ms,
            read: self.read.saturating_add(other.read),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            read_over_ms: self.read_over_ms.max(other.read_over_ms),
            unknown: self.unknown.saturating_add(other.unknown),
        }
    }

    /// How many connections.
    #[must_use]
    pub fn sockets(&self) -> u64 {
        [self.never, self.not_lately, self.read, self.unknown]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// Bytes without a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unattributed {
    /// [`super::Process::id`].
    pub process: u32,
    /// Which queue.
    pub queue: Queue,
    /// In it.
    pub bytes: u64,
    /// Sockets.
    pub sockets: u64,
    /// Why, such as `sent before the trace`.
    pub why: String,
    /// Of receive queues: whether anyone reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
}

/// TCP's memory of the whole host over the trace, as the kernel's allocators took
/// and gave it. `raised + forced − reduced` is what the host holds more than before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounting {
    /// `__sk_mem_raise_allocated`, where it succeeded.
    pub raised_bytes: u64,
    /// `sk_forced_mem_schedule`.
    pub forced_bytes: u64,
    /// `__sk_mem_reduce_allocated`.
    pub reduced_bytes: u64,
    /// What the sockets held at the first look.
    pub held_at_start_bytes: u64,
    /// And at the last one.
    pub held_at_end_bytes: u64,
}
