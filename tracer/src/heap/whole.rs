//! All of a process's heap: every arena, every region, mapped chunks, caches.

mod segments;

use serde::{Deserialize, Serialize};

use super::{
    arena::{self, Arena, Heap, NOT_CONTIGUOUS, Parameters},
    layout::{Layout, UnknownVersion, Version},
    lists::{Cached, Candidate, Words, cached_chunks, fast_chunks},
    mapped,
    maps::{Kind, Mappings},
    memory::{Lost, Memory, PAGE},
    occupancy::Counter,
    pages::{PAGES_MAX, Pages},
    region::{Region, SIZES, Tally},
    sum::{Walked, add, described, fold, holder, tell_partly_used},
    sweep,
    walk::{self, Ground},
};
use crate::model::heap as model;

/// Reads for the fastbins of an arena; more take longer than to read all of it.
const FOLLOWED_READS: usize = 2048;
/// Bins that may be in the middle of a change.
const BINS_CHANGING: u64 = 2;

/// Why there is no heap to tell of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WalkError {
    /// Another release than those whose structures are known.
    #[error(transparent)]
    UnknownVersion(#[from] UnknownVersion),
    /// Nothing in the library's data is a main arena.
    #[error(
        "glibc's main arena cannot be found in its data: another build of it, or its memory is damaged"
    )]
    NoArena,
    /// Nothing was ever allocated.
    #[error("glibc's malloc has not been used in this process: another allocator may be")]
    Unused,
    /// The reader is gone.
    #[error("the process's memory can no longer be read")]
    Lost,
}

impl From<Lost> for WalkError {
    fn from(_: Lost) -> Self {
        Self::Lost
    }
}

/// Walks everything.
///
/// # Errors
/// See [`WalkError`]. A heap that contradicts itself is no error: its
/// [`model::Quality`] says so.
pub fn walk<M: Memory>(
    memory: &mut M,
    version: Version,
    mappings: &Mappings,
) -> Result<model::Walked, WalkError> {
    Ok(walk_and_tell_pages(memory, version, mappings, 0)?.0)
}

/// The same. Also tells of so many pages at most that are partly in use.
///
/// # Errors
/// See [`walk`].
pub fn walk_and_tell_pages<M: Memory>(
    memory: &mut M,
    version: Version,
    mappings: &Mappings,
    partly_used_max: usize,
) -> Result<(model::Walked, model::PartlyUsed), WalkError> {
    let layout = Layout::of(version)?;
    let main = arena::find_main(memory, &layout, mappings)?;
    let parameters = arena::find_parameters(memory, &layout, mappings)?;
    let mappings = mappings.with_break_to(arena::break_end(&main, parameters.as_ref()));
    let mut whole = Whole {
        layout,
        mappings: &mappings,
        parameters: parameters.unwrap_or_default(),
        quality: model::Quality {
            has_no_parameters: parameters.is_none(),
            ..model::Quality::default()
        },
        walked: Vec::new(),
        candidates: Vec::new(),
        pages_left: PAGES_MAX,
    };
    let heap_bytes = arena::heap_bytes(&layout, &whole.parameters);
    let (arenas, is_closed) = arena::ring(memory, &layout, main, heap_bytes)?;
    whole.quality.arenas_cut_off += u64::from(!is_closed);
    for (index, arena) in arenas.iter().enumerate() {
        whole.arena(memory, index, arena, heap_bytes)?;
    }
    Ok(whole.finish(memory, &arenas, heap_bytes, partly_used_max)?)
}

struct Whole<'a> {
    layout: Layout,
    mappings: &'a Mappings,
    parameters: Parameters,
    quality: model::Quality,
    walked: Vec<Walked>,
    candidates: Vec<Candidate>,
    pages_left: usize,
}

impl Whole<'_> {
    fn arena<M: Memory>(
        &mut self,
        memory: &mut M,
        index: usize,
        arena: &Arena,
        heap_bytes: u64,
    ) -> Result<(), Lost> {
        self.quality.broken_bins += arena.broken_bins as u64;
        let regions = match arena.is_main {
            true => self.of_break(arena),
            false => {
                let (heaps, is_whole) =
                    arena::heaps(memory, &self.layout, self.mappings, arena, heap_bytes)?;
                self.quality.arenas_cut_off += u64::from(!is_whole);
                heaps.iter().map(|heap| region_of(heap, arena)).collect()
            }
        };
        let (fast, cut_off) = self.fast(memory, arena, &regions)?;
        self.quality.lists_cut_off += cut_off;
        for region in regions {
            self.region(memory, index, region, &fast)?;
        }
        Ok(())
    }

    /// The chunks of an arena's fastbins: list by list where they are short or in
    /// order, among all small chunks where not.
    fn fast<M: Memory>(
        &self,
        memory: &mut M,
        arena: &Arena,
        regions: &[Region],
    ) -> Result<(Vec<u64>, u64), Lost> {
        let mut words = Words::with_budget(memory, FOLLOWED_READS);
        let followed = fast_chunks(&mut words, &self.layout, self.mappings, &arena.fastbins)?;
        if words.is_exhausted()
            && let Some(swept) = sweep::fast_chunks(memory, &self.layout, regions, &arena.fastbins)?
            && swept.1 <= followed.1
        {
            return Ok(swept);
        }
        Ok(followed)
    }

    /// What the main arena has of `brk`.
    fn of_break(&self, arena: &Arena) -> Vec<Region> {
        let mut heap = self.mappings.of(Kind::Break);
        let Some(first) = heap.next() else {
            return Vec::new();
        };
        let end = heap.fold(
            first.end,
            |end, it| if it.start == end { it.end } else { end },
        );
        let known = self.parameters.heap_start;
        let start = match (first.start..end).contains(&known) {
            true => known,
            false => first.start,
        };
        let has_top = (start..end).contains(&arena.top);
        // Where `brk` never gave anything, nothing of it is the allocator's.
        if !has_top && (arena.flags & NOT_CONTIGUOUS == 0 || known == 0) {
            return Vec::new();
        }
        vec![Region {
            start,
            first_chunk: start.next_multiple_of(16),
            end,
            top: arena.top,
            is_main: true,
            is_break: true,
            step: self.parameters.transparent_huge_page.max(PAGE),
        }]
    }

    fn region<M: Memory>(
        &mut self,
        memory: &mut M,
        arena: usize,
        mut region: Region,
        fast: &[u64],
    ) -> Result<(), Lost> {
        let most = self.pages_left as u64 * PAGE;
        // What is beyond is missing from the arena's bytes, and told so.
        region.end = region
            .end
            .min((region.start & !(PAGE - 1)).saturating_add(most));
        if region.first_chunk >= region.end {
            return Ok(());
        }
        let mut pages = Pages::new(memory, region.start, region.end)?;
        self.pages_left -=
            ((region.end - pages.start()).div_ceil(PAGE) as usize).min(self.pages_left);
        let ground = Ground {
            layout: &self.layout,
            region,
            fast,
        };
        let tally = walk::walk(memory, &ground, &mut pages, &mut self.candidates)?;
        self.walked.push(Walked {
            arena,
            region,
            pages,
            tally,
        });
        Ok(())
    }

    fn finish<M: Memory>(
        mut self,
        memory: &mut M,
        arenas: &[Arena],
        heap_bytes: u64,
        partly_used_max: usize,
    ) -> Result<(model::Walked, model::PartlyUsed), Lost> {
        if let Some((index, main)) = arenas.iter().enumerate().find(|(_, it)| it.is_main) {
            self.segments(memory, index, main, heap_bytes)?;
        }
        self.walked.sort_by_key(|it| it.region.start);
        let cached = cached_chunks(
            &mut Words::new(memory),
            &self.layout,
            self.mappings,
            &self.candidates,
        )?;
        self.quality.lists_cut_off += cached.cut_off;
        self.give_back_cached(&cached);
        let mapped = self.mapped(memory, heap_bytes)?;
        let pages = self
            .walked
            .iter()
            .map(|it| (it.pages.end() - it.pages.start()) / PAGE);
        let mut counter = Counter::new(pages.sum());
        let mut result = model::Walked {
            version: format!("{}.{}", self.layout.version.0, self.layout.version.1),
            arenas: arenas.iter().map(described).collect(),
            caches: cached.caches.len() as u64,
            free_by_size: vec![0; SIZES],
            ..model::Walked::default()
        };
        let mut all = Tally::default();
        let mut partly_used = model::PartlyUsed::default();
        for walked in &self.walked {
            tell_partly_used(walked, &mut partly_used, partly_used_max);
            if let Some(arena) = result.arenas.get_mut(walked.arena) {
                arena.regions += 1;
                arena.chunks += walked.tally.chunks;
                arena.trimmable_bytes += walked.tally.trimmable_bytes;
                arena.pages += fold(walked, &mut counter);
            }
            counter.end_region(walked.region.start);
            add(&mut all, &walked.tally);
            result
                .spans
                .push((walked.region.start & !(PAGE - 1), walked.tally.end));
        }
        result.spans.extend(mapped.iter().copied());
        result.spans.sort_unstable();
        result.mapped = mapped::weigh(memory, &mapped)?;
        for (bytes, more) in result.free_by_size.iter_mut().zip(&all.free_by_size) {
            *bytes = *more;
        }
        result.largest_free = std::mem::take(&mut all.runs);
        result.occupancy = counter.finish();
        self.judge(memory, &mut result, &all)?;
        Ok((result, partly_used))
    }

    /// Threads' caches hold chunks that look as if in use, and are themselves some.
    fn give_back_cached(&mut self, cached: &Cached) {
        for &(address, size) in &cached.chunks {
            match holder(&mut self.walked, address) {
                Some(walked) => {
                    let chunks = &mut walked.tally.chunks;
                    chunks.live_count = chunks.live_count.saturating_sub(1);
                    chunks.live_bytes = chunks.live_bytes.saturating_sub(size - 8);
                    chunks.overhead_bytes = chunks.overhead_bytes.saturating_sub(8);
                    chunks.cached_count += 1;
                    chunks.cached_bytes += size;
                    walked.pages.give_back(address + 8, address + size + 8);
                }
                None => self.quality.misplaced += 1,
            }
        }
        for (cache, size) in &cached.caches {
            let bytes = size - 8;
            if let Some(walked) = holder(&mut self.walked, *cache) {
                let chunks = &mut walked.tally.chunks;
                chunks.live_count = chunks.live_count.saturating_sub(1);
                chunks.live_bytes = chunks.live_bytes.saturating_sub(bytes);
                chunks.overhead_bytes += bytes;
            }
        }
    }

    fn mapped<M: Memory>(
        &mut self,
        memory: &mut M,
        heap_bytes: u64,
    ) -> Result<Vec<mapped::Span>, Lost> {
        let claimed = self.claimed(heap_bytes);
        let expected = (!self.quality.has_no_parameters).then_some(self.parameters.mapped_count);
        let found = mapped::find(memory, &self.layout, self.mappings, &claimed, expected)?;
        self.quality.missing_mapped =
            expected.map_or(0, |expected| expected as i64 - found.len() as i64);
        Ok(found)
    }

    /// What is known to be the arenas', by address.
    fn claimed(&self, heap_bytes: u64) -> Vec<mapped::Span> {
        let mut claimed: Vec<(u64, u64)> = (self.walked.iter())
            .map(|it| match it.region.is_main {
                true => (it.region.start & !(PAGE - 1), it.tally.end),
                false => (it.region.start, it.region.start + heap_bytes),
            })
            .collect();
        claimed.sort_unstable();
        claimed
    }

    fn judge<M: Memory>(
        &self,
        memory: &mut M,
        result: &mut model::Walked,
        all: &Tally,
    ) -> Result<(), Lost> {
        let mut quality = self.quality;
        quality.retries = all.retries;
        quality.breaks = all.breaks;
        quality.wrong_footers = all.wrong_footers;
        quality.adjacent_free = all.adjacent_free;
        quality.misplaced += all.misplaced;
        for arena in &mut result.arenas {
            let walked = arena.chunks.total();
            quality.unknown_bytes += arena.chunks.unknown_bytes;
            // It may have grown while it was walked.
            if walked != arena.system_bytes
                && let Some(now) = arena::read(memory, &self.layout, arena.address, arena.is_main)?
            {
                arena.system_bytes = now.system_bytes;
            }
            quality.missing_bytes += (arena.system_bytes as i64).wrapping_sub(walked as i64);
        }
        let clean = model::Quality {
            is_clean: false,
            retries: quality.retries,
            broken_bins: quality.broken_bins.min(BINS_CHANGING),
            ..model::Quality::default()
        };
        quality.is_clean = quality == clean;
        result.quality = quality;
        Ok(())
    }
}

fn region_of(heap: &Heap, arena: &Arena) -> Region {
    Region {
        start: heap.start,
        first_chunk: heap.first_chunk,
        end: heap.end,
        top: arena.top,
        is_main: false,
        is_break: false,
        step: PAGE,
    }
}
