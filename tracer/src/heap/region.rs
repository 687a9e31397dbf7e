//! A region: one stretch of memory that chunks fill from end to end, and what
//! was counted in it.

use crate::model::heap::{Chunks, FreeRun};

/// Largest free runs that are told.
pub const RUNS: usize = 16;
/// Powers of two that sizes of chunks are sorted by.
pub const SIZES: usize = 48;

/// A stretch of chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First address that the allocator has.
    pub start: u64,
    /// Address of the first chunk.
    pub first_chunk: u64,
    /// First address behind it.
    pub end: u64,
    /// The arena's topmost chunk, which may be elsewhere.
    pub top: u64,
    /// It is the main arena's.
    pub is_main: bool,
    /// `brk` is at its end, as far as is known: `malloc_trim` can lower it.
    pub is_break: bool,
    /// Bytes that `brk` is lowered by multiples of.
    pub step: u64,
}

/// What was counted in a region so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By what they are.
    pub chunks: Chunks,
    /// Resident bytes that `malloc_trim` would return.
    pub trimmable_bytes: u64,
    /// The largest free runs, the largest first.
    pub runs: Vec<FreeRun>,
    /// Bytes of free chunks, by the power of two below their size.
    pub free_by_size: Vec<u64>,
    /// Free chunks whose footer says otherwise.
    pub wrong_footers: u64,
    /// Free chunks beside each other, which should be one.
    pub adjacent_free: u64,
    /// Chunks of fastbins that no chunk begins at.
    pub misplaced: u64,
    /// Places at which the walk had to be taken up again.
    pub retries: u64,
    /// Places at which it could not go on.
    pub breaks: u64,
    /// First address that was not the allocator's any more.
    pub end: u64,
    /// The topmost chunk was met.
    pub has_top: bool,
}

impl Tally {
    /// Notes a free chunk's size.
    pub fn sized(&mut self, size: u64) {
        self.free_by_size.resize(SIZES, 0);
        let power = (size.max(1).ilog2() as usize).min(SIZES - 1);
        if let Some(bytes) = self.free_by_size.get_mut(power) {
            *bytes += size;
        }
    }

    /// Keeps a free run if it is among the largest.
    pub fn keep(&mut self, run: FreeRun) {
        let place = (self.runs).partition_point(|it| it.resident_bytes >= run.resident_bytes);
        if place < RUNS {
            self.runs.insert(place, run);
            self.runs.truncate(RUNS);
        }
    }

    /// Whether a run of so many bytes could be among the largest.
    pub fn is_large(&self, bytes: u64) -> bool {
        let smallest = self.runs.get(RUNS - 1).map_or(0, |it| it.resident_bytes);
        bytes > smallest
    }
}
