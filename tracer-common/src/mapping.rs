//! What a process does to its mappings, as the kernel side tells it.

/// One system call's effect on an address space.
///
/// Ordered by `time`: what takes mappings away carries the time at which the
/// call was entered, what makes them that at which it returned. A range that is
/// given away can be in use again before its `munmap` has returned, and no
/// range can be given away before the call that made it has returned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MappingEvent {
    /// `CLOCK_MONOTONIC`, ns.
    pub time: u64,
    /// First address; [`MappingKind::Break`]: the new end of the heap.
    pub start: u64,
    /// Bytes, as the program gave them.
    pub length: u64,
    /// The stack that asked, by its key in the site map; 0: none was taken.
    pub site: u64,
    /// The address space.
    pub space: u32,
    /// [`MappingKind`], by number.
    pub kind: u32,
    /// `PROT_…`
    pub protection: u32,
    /// `MAP_…` of mmap, and [`BY_ALLOCATOR`].
    pub flags: u32,
    /// Thread id.
    pub thread: u32,
    /// Always zero.
    pub reserved: u32,
}

/// Within a pending call of an allocator: the mapping is the allocator's.
pub const BY_ALLOCATOR: u32 = 1 << 31;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MappingKind {
    /// `mmap` returned.
    Mapped = 1,
    /// `munmap`, or `mmap` over an address (`MAP_FIXED`), was entered.
    Unmapped = 2,
    /// `mprotect` returned.
    Protected = 3,
    /// `brk` returned.
    Break = 4,
    /// `mremap` was entered: what stood there moves.
    Taken = 5,
    /// `mremap` returned.
    Moved = 6,
    /// A call failed that may have done a part of what it was asked for, or did
    /// what no other kind tells: look again.
    Unclear = 7,
    /// `accept` or `connect` returned: no mapping, and not told as an event.
    Opened = 8,
}

impl MappingKind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Mapped,
            2 => Self::Unmapped,
            3 => Self::Protected,
            4 => Self::Break,
            5 => Self::Taken,
            6 => Self::Moved,
            7 => Self::Unclear,
            _ => return None,
        })
    }
}
