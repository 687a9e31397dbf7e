//! A site: one stack of one source in one process.

use serde::{Deserialize, Serialize};

use super::{Frame, StackEnd};

/// What one stack of one source in one process allocated and freed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// 16 hexadecimal digits: a hash of source and of the frames' build ids and
    /// offsets, the same in every run of the same binaries.
    pub site_id: String,
    /// [`super::Process::id`].
    pub process: u32,
    /// The allocator function that was called.
    pub source: Source,
    /// Blocks and bytes.
    #[serde(flatten)]
    pub counts: Counts,
    /// Age of the oldest live block at the end of the window, seconds; 0 if none is live.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub oldest_seconds: f64,
    /// The pool above the allocator that grew here, such as `pymalloc`: the stack
    /// is that of whoever came when it was full, not of what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Innermost first: the first is the function that called the allocator.
    /// Empty where the stack was lost (see the report's `loss`).
    pub frames: Vec<Frame>,
    /// Why the stack ends where it does.
    #[serde(default, skip_serializing_if = "StackEnd::is_root")]
    pub stack_end: StackEnd,
}

/// Blocks and requested bytes. `allocated − freed = live`, always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Bytes allocated and not freed.
    #[serde(with = "super::wide")]
    pub live_bytes: u64,
    /// Blocks allocated and not freed.
    #[serde(with = "super::wide")]
    pub live_blocks: u64,
    /// Bytes allocated within the window.
    #[serde(with = "super::wide")]
    pub allocated_bytes: u64,
    /// Blocks allocated within the window.
    #[serde(with = "super::wide")]
    pub allocated_blocks: u64,
    /// Bytes freed of those allocated within the window.
    #[serde(with = "super::wide")]
    pub freed_bytes: u64,
    /// Blocks freed of those allocated within the window.
    #[serde(with = "super::wide")]
    pub freed_blocks: u64,
}

impl Counts {
    /// Counts from the two things the kernel counts; live follows from them.
    #[must_use]
    pub const fn new(
        allocated_blocks: u64,
        allocated_bytes: u64,
        freed_blocks: u64,
        freed_bytes: u64,
    ) -> Self {
        Self {
            live_bytes: allocated_bytes.saturating_sub(freed_bytes),
            live_blocks: allocated_blocks.saturating_sub(freed_blocks),
            allocated_bytes,
            allocated_blocks,
            freed_bytes,
            freed_blocks,
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.live_bytes += other.live_bytes;
        self.live_blocks += other.live_blocks;
        self.allocated_bytes += other.allocated_bytes;
        self.allocated_blocks += other.allocated_blocks;
        self.freed_bytes += other.freed_bytes;
        self.freed_blocks += other.freed_blocks;
    }
}

/// The allocator function that was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the functions of these names, and C++'s operator new"
)]
pub enum Source {
    Malloc,
    Calloc,
    Realloc,
    Reallocarray,
    Memalign,
    PosixMemalign,
    AlignedAlloc,
    Valloc,
    Pvalloc,
    Mallocx,
    Rallocx,
    Xallocx,
    New,
    Mmap,
    Mremap,
    Brk,
    Mprotect,
    Send,
    Receive,
    Accept,
    Connect,
    #[serde(rename = "js_heap")]
    JavascriptHeap,
    /// A source of a newer memtrace.
    #[serde(other)]
    Unknown,
}

impl Source {
    /// The name of the C function, as reports write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        use tracer_common::source::Source as Kernel;
        match self {
            Self::Malloc => Kernel::Malloc.name(),
            Self::Calloc => Kernel::Calloc.name(),
            Self::Realloc => Kernel::Realloc.name(),
            Self::Reallocarray => Kernel::Reallocarray.name(),
            Self::Memalign => Kernel::Memalign.name(),
            Self::PosixMemalign => Kernel::PosixMemalign.name(),
            Self::AlignedAlloc => Kernel::AlignedAlloc.name(),
            Self::Valloc => Kernel::Valloc.name(),
            Self::Pvalloc => Kernel::Pvalloc.name(),
            Self::Mallocx => Kernel::Mallocx.name(),
            Self::Rallocx => Kernel::Rallocx.name(),
            Self::Xallocx => Kernel::Xallocx.name(),
            Self::New => Kernel::New.name(),
            Self::Mmap => Kernel::Mmap.name(),
            Self::Mremap => Kernel::Mremap.name(),
            Self::Brk => Kernel::Brk.name(),
            Self::Mprotect => Kernel::Mprotect.name(),
            Self::Send => Kernel::Send.name(),
            Self::Receive => Kernel::Receive.name(),
            Self::Accept => Kernel::Accept.name(),
            Self::Connect => Kernel::Connect.name(),
            Self::JavascriptHeap => Kernel::JavascriptHeap.name(),
            Self::Unknown => "unknown",
        }
    }
}

impl From<tracer_common::source::Source> for Source {
    fn from(source: tracer_common::source::Source) -> Self {
        use tracer_common::source::Source as Kernel;
        match source {
            Kernel::Malloc => Self::Malloc,
            Kernel::Calloc => Self::Calloc,
            Kernel::Realloc => Self::Realloc,
            Kernel::Reallocarray => Self::Reallocarray,
            Kernel::Memalign => Self::Memalign,
            Kernel::PosixMemalign => Self::PosixMemalign,
            Kernel::AlignedAlloc => Self::AlignedAlloc,
            Kernel::Valloc => Self::Valloc,
            Kernel::Pvalloc => Self::Pvalloc,
            Kernel::Mallocx => Self::Mallocx,
            Kernel::Rallocx => Self::Rallocx,
            Kernel::Xallocx => Self::Xallocx,
            Kernel::New => Self::New,
            Kernel::Mmap => Self::Mmap,
            Kernel::Mremap => Self::Mremap,
            Kernel::Brk => Self::Brk,
            Kernel::Mprotect => Self::Mprotect,
            Kernel::Send => Self::Send,
            Kernel::Receive => Self::Receive,
            Kernel::Accept => Self::Accept,
            Kernel::Connect => Self::Connect,
            Kernel::JavascriptHeap => Self::JavascriptHeap,
        }
    }
}
