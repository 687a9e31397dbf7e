//! Sockets: what an iterator tells of each, and who did what to those of targets.

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
    pub kind: u32,
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
    pub accept_backlog: u32,
    pub accept_backlog_max: u32,
    // struct net
    pub namespace_inode: u32,
    // struct inet_connection_sock, struct request_sock
    pub accept_head: u32,
    pub request_next: u32,
    pub request_socket: u32,
    pub last_received: u32,
    // struct tcp_sock
    pub write_seq: u32,
    pub snd_nxt: u32,
    pub snd_una: u32,
    pub rcv_nxt: u32,
    pub copied_seq: u32,
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
    pub file_inode: u32,
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
    pub namespace: u32,
    pub family: u32,
    pub protocol: u32,
    pub state: u32,
    /// As the kernel has them: the local one in the processor's order, the other not.
    pub local_port: u32,
    pub peer_port: u32,
    pub local_address: [u32; 4],
    pub peer_address: [u32; 4],
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

/// How many [`Mark`]s a socket has.
pub const MARKS: usize = 8;

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

    /// Whether a reader's stack is due.
    #[inline(always)]
    #[must_use]
    pub const fn is_read_due(&self, mark: u32) -> bool {
        self.reader == 0 || mark.wrapping_sub(self.read_mark) >= SELDOM_MS
    }

    /// What is known of the bytes from `acknowledged` to `written` of the stream: for
    /// each site how many it wrote, in their order. Site 0 wrote what is older than
    /// the oldest mark.
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

/// How many [`RecentReader`]s there are, each for the cookies of one remainder.
pub const RECENT_READERS: u32 = 1 << 12;

/// A reader's stack that was taken a short while ago: what spares a busy socket's
/// messages the look-up of its [`SocketCalls`]. Two threads that write one at the same
/// time can cost a socket one stack, or spare it one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RecentReader {
    /// The socket's.
    pub cookie: u64,
    /// The reader's address space.
    pub space: u32,
    /// [`SocketCalls::read_mark`].
    pub mark: u32,
}

impl RecentReader {
    /// Whether a read of this socket in this address space tells nothing new.
    #[inline(always)]
    #[must_use]
    pub const fn covers(&self, cookie: u64, space: u32, mark: u32) -> bool {
        self.cookie == cookie && self.space == space && mark.wrapping_sub(self.mark) < SELDOM_MS
    }
}

/// How many calls of the accounting can be pending in one thread: its own, and those
/// of the interrupts in it.
const PENDING: usize = 4;

/// Calls of the kernel's socket accounting that a thread is in, and what each must be
/// known of at its return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PendingAccounts {
    /// The sockets, by address: valid only until the return.
    socks: [u64; PENDING],
    /// What was at the entry.
    values: [u32; PENDING],
    /// How many calls are pending; those beyond [`PENDING`] are not known.
    depth: u32,
    /// Always zero.
    reserved: u32,
}

impl PendingAccounts {
    /// A call is entered. The place is taken first: an interrupt takes the next.
    #[inline(always)]
    pub fn push(&mut self, sock: u64, value: u32) {
        let depth = self.depth;
        self.depth = depth.wrapping_add(1);
        if depth < PENDING as u32 {
            let place = depth as usize % PENDING;
            self.socks[place] = sock;
            self.values[place] = value;
        }
    }

    /// The call entered last returns.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<(u64, u32)> {
        let depth = self.depth.checked_sub(1)?;
        self.depth = depth;
        if depth >= PENDING as u32 {
            return None;
        }
        let place = depth as usize % PENDING;
        Some((self.socks[place], self.values[place]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calls(marks: &[(u64, u32)]) -> SocketCalls {
        let mut calls = SocketCalls::default();
        for (site, start) in marks {
            calls.senders[calls.marks as usize % MARKS] = Mark {
                site: *site,
                start: *start,
                reserved: 0,
            };
            calls.marks += 1;
        }
        calls
    }

    /// The bytes of a queue are shared out by who wrote them, first in first out.
    #[test]
    fn a_queue_is_of_those_who_wrote_last() {
        let calls = calls(&[(7, 100), (8, 250), (7, 900)]);
        let of = |from, to| calls.senders_of(from, to).collect::<Vec<_>>();
        assert_eq!(of(0, 1000), [(0, 100), (7, 150), (8, 650), (7, 100)]);
        assert_eq!(of(300, 1000), [(8, 600), (7, 100)]);
        assert_eq!(of(950, 1000), [(7, 50)]);
        assert_eq!(of(1000, 1000), []);
        assert_eq!(
            SocketCalls::default().senders_of(5, 9).collect::<Vec<_>>(),
            [(0, 4)]
        );
    }

    /// The stream's numbers wrap round at 2³².
    #[test]
    fn numbers_wrap() {
        let calls = calls(&[(7, u32::MAX - 9), (8, 10)]);
        let of: Vec<_> = calls.senders_of(u32::MAX - 4, 30).collect();
        assert_eq!(of, [(7, 15), (8, 20)]);
    }

    /// The first send is marked, one that doubles the queue too, and of a steady
    /// stream one now and then.
    #[test]
    fn stacks_are_due_when_they_tell_something() {
        let mut calls = SocketCalls::default();
        assert!(calls.is_send_due(0, 0, 0, || unreachable!()));
        calls.marks = 1;
        calls.queue_at_stack = 100_000;
        calls.written_at_stack = 100_000;
        calls.sent_mark = 500;
        assert!(calls.is_send_due(300_000, 300_000, 500, || unreachable!()));
        assert!(!calls.is_send_due(100_000, 101_000, 500, || unreachable!()));
        assert!(!calls.is_send_due(100_000, 200_000, 500, || OFTEN_NS - 1));
        assert!(calls.is_send_due(100_000, 200_000, 500, || OFTEN_NS));
        assert!(!calls.is_send_due(1000, 200_000, 4499, || unreachable!()));
        assert!(calls.is_send_due(1000, 200_000, 4500, || unreachable!()));
    }

    /// The first reader's stack is taken, and then one every four seconds; in between
    /// only another process's reads of the same socket are looked at.
    #[test]
    fn readers_are_seen_now_and_then() {
        let mut calls = SocketCalls::default();
        assert!(calls.is_read_due(0));
        calls.reader = 7;
        calls.read_mark = u32::MAX;
        assert!(!calls.is_read_due(3998));
        assert!(calls.is_read_due(3999));
        let recent = RecentReader {
            cookie: 5,
            space: 1,
            mark: u32::MAX,
        };
        assert!(recent.covers(5, 1, 3998));
        assert!(!recent.covers(5, 1, 3999));
        assert!(!recent.covers(5, 2, 0));
        assert!(!recent.covers(6, 1, 0));
    }

    /// Calls return in the order opposite to that in which they were entered; too many
    /// at once are not known, and spoil no other.
    #[test]
    fn accounts_are_a_stack() {
        let mut accounts = PendingAccounts::default();
        for number in 0..6 {
            accounts.push(number, number as u32 * 10);
        }
        let popped: Vec<_> = (0..7).map(|_| accounts.pop()).collect();
        let known = |number: u64| Some((number, number as u32 * 10));
        let expected = [None, None, known(3), known(2), known(1), known(0), None];
        assert_eq!(popped, expected);
    }

    proptest! {
        /// Whatever the marks say, every byte of the queue has one owner.
        #[test]
        fn every_byte_has_one_owner(
            marks in proptest::collection::vec((1u64..5, 0u32..5000), 0..20),
            start: u32,
            mut places in proptest::collection::vec(0u32..5000, 20),
            acknowledged in 0u32..6000,
        ) {
            places.sort_unstable();
            let marks: Vec<_> = marks.iter().zip(&places)
                .map(|((site, _), place)| (*site, start.wrapping_add(*place))).collect();
            let calls = calls(&marks);
            let (from, to) = (start.wrapping_add(acknowledged), start.wrapping_add(6000));
            let sum: u32 = calls.senders_of(from, to).map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(sum, 6000 - acknowledged);
        }
    }
}
