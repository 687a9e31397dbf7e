//! Trace-wide counts: what was lost, by cause, and what is not loss but must be told.
//!
//! Kept in a per-CPU array, each element added to atomically: a program can be
//! preempted and another run on the same CPU.

/// Calls and bytes of one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Count {
    /// Number of calls.
    pub calls: u64,
    /// Requested bytes of those calls, where they are known.
    pub bytes: u64,
}

/// The causes, as indices of the counter array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Counter {
    /// A block found no room: the ledger has as many entries as it may.
    LedgerFull = 0,
    /// A block found no room: the kernel had no memory at hand.
    LedgerOutOfMemory = 1,
    /// The block is in the ledger, its stack is not: no room for the site.
    SiteTableFull = 2,
    /// The block is in the ledger, its stack is not: two stacks, one hash.
    StackCollision = 3,
    /// The block is in the ledger, its stack could not be taken.
    StackUnreadable = 4,
    /// A call whose return was never seen (longjmp, exception, thread exit).
    MissedReturn = 5,
    /// A block was allocated where a live one stood: its free was not seen.
    /// The bytes are those of the block that must have gone.
    UnseenFree = 6,
    /// A call could not be followed: more threads than the table holds.
    ThreadTableFull = 7,
    /// `posix_memalign`'s result could not be read.
    ResultUnreadable = 8,
    /// Not loss: frees of blocks the ledger never held.
    UnmatchedFree = 9,
    /// Not loss: calls that returned no block.
    FailedCall = 10,
    /// Not loss: stacks cut at [`crate::FRAMES_MAX`] frames.
    StackTruncated = 11,
    /// Not loss: allocations passed over by sampling.
    SampledOut = 12,
    /// Not loss: child processes that the target started.
    ChildProcess = 13,
    /// A change of mappings that found the ring buffer full, and its bytes.
    MappingDropped = 14,
    /// Not loss: frames of JavaScript functions that could not be told of, as
    /// the ring buffer or the map of functions was full. They have no names.
    FunctionNotTold = 15,
    /// Not loss of blocks: calls on sockets that were not kept, as the map of
    /// sockets was full.
    SocketTableFull = 16,
    /// Not loss: TCP's memory that the host's sockets took, `__sk_mem_raise_allocated`.
    SocketRaised = 17,
    /// Not loss: the same beyond all limits, `sk_forced_mem_schedule`.
    SocketForced = 18,
    /// Not loss: the same given back, `__sk_mem_reduce_allocated`.
    SocketReduced = 19,
    /// Not loss of blocks: samples of V8's allocation whose stack could not be
    /// taken or kept, and the bytes they stand for.
    SampleWithoutStack = 20,
}

/// How many counters there are.
pub const COUNTERS: u32 = 21;
