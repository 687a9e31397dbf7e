//! What a trace found in the heaps of its processes: the report's `heap`.

use serde::{Deserialize, Serialize};

use super::heap::{Cost, Split, Walked};

/// The heaps of a trace's processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heaps {
    /// Those whose heap was walked at least once, and those that could not be.
    pub processes: Vec<ProcessHeap>,
}

/// One process's heap, over the trace and at its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessHeap {
    /// [`super::Process::id`].
    pub process: u32,
    /// The resident set shared out, from time to time; the last one is the end.
    pub timeline: Vec<Moment>,
    /// The heap at the last look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastLook>,
    /// What the ledger and the mappings tell of any allocator's heap, where both
    /// were watched and every call was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<Traced>,
    /// Who pins the pages; only of a process that lived at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Shares>,
    /// Who freed what is free on whole pages: predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained: Option<Shares>,
    /// Of the retained: from sites whose blocks are on average of 64 KiB and
    /// more, which a lower mmap threshold would have mapped (glibc): predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mappable_bytes: Option<u64>,
    /// Why it could not be walked, or not at the end. A sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_walked: Option<String>,
}

/// The resident set at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Since the window's start.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub seconds: f64,
    /// What it is for.
    pub split: Split,
    /// What `malloc_trim(0)` would return: predicted.
    pub trimmable_bytes: u64,
    /// Everything that was read fitted together.
    pub is_clean: bool,
}

/// The heap at the last look.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LastLook {
    /// The heap. Its spans are left out.
    pub walked: Walked,
    /// What the look cost.
    pub cost: Cost,
}

/// A heap as resident pages of the allocator's mappings and the live blocks on
/// them. Of other allocators than glibc, whole free pages are no more than an upper
/// bound on what a purge gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// Of the allocator's mappings.
    pub resident_bytes: u64,
    /// Requested bytes of live blocks.
    pub live_bytes: u64,
    /// On resident pages without a block.
    pub retained_bytes: u64,
    /// On resident pages with one, beside it.
    pub pinned_bytes: u64,
    /// The process was attached to: blocks from before count as free.
    pub is_upper_bound: bool,
}

/// Bytes shared out to sites. They and what belongs to none add up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Largest first.
    pub sites: Vec<Share>,
    /// Of blocks that the trace has not seen: older than it, or passed over.
    pub unseen_bytes: u64,
    /// Of pages that there was no room to look at one by one.
    pub left_out_bytes: u64,
}

/// A site's share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// [`super::Site::site_id`], of the same process.
    pub site_id: String,
    /// Its bytes.
    pub bytes: u64,
}

impl Shares {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        let sites = self.sites.iter().map(|share| share.bytes);
        sites.fold(
            self.unseen_bytes.saturating_add(self.left_out_bytes),
            u64::saturating_add,
        )
    }
}
