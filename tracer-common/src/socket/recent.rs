//! Who used a socket a short while ago: what spares most messages a look-up.

use super::{SELDOM_MS, SMALL_QUEUE};

/// How many [`RecentReader`]s and [`RecentSender`]s there are, each for the cookies of
/// one remainder.
pub const RECENT_CALLS: u32 = 1 << 12;

/// A reader's stack that was taken a short while ago: what spares a busy socket's
/// messages the look-up of its [`super::SocketCalls`]. Two threads that write one at the same
/// time can cost a socket one stack, or spare it one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RecentReader {
    /// The socket's.
    pub cookie: u64,
    /// The reader's address space.
    pub space: u32,
    /// [`super::SocketCalls::read_mark`].
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

/// A sender's stack that was taken a short while ago, as [`RecentReader`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RecentSender {
    /// The socket's.
    pub cookie: u64,
    /// The sender's address space.
    pub space: u32,
    /// [`super::SocketCalls::sent_mark`].
    pub mark: u32,
    /// [`super::SocketCalls::queue_at_stack`].
    pub queue: u32,
    /// Always zero.
    pub reserved: u32,
}

impl RecentSender {
    /// Whether [`super::SocketCalls::is_send_due`] would say no, as far as can be told from
    /// here: the queue is small and not much more than it was.
    #[inline(always)]
    #[must_use]
    pub const fn covers(&self, cookie: u64, space: u32, mark: u32, queue: u32) -> bool {
        self.cookie == cookie
            && self.space == space
            && mark.wrapping_sub(self.mark) < SELDOM_MS
            && queue < SMALL_QUEUE
            && queue <= self.queue.saturating_mul(2).saturating_add(4096)
    }
}
