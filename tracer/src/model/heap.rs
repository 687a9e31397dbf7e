//! What one look at a process's heap found. Bytes everywhere; `resident` is what
//! counts in the resident set.

use serde::{Deserialize, Serialize};

/// glibc's heap, chunk by chunk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walked {
    /// Release of the glibc, such as `2.36`.
    pub version: String,
    /// The arenas, the main one first.
    pub arenas: Vec<Arena>,
    /// Chunks that are mappings of their own.
    pub mapped: Mapped,
    /// Caches of threads.
    pub caches: u64,
    /// `[start, end)` of what the allocator has, by address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<(u64, u64)>,
    /// The largest stretches of free chunks, by resident bytes.
    pub largest_free: Vec<FreeRun>,
    /// Bytes of free chunks by the power of two below their size.
    pub free_by_size: Vec<u64>,
    /// How full pages are, in address order.
    pub occupancy: Occupancy,
    /// How well everything fitted together.
    pub quality: Quality,
}

/// One arena.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arena {
    /// Where its state stands.
    pub address: u64,
    /// Whether it is the main one, which grows by `brk`.
    pub is_main: bool,
    /// Stretches of memory that it has.
    pub regions: u64,
    /// Bytes that it says it has from the system.
    pub system_bytes: u64,
    /// Its chunks.
    pub chunks: Chunks,
    /// Its pages.
    pub pages: Pages,
    /// Resident bytes that `malloc_trim(0)` would return: predicted.
    pub trimmable_bytes: u64,
}

/// Chunks by what they are. Their sum is what the arena has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunks {
    /// Blocks of the program's, and their bytes without headers (`malloc_usable_size`).
    pub live_count: u64,
    /// See there.
    pub live_bytes: u64,
    /// Free chunks in the bins.
    pub free_count: u64,
    /// See there.
    pub free_bytes: u64,
    /// Free chunks in fastbins, which are not joined with their neighbours.
    pub fast_count: u64,
    /// See there.
    pub fast_bytes: u64,
    /// Free chunks that threads keep for themselves.
    pub cached_count: u64,
    /// See there.
    pub cached_bytes: u64,
    /// The topmost chunk, which grows and shrinks with the arena.
    pub top_bytes: u64,
    /// Headers of live chunks, arenas, heaps, caches, fenceposts.
    pub overhead_bytes: u64,
    /// What somebody else has of `brk`'s heap, between the allocator's own; glibc
    /// counts it as its own.
    pub foreign_bytes: u64,
    /// What could not be told.
    pub unknown_bytes: u64,
}

impl Chunks {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        [
            self.live_bytes,
            self.free_bytes,
            self.fast_bytes,
            self.cached_bytes,
            self.top_bytes,
            self.overhead_bytes,
            self.foreign_bytes,
            self.unknown_bytes,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

impl std::ops::AddAssign for Chunks {
    fn add_assign(&mut self, other: Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.live_count, other.live_count);
        add(&mut self.live_bytes, other.live_bytes);
        add(&mut self.free_count, other.free_count);
        add(&mut self.free_bytes, other.free_bytes);
        add(&mut self.fast_count, other.fast_count);
        add(&mut self.fast_bytes, other.fast_bytes);
        add(&mut self.cached_count, other.cached_count);
        add(&mut self.cached_bytes, other.cached_bytes);
        add(&mut self.top_bytes, other.top_bytes);
        add(&mut self.overhead_bytes, other.overhead_bytes);
        add(&mut self.foreign_bytes, other.foreign_bytes);
        add(&mut self.unknown_bytes, other.unknown_bytes);
    }
}

/// Pages by what is on them. Resident is used + empty + pinned + unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pages {
    /// With memory behind them.
    pub resident_bytes: u64,
    /// In swap.
    pub swapped_bytes: u64,
    /// Neither.
    pub absent_bytes: u64,
    /// Of the resident: in use, by blocks or by the allocator itself.
    pub used_bytes: u64,
    /// Of the resident: pages with nothing in use on them (retention).
    pub empty_bytes: u64,
    /// Of the resident: free, beside something in use (fragmentation).
    pub pinned_bytes: u64,
    /// Pages that those are on.
    pub pinning_pages: u64,
    /// Of the resident: not told.
    pub unknown_bytes: u64,
}

impl std::ops::AddAssign for Pages {
    fn add_assign(&mut self, other: Self) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.resident_bytes, other.resident_bytes);
        add(&mut self.swapped_bytes, other.swapped_bytes);
        add(&mut self.absent_bytes, other.absent_bytes);
        add(&mut self.used_bytes, other.used_bytes);
        add(&mut self.empty_bytes, other.empty_bytes);
        add(&mut self.pinned_bytes, other.pinned_bytes);
        add(&mut self.pinning_pages, other.pinning_pages);
        add(&mut self.unknown_bytes, other.unknown_bytes);
    }
}

/// Chunks that are mappings of their own: all of them in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapped {
    /// How many were found.
    pub count: u64,
    /// Bytes of their mappings.
    pub bytes: u64,
    /// Of those, resident.
    pub resident_bytes: u64,
    /// Of those, in swap.
    pub swapped_bytes: u64,
}

/// Free chunks beside each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeRun {
    /// Address of the first.
    pub start: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Resident bytes on whole pages of it.
    pub resident_bytes: u64,
    /// It ends in the topmost chunk.
    pub is_top: bool,
}

/// Pages in address order, some in each cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupancy {
    /// Pages that a cell stands for at most.
    pub pages_per_cell: u64,
    /// First address of each region, and how many cells there are up to its end.
    pub regions: Vec<(u64, u64)>,
    /// The cells.
    pub cells: Vec<Cell>,
}

/// What is on the pages of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Pages that are not resident.
    pub absent: u32,
    /// Resident pages of which nothing is known.
    pub unknown: u32,
    /// Resident pages with nothing in use.
    pub empty: u32,
    /// Resident pages with something in use.
    pub partly: u32,
    /// Bytes in use on those.
    pub used_bytes: u64,
}

/// Resident pages with something in use on them, by number; most of them are
/// pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartlyUsed {
    /// How far a page is behind the one before, and bytes in use on it.
    steps: Vec<(u64, u16)>,
    last: u64,
}

impl PartlyUsed {
    /// Adds a page behind the others; false if it is not.
    pub fn push(&mut self, page: u64, used: u16) -> bool {
        let is_behind = self.steps.is_empty() || page > self.last;
        if is_behind {
            self.steps.push((page.wrapping_sub(self.last), used));
            self.last = page;
        }
        is_behind
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Number of each page, and bytes in use on it.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u16)> {
        self.steps.iter().scan(0_u64, |page, (step, used)| {
            *page = page.wrapping_add(*step);
            Some((*page, *used))
        })
    }
}

/// How well everything that was read fitted together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// Nothing of what follows happened, but for pieces read again and a bin or two
    /// in the middle of a change.
    pub is_clean: bool,
    /// Windows that were read again, because something in them had just changed.
    pub retries: u64,
    /// Places at which chunks did not lead on.
    pub breaks: u64,
    /// Bytes behind such places up to where they did again.
    pub unknown_bytes: u64,
    /// Free chunks whose footer disagrees.
    pub wrong_footers: u64,
    /// Free chunks beside each other that should be one.
    pub adjacent_free: u64,
    /// Chunks of lists that were at no chunk's place.
    pub misplaced: u64,
    /// Lists that could not be followed to the end; what follows counts as in use.
    pub lists_cut_off: u64,
    /// Bins that did not lead back to their arena.
    pub broken_bins: u64,
    /// Arenas whose memory was not found whole, or the ring of them did not close.
    pub arenas_cut_off: u64,
    /// Bytes that arenas have from the system, less what was walked.
    pub missing_bytes: i64,
    /// Mapped chunks that `malloc_par` counts, less those found.
    pub missing_mapped: i64,
    /// `malloc_par` was not found: there is nothing to compare mapped chunks with.
    pub has_no_parameters: bool,
}

/// One look at a process: what `memtrace heap --json` prints.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Heap {
    /// The process.
    pub process: super::Process,
    /// When, RFC 3339.
    pub time_utc: String,
    /// The resident set, shared out.
    pub split: Split,
    /// The heap.
    pub walked: Walked,
    /// What the look cost.
    pub cost: Cost,
}

impl Heap {
    /// Resident bytes that `malloc_trim(0)` would return: predicted.
    #[must_use]
    pub fn trimmable_bytes(&self) -> u64 {
        (self.walked.arenas.iter())
            .map(|arena| arena.trimmable_bytes)
            .fold(0, u64::saturating_add)
    }
}

/// The resident set by what it is for. The parts and what is unexplained add up
/// to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// All of it, as `Rss` in `/proc/PID/smaps` adds up.
    pub resident_bytes: u64,
    /// Blocks that the program holds.
    pub live_bytes: u64,
    /// Free, on pages with nothing in use on them: retention.
    pub retained_bytes: u64,
    /// Free, on pages with something in use on them: fragmentation.
    pub pinned_bytes: u64,
    /// The allocator's own: headers, arenas, caches.
    pub overhead_bytes: u64,
    /// The allocator's, of which nothing could be told.
    pub unknown_bytes: u64,
    /// Named by V8 as its own.
    pub javascript_bytes: u64,
    /// Anonymous memory of anybody else: stacks, heaps of languages, variables.
    pub other_bytes: u64,
    /// Pages of files.
    pub file_bytes: u64,
    /// Shared memory.
    pub shared_bytes: u64,
    /// What is left: what changed between the walk and the sum.
    pub unexplained_bytes: i64,
    /// Not resident: in swap.
    pub swapped_bytes: u64,
    /// Of the resident: given back by `MADV_FREE`, the kernel's when it wants them.
    pub lazily_freed_bytes: u64,
    /// Of the resident: in transparent huge pages.
    pub huge_bytes: u64,
}

impl Split {
    /// The sum of what was told.
    #[must_use]
    pub fn explained(&self) -> u64 {
        [
            self.live_bytes,
            self.retained_bytes,
            self.pinned_bytes,
            self.overhead_bytes,
            self.unknown_bytes,
            self.javascript_bytes,
            self.other_bytes,
            self.file_bytes,
            self.shared_bytes,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// What a look cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The look.
    pub seconds: f64,
    /// The walk that is told of.
    pub walk_seconds: f64,
    /// Walks, until one was clean or time was up.
    pub attempts: u32,
    /// Bytes that were read for it.
    pub read_bytes: u64,
    /// Memory of the process that walked, at most.
    pub worker_bytes: u64,
    /// How long the target was stopped, if it was.
    pub stopped_seconds: Option<f64>,
}
