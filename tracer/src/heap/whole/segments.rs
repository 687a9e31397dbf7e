//! Where the main arena is when it is not in `brk`'s heap.

use super::{NOT_CONTIGUOUS, Walked, Whole};
use crate::heap::{
    arena::Arena,
    lists::{Words, fast_chunks},
    mapped,
    memory::{Lost, Memory, PAGE},
    region::Region,
    resync,
};

impl Whole<'_> {
    /// Where `brk` was in the way of something, the main arena goes on in mappings.
    /// Nothing lists them: they are what is made of chunks, until all is found.
    pub(super) fn segments<M: Memory>(
        &mut self,
        memory: &mut M,
        index: usize,
        arena: &Arena,
        heap_bytes: u64,
    ) -> Result<(), Lost> {
        let has = |walked: &[Walked]| -> u64 {
            let own = walked.iter().filter(|it| it.arena == index);
            own.map(|it| it.tally.chunks.total()).sum()
        };
        if arena.flags & NOT_CONTIGUOUS == 0 {
            return Ok(());
        }
        let mut words = Words::new(memory);
        let (fast, _counted) =
            fast_chunks(&mut words, &self.layout, self.mappings, &arena.fastbins)?;
        for (start, end) in mapped::unclaimed(self.mappings, &self.claimed(heap_bytes)) {
            let mut at = start;
            while at < end && has(&self.walked) < arena.system_bytes {
                if let Some(bytes) = mapped::at_page(memory, &self.layout, at, end)? {
                    at += bytes;
                    continue;
                }
                let mut region = Region {
                    start: at,
                    first_chunk: at,
                    end,
                    top: arena.top,
                    is_main: true,
                    is_break: false,
                    step: PAGE,
                };
                let Some(first) = resync::find_page(memory, &region, at)? else {
                    break;
                };
                (region.start, region.first_chunk) = (first, first);
                let (walks, candidates) = (self.walked.len(), self.candidates.len());
                self.region(memory, index, region, &fast)?;
                at = first + PAGE;
                let last = self.walked.last().filter(|_| self.walked.len() > walks);
                match last.map(|it| (it.tally.breaks, it.tally.end)) {
                    Some((0, behind)) if behind.is_multiple_of(PAGE) => at = behind.max(at),
                    _ => {
                        self.walked.truncate(walks);
                        self.candidates.truncate(candidates);
                    }
                }
            }
        }
        Ok(())
    }
}
