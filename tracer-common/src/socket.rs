//! Sockets: what an iterator tells of each, and who did what to those of targets.

mod accounts;
mod recent;

pub use accounts::PendingAccounts;
pub use recent::{RECENT_CALLS, RecentReader, RecentSender};

/// Where members stand in the kernel's structures, from its BTF. [`NO_MEMBER`]
/// where this kernel has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(
    missing_docs,
    reason = "named as the kernel's members, see `probe::sockets::offsets`"
)]
pub struct SocketOffsets {
    // struct sock
    pub family: u32,
    pub state: u32,
    pub cookie: u32,
    pub namespace: u32,
    pub peer_port: u32,
    pub local_port: u32,
    pub peer_address: u32,
    pub local_address: u32,
    pub peer_address6: u32,
    pub local_address6: u32,
    pub protocol: u32,
    pub flags: u32,
    pub socket: u32,
    pub receive_allocated: u32,
    pub backlog: u32,
    pub receive_buffer: u32,
    pub send_queued: u32,
    pub send_allocated: u32,
    pub send_buffer: u32,
    pub forward_allocated: u32,
    pub option_allocated: u32,
    pub drops: u32,
    pub drop_counters: u32,
    pub drops_first: u32,
    pub drops_second: u32,
    pub accept_backlog: u32,
    pub accept_backlog_max: u32,
    // struct net
    pub namespace_inode: u32,
    // struct inet_connection_sock, struct request_sock
    pub accept_head: u32,
    pub request_next: u32,
    pub request_socket: u32,
    pub last_received: u32,
    pub upper_layer: u32,
    // struct tcp_sock
    pub write_seq: u32,
    pub snd_nxt: u32,
    pub snd_una: u32,
    pub rcv_nxt: u32,
    pub copied_seq: u32,
    pub bytes_received: u32,
    pub snd_wnd: u32,
    pub snd_cwnd: u32,
    pub mss_cache: u32,
    pub total_retrans: u32,
    pub chrono_stat: u32,
    pub chrono_start: u32,
    pub chrono_type: u32,
    pub last_sent: u32,
    pub last_heard: u32,
    // struct file, struct inode, struct socket, struct socket_alloc
    pub file_private: u32,
    pub inode_number: u32,
    pub socket_sock: u32,
    pub socket_inode: u32,
    // struct task_struct, struct files_struct, struct fdtable
    pub task_files: u32,
    pub task_stack: u32,
    pub files_table: u32,
    pub table_files: u32,
    pub table_size: u32,
}

/// This kernel has no such member.
pub const NO_MEMBER: u32 = u32::MAX;

/// First word of a [`SocketRecord`].
pub const RECORD_SOCKET: u32 = 1;
/// First word of an [`OwnerRecord`].
pub const RECORD_OWNER: u32 = 2;
/// First word of an [`AcceptRecord`].
pub const RECORD_ACCEPT: u32 = 3;

/// `SOCK_DEAD` (include/net/sock.h): its process has closed it.
pub const FLAG_DEAD: u32 = 1;
/// It has a `struct socket`, and so a file somewhere.
pub const FLAG_HAS_FILE: u32 = 2;
/// [`SocketRecord::bytes_received`] is the kernel's: it has such a member.
pub const FLAG_COUNTS_RECEIVED: u32 = 4;
/// Something in the kernel reads the socket on its own (`icsk_ulp_ops`): TLS, MPTCP.
pub const FLAG_UPPER_LAYER: u32 = 8;

/// One socket, as it stands in the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
#[expect(missing_docs, reason = "as in `SocketOffsets`")]
pub struct SocketRecord {
    /// [`RECORD_SOCKET`].
    pub record: u32,
    /// `FLAG_…`
    pub flags: u32,
    pub cookie: u64,
    pub inode: u64,
    /// Of the file this was found by; 0: it was found without.
    pub pid: u32,
    pub descriptor: u32,
    pub protocol: u32,
    pub state: u32,
    pub ends: Ends,
    pub receive_allocated: u32,
    pub backlog: u32,
    pub receive_buffer: u32,
    pub send_queued: u32,
    pub send_allocated: u32,
    pub send_buffer: u32,
    pub forward_allocated: u32,
    pub option_allocated: u32,
    pub drops: u32,
    pub accept_backlog: u32,
    pub accept_backlog_max: u32,
    pub write_seq: u32,
    pub snd_nxt: u32,
    pub snd_una: u32,
    pub rcv_nxt: u32,
    pub copied_seq: u32,
    pub snd_wnd: u32,
    pub snd_cwnd: u32,
    pub mss_cache: u32,
    pub total_retrans: u32,
    pub chrono_stat: [u32; 3],
    pub chrono_start: u32,
    pub chrono_type: u32,
    pub last_sent: u32,
    pub last_received: u32,
    pub last_heard: u32,
    /// Jiffies now, their lower half: what the times before count in.
    pub now: u32,
    /// Always zero.
    pub reserved: u32,
    /// See [`FLAG_COUNTS_RECEIVED`].
    pub bytes_received: u64,
}

/// A process has a socket open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct OwnerRecord {
    /// [`RECORD_OWNER`].
    pub record: u32,
    /// Process id.
    pub pid: u32,
    /// File descriptor.
    pub descriptor: u32,
    /// Always zero.
    pub reserved: u32,
    /// The socket's inode.
    pub inode: u64,
    /// The socket's cookie, 0 if it has none yet.
    pub cookie: u64,
}

/// A connection waits in a listener's accept queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct AcceptRecord {
    /// [`RECORD_ACCEPT`].
    pub record: u32,
    /// Always zero.
    pub reserved: u32,
    /// Cookie of the listener.
    pub listener: u64,
    /// Cookie of the connection.
    pub connection: u64,
}

/// `IPPROTO_TCP`.
pub const TCP: u16 = 6;
/// `TCP_TIME_WAIT` (include/net/tcp_states.h): of such only a stump is left.
pub const STATE_TIME_WAIT: u8 = 6;
/// `TCP_LISTEN`.
pub const STATE_LISTEN: u8 = 10;
/// `TCP_NEW_SYN_RECV`: a request, no socket yet.
pub const STATE_NEW_SYN_RECEIVED: u8 = 12;

/// In the key of [`SocketCalls`]: it is an inode, as the socket has no cookie yet.
pub const KEY_IS_INODE: u64 = 1 << 63;

/// Between whom a connection is: what a socket is known by that has no cookie, when it
/// has lost its inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Ends {
    /// Inode of the network namespace.
    pub namespace: u32,
    /// `AF_INET`, `AF_INET6`.
    pub family: u32,
    /// As the kernel has them: the local one in the processor's order, the other not.
    pub local_port: u32,
    /// See there.
    pub peer_port: u32,
    /// In the network's order; of IPv4 the first word.
    pub local_address: [u32; 4],
    /// See there.
    pub peer_address: [u32; 4],
}

/// How many [`Mark`]s a socket has.
pub const MARKS: usize = 32;

/// From here on in the stream of sent bytes, this site wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Mark {
    /// The site's key.
    pub site: u64,
    /// `write_seq` before its first byte.
    pub start: u32,
    /// Always zero.
    pub reserved: u32,
}

/// Who did what to a socket of a target: the value of the map of sockets, by cookie
/// or inode. Two threads that write to one socket at the same time can cost one of
/// them its mark: its bytes then pass for the other's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketCalls {
    /// The address space of whoever did it last.
    pub space: u32,
    /// How many marks there were: the last one stands at `(marks - 1) % MARKS`.
    pub marks: u32,
    /// The queue's bytes, as the last stack of a sender was taken.
    pub queue_at_stack: u32,
    /// `write_seq` then.
    pub written_at_stack: u32,
    /// `write_seq` at the last send.
    pub written: u32,
    /// Always zero.
    pub reserved: u32,
    /// `CLOCK_MONOTONIC` when the last stack of a sender was taken, ns.
    pub sent_stack_time: u64,
    /// The site that read last, 0 if none did.
    pub reader: u64,
    /// [`crate::control::Control::now_mark`] then.
    pub read_mark: u32,
    /// The same when the last stack of a sender was taken.
    pub sent_mark: u32,
    /// The site that accepted or connected, 0 if that was not seen.
    pub opener: u64,
    /// Times the socket came over the kernel's limits.
    pub limit_exceeded: u64,
    /// Times it had no room for what came.
    pub receive_queue_full: u64,
    /// Who wrote.
    pub senders: [Mark; MARKS],
    /// Only where the key is an inode.
    pub ends: Ends,
}

/// Queues below this are marked seldom: they hold little that anyone will ask about.
const SMALL_QUEUE: u32 = 16 << 10;
/// Between two stacks of one socket's senders or readers, where little is at stake, in
/// the ledger's clock, ms: asking the kernel's at each message would cost 60 ns.
const SELDOM_MS: u32 = 4_000;
/// Between two where the queue is not small, ns.
const OFTEN_NS: u64 = 10_000_000;

impl SocketCalls {
    /// Whether a sender's stack is due, now that the queue holds `queue` bytes and
    /// `written` is where the next one goes: at first; when the queue has doubled;
    /// and from time to time, when an eighth of it is new. Everything else would cost
    /// each message of a busy connection a stack. `mark` is
    /// [`crate::control::Control::now_mark`].
    #[inline(always)]
    #[must_use]
    pub fn is_send_due(
        &self,
        queue: u32,
        written: u32,
        mark: u32,
        now: impl FnOnce() -> u64,
    ) -> bool {
        if self.marks == 0 {
            return true;
        }
        if queue > self.queue_at_stack.saturating_mul(2).saturating_add(4096) {
            return true;
        }
        if written.wrapping_sub(self.written_at_stack) < queue / 8 {
            return false;
        }
        if queue < SMALL_QUEUE {
            return mark.wrapping_sub(self.sent_mark) >= SELDOM_MS;
        }
        now().wrapping_sub(self.sent_stack_time) >= OFTEN_NS
    }

    /// Whether there were more marks than are kept.
    #[must_use]
    pub const fn has_forgotten(&self) -> bool {
        self.marks as usize > MARKS
    }

    /// Whether a reader's stack is due.
    #[inline(always)]
    #[must_use]
    pub const fn is_read_due(&self, mark: u32) -> bool {
        self.reader == 0 || mark.wrapping_sub(self.read_mark) >= SELDOM_MS
    }

    /// What is known of the bytes from `acknowledged` to `written` of the stream: for
    /// each site how many it wrote, in their order. Site 0 wrote what is older than
    /// the oldest mark that is kept; see [`Self::has_forgotten`].
    pub fn senders_of(&self, acknowledged: u32, written: u32) -> impl Iterator<Item = (u64, u32)> {
        let queued = written.wrapping_sub(acknowledged);
        let kept = (self.marks as usize).min(MARKS);
        // Where a mark begins, as bytes from the queue's front; those before it are at 0.
        let place = move |mark: &Mark| {
            let behind = written.wrapping_sub(mark.start);
            queued.saturating_sub(behind)
        };
        let mark = move |age: usize| {
            let index = (self.marks as usize).wrapping_sub(age) % MARKS;
            self.senders[index]
        };
        let first_end = if kept == 0 {
            queued
        } else {
            place(&mark(kept))
        };
        let older = core::iter::once((0, first_end));
        let marked = (0..kept).map(move |number| {
            let age = kept - number;
            let this = mark(age);
            let end = if age == 1 {
                queued
            } else {
                place(&mark(age - 1))
            };
            (this.site, end.saturating_sub(place(&this)))
        });
        older.chain(marked).filter(|(_, bytes)| *bytes > 0)
    }
}

#[cfg(test)]
mod tests;
