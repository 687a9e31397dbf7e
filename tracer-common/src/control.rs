//! What user space tells the kernel side while a trace runs.

/// The trace's switches, one element of an array map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Control {
    /// 1 while calls count. Opens after the last probe is in and shuts before
    /// the first goes, because attaching and detaching are not atomic.
    pub gate: u64,
    /// Random for each trace: seeds the site hash.
    pub seed: u64,
    /// One allocation in `1 << sample_shift` is recorded; 0 records all.
    pub sample_shift: u32,
    /// Blocks of this many bytes and more are always recorded.
    pub always_bytes: u32,
    /// The time, in units of user space's choice, as of its last look: what
    /// blocks are stamped with. Ages are told in seconds, and asking the
    /// clock at each call would cost 60 ns.
    pub now_mark: u32,
    /// 1: there is one target and no other will come, so that whoever runs in
    /// another address space than the bound one is known to be a bystander.
    pub is_alone: u32,
    /// How many blocks one that is recorded stands for, sampling by chance aside: 1
    /// where calls count all the time, the length of a cycle by that of its slice where
    /// they count in slices of time, and 0 between two slices: none is recorded then,
    /// but frees go on being seen.
    pub weight: u32,
    /// Counts the ends of slices: a call that was entered before one counts in no other.
    /// 0: none has ended.
    pub slice: u32,
    /// 1: for a time nobody watched frees, so that a block may stand where another was.
    pub has_gaps: u32,
    /// 1 while nobody watches frees: what resizes is not recorded then either, as its entry
    /// and its return have no probes, or one of them is still on its way out.
    pub is_gap: u32,
    /// From then on nothing is recorded (`CLOCK_MONOTONIC`, ns): user space may come late
    /// to the end of a slice, and blocks would stand for too much. 0: no end is known.
    pub slice_ends: u64,
}

impl Control {
    /// Whether every allocation is recorded, and has been: a free of a block that the
    /// ledger does not hold is then of one from before.
    #[inline(always)]
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.sample_shift == 0 && self.slice == 0
    }
}

/// How many executable ranges of allocator code an address space may have: a
/// libc, a preloaded allocator, a wrapper before it, and some more.
pub const ALLOCATOR_RANGES: usize = 6;

/// What the kernel side must know of one address space, by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SpaceSettings {
    /// Counts changes of the mapped files. Part of a site's identity, because
    /// an address means another function after a library went. Even: user
    /// space has looked, and the next change of the loader's makes it odd.
    pub mapping_generation: u64,
    /// `[start, end)` of the allocator's own code: a call from there is part
    /// of a call that was already counted.
    pub allocator: [[u64; 2]; ALLOCATOR_RANGES],
}

impl SpaceSettings {
    /// Whether `address` lies in the allocator's own code.
    #[inline(always)]
    #[must_use]
    pub fn is_allocator(&self, address: u64) -> bool {
        let [a, b, c, d, e, f] = &self.allocator;
        let within = |range: &[u64; 2]| address >= range[0] && address < range[1];
        within(a) || within(b) || within(c) || within(d) || within(e) || within(f)
    }
}

/// An address space and its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct BoundSpace {
    /// The address of its `struct mm_struct`; 0: none is bound.
    pub mm: u64,
    /// Its number; valid whenever `mm` is.
    pub space: u64,
}

/// A process to trace, by thread group, until its address space is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Target {
    /// The address of its `struct mm_struct`; 0 until its first probe hit.
    pub mm: u64,
    /// The number of its address space.
    pub space: u32,
    /// See the `TARGET_` constants.
    pub flags: u32,
}

/// Stop the process (SIGSTOP) when it execs, before its first instruction.
/// Only for processes that memtrace started itself.
pub const TARGET_STOP_AT_EXEC: u32 = 1;
/// Stop the process each time its loader has mapped or unmapped libraries.
/// Only for processes that memtrace started itself.
pub const TARGET_STOP_AT_LOADER: u32 = 2;
/// Its child processes become targets as they start.
pub const TARGET_FOLLOW: u32 = 4;
/// It runs in the address space of another process (vfork, `CLONE_VM`), until it execs.
pub const TARGET_SHARES_SPACE: u32 = 8;

/// Something user space must look at, sent through the event ring buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// See the `EVENT_` constants.
    pub kind: u32,
    /// Thread group.
    pub tgid: u32,
    /// [`EVENT_FORK`]: the child's thread group. [`EVENT_EXIT`]: its wait status.
    pub value: u32,
    /// [`EVENT_FORK`]: the child's [`Target::flags`].
    pub flags: u32,
    /// `CLOCK_MONOTONIC`, ns.
    pub time: u64,
}

/// The process replaced its program.
pub const EVENT_EXEC: u32 = 1;
/// The process's loader finished a change (`_dl_debug_state`).
pub const EVENT_LOADER: u32 = 2;
/// The process started another, which is to be followed.
pub const EVENT_FORK: u32 = 3;
/// The last thread of the process has ended.
pub const EVENT_EXIT: u32 = 4;
