//! What processes have mapped, beside what their allocators hand out.

use serde::{Deserialize, Serialize};

use super::{Frame, Source};

/// The mappings of the traced processes at the end of the window. Bytes are of
/// pages; what the allocators mapped holds the blocks of the sites.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mappings {
    /// What watching cost every process of the host at each of its system
    /// calls, ns, measured on memtrace itself.
    pub bystander_ns: f64,
    /// Mapping calls of the targets that were taken in.
    #[serde(with = "super::wide")]
    pub events: u64,
    /// Of those processes that were alive.
    pub processes: Vec<ProcessMappings>,
}

/// What one process has mapped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessMappings {
    /// [`super::Process::id`].
    pub process: u32,
    /// All of it.
    pub total: Extent,
    /// Mapped before the trace began, or by the kernel: program, libraries, stacks.
    pub before: Extent,
    /// Mapped by allocators within their calls.
    pub allocator: Extent,
    /// Mapped within the window by nobody knows whom.
    pub unseen: Extent,
    /// By stack, the largest resident bytes first.
    pub sites: Vec<MappingSite>,
}

/// How much is mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Bytes with memory behind them, as `Rss` in `/proc/PID/smaps` counts.
    #[serde(with = "super::wide")]
    pub resident_bytes: u64,
    /// Bytes of address space that may be touched.
    #[serde(with = "super::wide")]
    pub usable_bytes: u64,
    /// Bytes of address space that may not (`PROT_NONE`): no memory.
    #[serde(with = "super::wide")]
    pub reserved_bytes: u64,
}

impl std::ops::AddAssign for Extent {
    fn add_assign(&mut self, other: Self) {
        let add = |sum: &mut u64, more| *sum = sum.saturating_add(more);
        add(&mut self.resident_bytes, other.resident_bytes);
        add(&mut self.usable_bytes, other.usable_bytes);
        add(&mut self.reserved_bytes, other.reserved_bytes);
    }
}

/// What one stack mapped within the window, as far as it is mapped still.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappingSite {
    /// As [`super::Site::site_id`].
    pub site_id: String,
    /// The system call.
    pub source: Source,
    /// What is mapped.
    pub kind: MappingKind,
    /// How much.
    #[serde(flatten)]
    pub extent: Extent,
    /// The pool above the allocator that grew here, such as `pymalloc`: the stack
    /// is that of whoever came when it was full, not of what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Innermost first: the first called the system call's function.
    pub frames: Vec<Frame>,
}

/// What a mapping is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingKind {
    /// Memory of the process's own.
    Anonymous,
    /// Memory it may share with others.
    Shared,
    /// A file.
    File,
}
