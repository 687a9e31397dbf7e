//! The host's sockets at one moment, and what of them is whose.
//!
//! Bytes everywhere. Figures are the kernel's own, by the names of `struct sock` and
//! `struct tcp_sock` (include/net/sock.h, include/linux/tcp.h); what `ss -tmi` calls
//! them is said beside.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Every socket of the host at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Each socket once.
    pub sockets: Vec<Socket>,
    /// What the host says of itself.
    pub host: Host,
    /// How the sockets were found.
    pub source: Source,
    /// What is missing, approximate or not known. Sentences.
    pub notes: Vec<String>,
}

/// Where the sockets were read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// BPF iterators over sockets (Linux 5.12).
    #[default]
    Iterators,
    /// Netlink's `sock_diag`, and `/proc/PID/fd` for whose they are.
    SockDiag,
}

/// What the host says of its socket memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// TCP's memory as the kernel accounts it (`mem` of `TCP:` in
    /// `/proc/net/sockstat`, in bytes). It leaves out up to [`Self::tcp_unaccounted_bytes`].
    pub tcp_accounted_bytes: u64,
    /// Processors × `net.core.mem_pcpu_rsv`: what the accounting may be off by.
    pub tcp_unaccounted_bytes: u64,
    /// `net.ipv4.tcp_mem`: below the first all is well, above the second TCP is under
    /// pressure, above the third nothing is allocated.
    pub tcp_limits_bytes: [u64; 3],
    /// UDP's memory (`mem` of `UDP:`).
    pub udp_accounted_bytes: u64,
    /// TCP sockets that wait out their time (`TIME_WAIT`), with no buffers.
    pub time_wait: u64,
    /// What a TCP socket takes beside its buffers: its own structure, inode, file
    /// and directory entry (`/proc/slabinfo`); 0: not known.
    pub slab_bytes_per_socket: u64,
}

/// One socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Its cookie, the same for its whole life and never another's; 0: it has none.
    pub cookie: u64,
    /// Its inode, 0 without a file.
    pub inode: u64,
    /// Inode of its network namespace.
    pub namespace: u32,
    /// TCP, UDP, Unix.
    pub kind: Kind,
    /// TCP's state; of others `Established` if connected, else `Close`.
    pub state: State,
    /// Whose it is.
    pub place: Place,
    /// Its own address; without one for Unix sockets and those of families not read.
    pub local: Option<SocketAddr>,
    /// The other end's.
    pub peer: Option<SocketAddr>,
    /// Its memory.
    pub memory: Memory,
    /// What only TCP has; not of listeners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,
    /// What only listeners have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listener: Option<Listener>,
}

/// What kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// TCP, and MPTCP's subflows.
    Tcp,
    /// UDP and UDP-Lite.
    Udp,
    /// `AF_UNIX`.
    Unix,
}

/// A TCP state (include/net/tcp_states.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "TCP's own, RFC 9293")]
pub enum State {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

impl State {
    /// The state with the kernel's number. A socket that is bound and no more
    /// (`TCP_BOUND_INACTIVE`, 13, which only sock_diag tells) is closed.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Established,
            2 => Self::SynSent,
            3 | 12 => Self::SynReceived,
            4 => Self::FinWait1,
            5 => Self::FinWait2,
            6 => Self::TimeWait,
            7 | 13 => Self::Close,
            8 => Self::CloseWait,
            9 => Self::LastAck,
            10 => Self::Listen,
            11 => Self::Closing,
            _ => return None,
        })
    }
}

/// Whose a socket is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Place {
    /// Processes have it open.
    Open {
        /// By pid; more than one after a fork.
        owners: Vec<Owner>,
    },
    /// It waits in a listener's accept queue.
    AcceptQueue {
        /// Cookie of the listener; `None`: several could be it.
        listener: Option<u64>,
    },
    /// Its process has closed it, the kernel still sends what is queued.
    Orphan {
        /// Pid of the process that had it, where that was seen.
        had: Option<u32>,
    },
    /// Nobody has it open that could be seen: the kernel itself, or a process that
    /// came or went meanwhile.
    Unknown,
}

/// A process that has a socket open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Owner {
    /// Process id on the host.
    pub pid: u32,
    /// The lowest of its file descriptors for it.
    pub descriptor: u32,
}

/// A socket's memory; in brackets what `ss -m` calls it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What was received and not read, with its overhead: `sk_rmem_alloc` [r].
    pub receive_bytes: u64,
    /// `sk_rcvbuf` [rb].
    pub receive_limit: u64,
    /// What was sent and not acknowledged, and what waits to be sent, with its
    /// overhead: `sk_wmem_queued` [w]. Of UDP and Unix sockets `sk_wmem_alloc`: what
    /// they sent and nobody read.
    pub send_bytes: u64,
    /// Of that on its way through the network device: `sk_wmem_alloc` [t].
    pub transmit_bytes: u64,
    /// `sk_sndbuf` [tb].
    pub send_limit: u64,
    /// Reserved and not used, up to a few pages: `sk_forward_alloc` [f].
    pub forward_bytes: u64,
    /// `sk_omem_alloc` [o].
    pub option_bytes: u64,
    /// `sk_backlog.len` [bl].
    pub backlog_bytes: u64,
    /// Segments or datagrams that were thrown away: `sk_drops` [d].
    pub drops: u64,
}

/// What only TCP has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tcp {
    /// Payload received and not read (`Recv-Q` of ss).
    pub receive_queue: u64,
    /// Payload written by the process and not acknowledged (`Send-Q`).
    pub send_queue: u64,
    /// Of that what was not even sent (`notsent`).
    pub not_sent: u64,
    /// Where in the stream of sent bytes the queue begins (`snd_una`), modulo 2³².
    pub acknowledged: u32,
    /// And where it ends (`write_seq`).
    pub written: u32,
    /// Where in the stream of received bytes the process is (`copied_seq`).
    pub read: u32,
    /// How much the process has read of it, ever: what was received (`bytes_received`)
    /// without what is in the queue. `None`: the kernel does not tell, or reads it on
    /// its own (TLS in the kernel, MPTCP), or it cannot be told from the end of the
    /// stream, which counts as one byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// How much of that lately, while something was in the queue: only in a trace,
    /// from the second look that saw it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
    /// What the other end says it has room for (`snd_wnd`).
    pub peer_window: u64,
    /// Segments that may be on their way (`cwnd`).
    pub congestion_window: u32,
    /// Bytes of a segment (`mss`).
    pub segment_bytes: u32,
    /// Segments sent again, ever (`retrans`).
    pub retransmits: u64,
    /// Time with something to send, ms (`busy`).
    pub busy_ms: u64,
    /// Of that waiting for the receiver's window (`rwnd_limited`).
    pub receiver_limited_ms: u64,
    /// Of that waiting for room in the send buffer (`sndbuf_limited`).
    pub buffer_limited_ms: u64,
    /// What it waits for now; `None` where it cannot be told (`sock_diag`) or has
    /// nothing to send.
    pub limited_by: Option<Limit>,
    /// For how long without a break, ms.
    pub limited_for_ms: Option<u64>,
    /// Since it last sent payload, ms (`lastsnd`).
    pub sent_ms_ago: u64,
    /// Since it last received payload, ms (`lastrcv`).
    pub received_ms_ago: u64,
    /// Since the other end was last heard of, ms (`lastack`).
    pub acknowledged_ms_ago: u64,
}

/// What a process read of a connection between two looks that both found something in
/// its receive queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// So many bytes. Of 0 the first look is the earliest one since which nothing was
    /// read.
    pub bytes: u64,
    /// From the end of the first look to the beginning of the last one, ms: at least
    /// so long ago was the one before the other.
    pub over_ms: u64,
}

/// What keeps TCP from sending (`enum tcp_chrono`, include/linux/tcp.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The network: congestion window, pacing.
    Network,
    /// The other end's window: it does not read.
    Receiver,
    /// The send buffer.
    SendBuffer,
}

/// What only listeners have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// Connections in its accept queue.
    pub queued: u64,
    /// How many there may be.
    pub queue_limit: u64,
}

impl Memory {
    /// What it holds in buffers: both queues.
    #[must_use]
    pub const fn buffers(&self) -> u64 {
        self.receive_bytes.saturating_add(self.send_bytes)
    }

    /// What TCP's accounting counts (`mem` of sockstat): buffers and what is reserved.
    #[must_use]
    pub const fn accounted(&self) -> u64 {
        self.buffers().saturating_add(self.forward_bytes)
    }
}
