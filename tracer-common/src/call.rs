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

use crate::function::Function;
use crate::ledger::Block;
use crate::site::Site;
use crate::source::Source;
use crate::unwind::{Walk, Window};

/// One pending call. `function` without a source: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Call {
    /// What was called.
    pub function: Function,
    /// The address space it was entered in.
    pub space: u32,
    /// The stack pointer at the entry, where the return address stands.
    pub stack_pointer: u64,
    /// Requested bytes.
    pub size: u64,
    /// realloc: the old block's address. posix_memalign: where the result goes.
    pub pointer: u64,
    /// realloc: the old block, taken out of the ledger at the entry; its
    /// `site` is 0 where the ledger did not hold it.
    pub taken: Block,
    /// [`crate::control::Control::slice`] at the entry.
    pub slice: u32,
    /// Always zero.
    pub reserved: u32,
}

/// A thread's pending calls and its scratch; the value of the thread map.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct ThreadCalls {
    /// The call entered last.
    pub current: Call,
    /// See the module's text.
    pub suspended: Call,
    /// The stack pointer of a call that is part of the pending one and has not
    /// returned: what that jumps to stands there as well, its return address already
    /// replaced by a return probe's.
    pub inner_stack_pointer: u64,
    /// What was freed last by a function that may hand it on to another.
    pub handed_on: u64,
    /// Bytes of the large object that V8 10 made last, until its observers are told.
    pub large_object: u64,
    /// Scratch for taking a stack: the site in the making.
    pub scratch: Site,
    /// Scratch for taking a stack: how far it is.
    pub walk: Walk,
    /// Scratch for taking a stack: a piece of it, read at once.
    pub window: Window,
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
        self.function.source() != 0
    }

    /// The number of the source.
    #[inline(always)]
    #[must_use]
    pub const fn source(&self) -> u32 {
        self.function.source()
    }

    /// Whether it was entered before the latest end of a slice, at which probes go, so
    /// that its return may never be seen: it counts in none.
    #[inline(always)]
    #[must_use]
    pub const fn is_stale(&self, slice: u32) -> bool {
        self.is_pending() && self.slice != slice
    }

    /// Ends the call: no longer pending, and a copy of what it was.
    #[inline(always)]
    pub const fn end(&mut self) -> Self {
        let ended = *self;
        self.function = Function::NONE;
        ended
    }

    /// Whether the ledger held the block that this realloc was given.
    #[inline(always)]
    #[must_use]
    pub const fn has_taken(&self) -> bool {
        self.taken.site != 0
    }

    /// Whether `next` is what this call's function jumped to as its last act
    /// (`memalign` → `malloc`, `reallocarray` → `realloc`), rather than a
    /// later call.
    #[inline(always)]
    #[must_use]
    pub const fn continues_as(&self, next: &Self) -> bool {
        self.size == next.size
            && ((self.stack_pointer == next.stack_pointer && self.may_jump_to(next))
                || self.is_passed_on_as(next))
    }

    /// Whether this call's function has a jump to `next`'s in some glibc: a
    /// later call from the same place on the stack is often of the same size,
    /// and must not pass for a part of this one when its return was lost.
    #[inline(always)]
    #[must_use]
    const fn may_jump_to(&self, next: &Self) -> bool {
        const MALLOC: u32 = Source::Malloc as u32;
        const REALLOC: u32 = Source::Realloc as u32;
        const REALLOCARRAY: u32 = Source::Reallocarray as u32;
        const MEMALIGN: u32 = Source::Memalign as u32;
        const ALIGNED_ALLOC: u32 = Source::AlignedAlloc as u32;
        if self.function.jumps() {
            // Which function it jumps to is not known; itself it calls again.
            // Only new[] jumps to new, and both are one to the probes.
            return self.function.throws() || self.function.cookie() != next.function.cookie();
        }
        match next.source() {
            MALLOC => match self.source() {
                REALLOC | REALLOCARRAY => self.pointer == 0,
                MEMALIGN | ALIGNED_ALLOC => true,
                _ => false,
            },
            REALLOC => self.source() == REALLOCARRAY && self.pointer == next.pointer,
            MEMALIGN => self.source() == ALIGNED_ALLOC,
            _ => false,
        }
    }

    /// Whether `next` is the realloc that this reallocarray is. glibc jumps to
    /// it through its procedure linkage table (malloc/reallocarray.c): a
    /// preloaded library's realloc comes between, with a frame of its own, and
    /// what it calls returns into that library. Of no block, realloc jumps on
    /// to malloc.
    #[inline(always)]
    #[must_use]
    const fn is_passed_on_as(&self, next: &Self) -> bool {
        self.source() == Source::Reallocarray as u32
            && (next.source() == Source::Realloc as u32 || next.source() == Source::Malloc as u32)
            && self.pointer == next.pointer
            && next.stack_pointer < self.stack_pointer
    }

    /// Whether a return of `function`, with the stack pointer after it, is this call's.
    #[inline(always)]
    #[must_use]
    pub const fn is_ended_by(&self, function: Function, stack_pointer: u64) -> bool {
        // `ret` has popped the return address.
        self.function.ends_as(function) && self.stack_pointer.wrapping_add(8) == stack_pointer
    }
}

impl ThreadCalls {
    /// Whether `next` is part of the pending call. `from_allocator` tells
    /// whether its return address lies in the allocator's own code; it is
    /// asked only where that matters.
    #[inline(always)]
    pub fn is_inner(&mut self, next: &Call, from_allocator: impl FnOnce() -> bool) -> bool {
        let (pending, continues) = if self.current.is_pending() {
            (&self.current, self.current.continues_as(next))
        } else {
            // A handler's calls have come and gone, and the interrupted call goes on.
            (&self.suspended, false)
        };
        if continues {
            return true;
        }
        let is_part = pending.is_pending()
            && next.stack_pointer < pending.stack_pointer
            && (next.stack_pointer == self.inner_stack_pointer || from_allocator());
        if is_part {
            self.inner_stack_pointer = next.stack_pointer;
        }
        is_part
    }

    /// Makes `next`, a call of its own, the current one.
    ///
    /// If a call is pending it becomes the suspended one; the caller must
    /// have counted the one that is suspended now as a missed return.
    #[inline(always)]
    pub fn begin(&mut self, next: &Call) {
        if self.current.is_pending() {
            self.suspended = self.current;
        }
        self.current = *next;
        self.inner_stack_pointer = 0;
    }

    /// Whether [`Self::begin`] would displace a suspended call.
    #[inline(always)]
    #[must_use]
    pub const fn begin_displaces(&self) -> bool {
        self.current.is_pending() && self.suspended.is_pending()
    }

    /// Which call a return of `function` ends, with the stack pointer after it.
    #[inline(always)]
    #[must_use]
    pub const fn ended_by(&mut self, function: Function, stack_pointer: u64) -> Return {
        if self.inner_stack_pointer.wrapping_add(8) == stack_pointer {
            // From here on another call may stand there.
            self.inner_stack_pointer = 0;
        }
        if self.current.is_pending() {
            if self.current.is_ended_by(function, stack_pointer) {
                Return::Current
            } else {
                Return::Unknown
            }
        } else if self.suspended.is_ended_by(function, stack_pointer) {
            Return::Suspended
        } else {
            Return::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::Shape;

    fn call(source: Source, stack_pointer: u64, pointer: u64) -> Call {
        Call {
            function: Function::new(source, Shape::Size, 0),
            stack_pointer,
            size: 100,
            pointer,
            ..Call::default()
        }
    }

    /// A call that a signal handler interrupted with a call of its own goes on:
    /// what it then calls is part of it still, and what the program calls is not.
    #[test]
    fn an_interrupted_call_goes_on() {
        let idle = Call::default();
        let mut calls = ThreadCalls {
            current: idle,
            suspended: call(Source::Realloc, 0x1000, 0x77),
            inner_stack_pointer: 0,
            handed_on: 0,
            large_object: 0,
            scratch: Site {
                allocated_blocks: 0,
                allocated_bytes: 0,
                freed_blocks: 0,
                freed_bytes: 0,
                identity: crate::site::SiteIdentity::default(),
                frames: [0; crate::FRAMES_MAX],
            },
            walk: Walk::default(),
            window: [0; crate::unwind::WINDOW_WORDS],
        };
        let inner = call(Source::Malloc, 0xf80, 0);
        assert!(calls.is_inner(&inner, || true));
        // What it jumps to comes with a return address that tells nothing.
        assert!(calls.is_inner(&inner, || false));
        assert!(!calls.is_inner(&call(Source::Malloc, 0xf90, 0), || false));
        // After its return another's call may stand at the same place.
        assert_eq!(calls.ended_by(inner.function, 0xf88), Return::Unknown);
        assert!(!calls.is_inner(&inner, || false));
        assert!(calls.is_inner(&inner, || true));
        assert!(!calls.is_inner(&call(Source::Malloc, 0x1080, 0), || true));
    }

    /// A call that was pending when a slice ended is stale from then on; one that is over is not.
    #[test]
    fn a_slice_makes_pending_calls_stale() {
        let mut pending = call(Source::Malloc, 0x1000, 0);
        assert!(!pending.is_stale(0) && pending.is_stale(1));
        pending.end();
        assert!(!pending.is_stale(1));
    }

    /// A jump keeps the stack pointer: the same block, one call.
    #[test]
    fn a_jump_continues_the_call() {
        let outer = call(Source::Memalign, 0x1000, 0);
        assert!(outer.continues_as(&call(Source::Malloc, 0x1000, 0)));
        // A later call of the same function from the same place.
        assert!(!outer.continues_as(&call(Source::Memalign, 0x1000, 0)));
        // A signal handler's.
        assert!(!outer.continues_as(&call(Source::Malloc, 0xf00, 0)));
        // A later call of as many bytes, after one whose return was lost.
        for (lost, later) in [
            (Source::Malloc, Source::Calloc),
            (Source::Malloc, Source::Memalign),
            (Source::Calloc, Source::Malloc),
            (Source::Realloc, Source::Calloc),
            (Source::Realloc, Source::Reallocarray),
        ] {
            assert!(!call(lost, 0x1000, 0).continues_as(&call(later, 0x1000, 0)));
        }
        let lost = call(Source::Realloc, 0x1000, 0x77);
        assert!(!lost.continues_as(&call(Source::Malloc, 0x1000, 0)));
    }

    /// reallocarray that comes to realloc by way of a preloaded library is one
    /// call; another realloc beneath it is not.
    #[test]
    fn reallocarray_through_a_wrapper_is_one_call() {
        let outer = call(Source::Reallocarray, 0x1000, 0x77);
        let inner = call(Source::Realloc, 0xf80, 0x77);
        assert!(outer.continues_as(&inner));
        let others = [
            call(Source::Realloc, 0xf80, 0x88),
            call(Source::Realloc, 0x1080, 0x77),
            call(Source::Malloc, 0xf80, 0),
            Call { size: 99, ..inner },
        ];
        for other in others {
            assert!(!outer.continues_as(&other), "{other:?}");
        }
        assert!(!inner.continues_as(&outer));
        // realloc of no block is malloc.
        let outer = call(Source::Reallocarray, 0x1000, 0);
        assert!(outer.continues_as(&call(Source::Malloc, 0xf80, 0)));
        assert!(!outer.continues_as(&call(Source::Calloc, 0xf80, 0)));
    }
}
