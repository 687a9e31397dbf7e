//! Pending allocator calls of a thread: which call a return belongs to.
//!
//! A return probe knows its function and the stack pointer, nothing else, and
//! returns get lost: `longjmp`, exceptions and thread exits leave without one.
//! A record therefore carries the stack pointer of its entry, a return is
//! believed only at that very place, and two records are kept:
//!
//! - `current`: the call that was entered last.
//! - `suspended`: the call that was pending when `current` began and that
//!   `current` was not made *by*. Either a signal handler interrupted it, and
//!   it will return yet, or its return was lost. Which of the two cannot be
//!   told, so it waits until another call needs the place; then its loss is
//!   counted. No thread is ever silenced by a lost return, on whatever stack
//!   it goes on.
//!
//! Calls made by the allocator's own code (`realloc` calling `malloc`) are
//! part of the pending call and leave no record: one block, one owner.
//!
//! The record also holds the thread's scratch for taking a stack: a thread
//! runs one probe program at a time, so nothing needs claiming.

use crate::FRAMES_MAX;
use crate::ledger::Block;

/// One pending call. `source == 0`: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Call {
    /// The [`crate::source::Source`], by number, or 0.
    pub source: u32,
    /// 1 if `taken` holds a block.
    pub has_taken: u32,
    /// The stack pointer at the entry, where the return address stands.
    pub stack_pointer: u64,
    /// Requested bytes.
    pub size: u64,
    /// realloc: the old block's address. posix_memalign: where the result goes.
    pub pointer: u64,
    /// realloc: the old block, taken out of the ledger at the entry.
    pub taken: Block,
}

/// A thread's pending calls and its scratch; the value of the thread map.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ThreadCalls {
    /// The call entered last.
    pub current: Call,
    /// See the module's text.
    pub suspended: Call,
    /// Scratch: frames as `bpf_get_stack` writes them, innermost first.
    pub site: crate::site::Site,
}

/// What to do with a call that is being entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Part of the pending call.
    Inner,
    /// A call of its own: `current` is free for it. `displaced`: the suspended
    /// call lost its place and must be counted as a missed return.
    Outer {
        /// Whether [`ThreadCalls::suspended`] was pending before.
        displaced: bool,
    },
}

/// Which record a return belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// None: an inner call, or one entered while the gate was shut.
    Unknown,
    /// [`ThreadCalls::current`].
    Current,
    /// [`ThreadCalls::suspended`].
    Suspended,
}

impl Call {
    /// Whether a call is pending here.
    #[inline(always)]
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        self.source != 0
    }

    /// Whether `next`, entered with the same stack pointer, is what this
    /// call's function jumped to as its last act (`memalign` → `malloc`,
    /// `reallocarray` → `realloc`), rather than a later call.
    #[inline(always)]
    #[must_use]
    pub const fn continues_as(&self, next: &Self) -> bool {
        self.source != next.source
            && self.size == next.size
            && self.stack_pointer == next.stack_pointer
    }

    /// Whether a return of `source`, with the stack pointer after it, is this call's.
    #[inline(always)]
    #[must_use]
    pub const fn is_ended_by(&self, source: u32, stack_pointer: u64) -> bool {
        // `ret` has popped the return address.
        self.source == source && self.stack_pointer.wrapping_add(8) == stack_pointer
    }
}
