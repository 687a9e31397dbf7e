//! The walk over a region: from each chunk's size to the next one's, a window
//! of memory at a time. Whether a chunk is in use stands in the one behind it.
//!
//! The target may run: a chunk can be split or joined between two windows. What
//! does not fit is read again from the window's beginning, some times; then the
//! walk goes on behind, where chunks fit together again, and the bytes between
//! are counted as unknown.

mod saved;

use super::{
    layout::Layout,
    lists::{self, Candidate, Chunk},
    memory::{Lost, Memory, PAGE, WINDOW_BYTES, word_at},
    pages::Pages,
    region::{Region, Tally},
    resync,
};
use crate::model::heap::FreeRun;

/// The chunk in front is in use.
pub(super) const IN_USE: u64 = 1;
/// The chunk is a mapping of its own.
pub(super) const MAPPED: u64 = 2;
/// The chunk is not the main arena's.
const NOT_MAIN: u64 = 4;
/// Bits of a size that are none.
pub(super) const FLAGS: u64 = 7;
/// `MINSIZE`
pub(super) const CHUNK_MIN: u64 = 0x20;
/// `sizeof (struct malloc_chunk)`: what `malloc_trim` leaves of a chunk at least.
const CHUNK_HEADER: u64 = 0x30;
/// A fencepost's size.
const FENCE: u64 = 0x10;
/// Fenceposts beside each other at most.
const FENCES_MAX: u32 = 3;
/// Places at which the walk of a region is taken up again. Memory that was made to
/// have more of them is not worth the time.
const BREAKS_MAX: u64 = 256;
/// How often a window is read again.
const TRIES: u32 = 8;
/// A window to begin with: what is behind a large free chunk is not read.
const WINDOW_MIN: usize = 64 << 10;
/// Chunks that may be threads' caches.
const CANDIDATES_MAX: usize = 1 << 16;

/// What the walk needs beside memory.
pub struct Ground<'a> {
    pub layout: &'a Layout,
    pub region: Region,
    /// Chunks of the arena's fastbins, by address.
    pub fast: &'a [u64],
}

/// Walks a region: counts chunks, takes their bytes on pages, and collects chunks
/// that may be threads' caches.
pub fn walk<M: Memory>(
    memory: &mut M,
    ground: &Ground<'_>,
    pages: &mut Pages,
    candidates: &mut Vec<Candidate>,
) -> Result<Tally, Lost> {
    let region = &ground.region;
    let mut walker = Walker {
        ground,
        pages,
        candidates,
        tally: Tally::default(),
        at: region.first_chunk,
        previous: None,
        run: None,
        fences: 0,
        next_fast: ground.fast.partition_point(|it| *it < region.first_chunk),
    };
    walker.structure(region.start, region.first_chunk);
    walker.run(memory)?;
    Ok(walker.tally)
}

struct Walker<'a> {
    ground: &'a Ground<'a>,
    pages: &'a mut Pages,
    candidates: &'a mut Vec<Candidate>,
    tally: Tally,
    /// Where the next header stands.
    at: u64,
    /// The chunk in front of it, and its size with flags.
    previous: Option<(u64, u64)>,
    /// Where the free chunks in front of it begin.
    run: Option<u64>,
    next_fast: usize,
    /// Fenceposts in front of it.
    fences: u32,
}

/// Why the steps through a window ended.
enum Pause {
    /// The next header is in another one.
    Behind,
    /// The header makes no sense, or is not to be had.
    Broken,
    /// Somebody else moved `brk`; the allocator's memory goes on behind that.
    Foreign,
    /// The region's end.
    End,
}

impl Walker<'_> {
    fn run<M: Memory>(&mut self, memory: &mut M) -> Result<(), Lost> {
        let mut bytes = WINDOW_MIN;
        let mut tries = 0;
        let mut furthest = self.at;
        let mut saved = self.save();
        loop {
            let start = self.at & !(PAGE - 1);
            let left = self.ground.region.end.saturating_sub(start);
            let shown = (bytes as u64).min(left.next_multiple_of(PAGE));
            memory.show(start, shown as usize)?;
            let pause = self.steps(memory, start, shown)?;
            furthest = furthest.max(self.at);
            match pause {
                Pause::End => return Ok(()),
                Pause::Behind => {
                    // Large chunks are stepped over, not read.
                    let is_next = self.at < start + shown + PAGE;
                    bytes = if is_next {
                        (bytes * 2).min(WINDOW_BYTES)
                    } else {
                        WINDOW_MIN
                    };
                    tries = 0;
                    saved = self.save();
                }
                Pause::Broken if tries < TRIES => {
                    tries += 1;
                    self.restore(&saved, furthest);
                    self.tally.retries += 1;
                }
                Pause::Foreign | Pause::Broken => {
                    let is_foreign = matches!(pause, Pause::Foreign);
                    if !self.go_on_behind(memory, is_foreign)? {
                        return Ok(());
                    }
                    tries = 0;
                    saved = self.save();
                }
            }
        }
    }

    /// Steps from header to header within the window.
    fn steps<M: Memory>(&mut self, memory: &mut M, start: u64, shown: u64) -> Result<Pause, Lost> {
        let region = self.ground.region;
        let cache = self.ground.layout.cache.chunk;
        let mut maybe_caches = Vec::new();
        let pause = {
            let (bytes, states) = memory.shown();
            loop {
                let offset = self.at.wrapping_sub(start);
                if self.fences > 0 && self.at >= region.end {
                    break Pause::End;
                }
                if offset >= shown {
                    break Pause::Behind;
                }
                let is_resident = states.get((offset / PAGE) as usize) == Some(&1);
                let (footer, head) = (
                    word_at(bytes, offset as usize),
                    word_at(bytes, offset as usize + 8),
                );
                let (true, Some(footer), Some(head)) = (is_resident, footer, head) else {
                    break Pause::Broken;
                };
                let size = head & !FLAGS;
                if self.fences > 0 && (head != FENCE | IN_USE || self.fences >= FENCES_MAX) {
                    break match region.is_break {
                        true => Pause::Foreign,
                        false => Pause::End,
                    };
                }
                let is_top = self.at == region.top
                    || self.at.wrapping_add(size) == region.end && size >= CHUNK_MIN;
                let is_fence = size <= FENCE;
                let room = region.end.saturating_sub(self.at);
                let fits = size & 8 == 0
                    && head & MAPPED == 0
                    && !(region.is_main && head & NOT_MAIN != 0)
                    && size <= room
                    && (is_top || is_fence || size + CHUNK_MIN / 2 <= room);
                if !fits || is_top && size < CHUNK_MIN {
                    break Pause::Broken;
                }
                if size == 0 && self.fences == 0 {
                    // Too little was left of a heap for a fencepost of its own: the
                    // chunk in front is it (`sysmalloc`).
                    if let Some((address, _)) = self.previous
                        && self.at - address <= CHUNK_MIN
                    {
                        self.previous = None;
                        self.structure(address, self.at);
                    }
                }
                // Sixteen bytes more where too little for a chunk would have been left.
                if let Some(live) = self.settle(footer, head & IN_USE != 0)
                    && matches!((live.1 & !FLAGS).wrapping_sub(cache), 0 | FENCE)
                {
                    maybe_caches.push((live.0, live.1 & !FLAGS));
                }
                if is_top {
                    self.top(size);
                    break Pause::End;
                }
                if is_fence {
                    self.fence();
                    continue;
                }
                self.previous = Some((self.at, head));
                self.at += size;
            }
        };
        for chunk in maybe_caches {
            self.consider(memory, chunk, start)?;
        }
        Ok(pause)
    }

    /// Counts the chunk in front, now that it is known whether it is in use; gives
    /// it back if it is.
    #[inline]
    fn settle(&mut self, footer: u64, in_use: bool) -> Option<(u64, u64)> {
        let (address, head) = self.previous.take()?;
        let size = head & !FLAGS;
        if in_use && !self.is_fast(address) {
            let chunks = &mut self.tally.chunks;
            chunks.live_count += 1;
            chunks.live_bytes += size - 8;
            chunks.overhead_bytes += 8;
            // From its size to the next one's: the next footer is its own.
            self.pages.take(address + 8, address + size + 8);
            if let Some(run) = self.run.take() {
                self.end_run(run, address);
            }
            return Some((address, head));
        }
        let chunks = &mut self.tally.chunks;
        if in_use {
            chunks.fast_count += 1;
            chunks.fast_bytes += size;
        } else {
            chunks.free_count += 1;
            chunks.free_bytes += size;
            self.tally.wrong_footers += u64::from(footer != size);
            self.tally.adjacent_free += u64::from(head & IN_USE == 0);
            self.tally.sized(size);
        }
        self.run.get_or_insert(address);
        None
    }

    #[inline]
    fn is_fast(&mut self, address: u64) -> bool {
        while let Some(&fast) = self.ground.fast.get(self.next_fast) {
            if fast > address {
                return false;
            }
            self.next_fast += 1;
            if fast == address {
                return true;
            }
            self.tally.misplaced += 1;
        }
        false
    }

    /// Free chunks `[start, end)`, which `malloc_trim` would join first. It gives
    /// back what is on whole pages behind the first one's links (`mtrim`).
    fn end_run(&mut self, start: u64, end: u64) {
        let bytes = end - start;
        if bytes < PAGE {
            return;
        }
        let resident = self.pages.resident_within(start + CHUNK_HEADER, end);
        self.tally.trimmable_bytes += resident;
        self.keep(start, bytes, resident, false);
    }

    fn keep(&mut self, start: u64, bytes: u64, resident_bytes: u64, is_top: bool) {
        if resident_bytes > 0 && self.tally.is_large(resident_bytes) {
            self.tally.keep(FreeRun {
                start,
                bytes,
                resident_bytes,
                is_top,
            });
        }
    }

    /// The topmost chunk. `malloc_trim` lowers `brk` by what is in it beyond the
    /// smallest chunk (`systrim`), in the main arena only.
    fn top(&mut self, size: u64) {
        let region = self.ground.region;
        let end = self.at + size;
        self.tally.chunks.top_bytes = size;
        self.tally.has_top = true;
        self.tally.end = end;
        // Free chunks beside it become a part of it when fastbins are emptied.
        let start = self.run.take().unwrap_or(self.at);
        let resident = self.pages.resident_within(start + CHUNK_HEADER, end);
        self.keep(start, end - start, resident, true);
        let area = (end - start).saturating_sub(CHUNK_MIN + 1);
        if region.is_main && region.is_break && end == region.end {
            let lowered = area - area % region.step.max(PAGE);
            self.tally.trimmable_bytes += self.pages.resident_within(end - lowered, end);
        }
    }

    /// A fencepost: the end of a heap that has a newer one, or of what `brk` or a
    /// mapping gave before the main arena went on elsewhere.
    fn fence(&mut self) {
        let region = self.ground.region;
        if let Some(run) = self.run.take() {
            self.end_run(run, self.at);
        }
        self.fences += 1;
        // Of a heap nothing is behind that.
        let end = match region.is_main {
            true => self.at + FENCE,
            false => region.end,
        };
        self.structure(self.at, end);
        self.at = end;
        self.tally.end = end;
    }

    /// The allocator's own bytes: from the first chunk on without the first word,
    /// which is the end of the chunk in front.
    fn structure(&mut self, start: u64, end: u64) {
        if start < end {
            self.tally.chunks.overhead_bytes += end - start;
            let is_chunk = start >= self.ground.region.first_chunk;
            self.pages.take(start + if is_chunk { 8 } else { 0 }, end);
        }
    }

    /// A chunk in use that has the size of a thread's cache.
    fn consider<M: Memory>(
        &mut self,
        memory: &mut M,
        chunk: Chunk,
        start: u64,
    ) -> Result<(), Lost> {
        let looks = lists::look_for_cache(memory, self.ground.layout, chunk, start)?;
        let is_first = chunk.0 == self.ground.region.first_chunk;
        let is_it = looks.is_some_and(|has_chunks| has_chunks || is_first);
        if is_it && self.candidates.len() < CANDIDATES_MAX {
            self.candidates.push(Candidate { chunk, is_first });
        }
        Ok(())
    }

    /// Finds where chunks fit together again; false if that is nowhere.
    fn go_on_behind<M: Memory>(&mut self, memory: &mut M, is_foreign: bool) -> Result<bool, Lost> {
        let region = self.ground.region;
        // What the chunk in front is cannot be told either.
        let from = self.previous.take().map_or(self.at, |(address, _)| address);
        if let Some(run) = self.run.take() {
            self.end_run(run, from);
        }
        let behind = if is_foreign { self.at } else { self.at + 0x10 };
        let is_hopeless = self.tally.breaks >= BREAKS_MAX;
        let found = match is_hopeless {
            true => None,
            false => resync::find(memory, &region, behind)?,
        };
        let until = found.unwrap_or(region.end);
        let chunks = &mut self.tally.chunks;
        match (is_foreign, found) {
            // `brk` is somebody else's from here on.
            (true, None) => return Ok(false),
            (true, Some(_)) => chunks.foreign_bytes += until - from,
            (false, _) => {
                self.tally.breaks += 1;
                chunks.unknown_bytes += until - from;
            }
        }
        self.pages.lose(from, until);
        self.tally.end = until;
        self.at = until;
        self.fences = 0;
        self.next_fast = self.ground.fast.partition_point(|it| *it < until);
        Ok(found.is_some())
    }
}
