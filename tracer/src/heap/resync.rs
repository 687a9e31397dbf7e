//! Where a walk can go on that lost its way: at the next address from which
//! chunk after chunk fits together.

use super::{
    memory::{Lost, Memory, PAGE, WINDOW_BYTES, word_at},
    region::Region,
    walk::{CHUNK_MIN, FLAGS, IN_USE, MAPPED},
};

/// Chunks that must fit together. A false one needs a size that leads to the
/// next false one, and so on.
const CHAIN: usize = 24;

/// The first such address from `from` on.
pub fn find<M: Memory>(memory: &mut M, region: &Region, from: u64) -> Result<Option<u64>, Lost> {
    find_each(memory, region, from, 16)
}

/// The first such address that is a page's.
pub fn find_page<M: Memory>(
    memory: &mut M,
    region: &Region,
    from: u64,
) -> Result<Option<u64>, Lost> {
    find_each(memory, region, from, PAGE)
}

fn find_each<M: Memory>(
    memory: &mut M,
    region: &Region,
    from: u64,
    step: u64,
) -> Result<Option<u64>, Lost> {
    let mut start = from & !(PAGE - 1);
    let mut from = from.next_multiple_of(step);
    while start < region.end {
        let length = (region.end - start)
            .next_multiple_of(PAGE)
            .min(WINDOW_BYTES as u64);
        memory.show(start, length as usize)?;
        let (bytes, states) = memory.shown();
        let window = Window {
            bytes,
            states,
            start,
        };
        let end = (start + length).min(region.end);
        while from < end {
            if !window.is_resident(from) {
                from = (from | (PAGE - 1)) + 1;
                continue;
            }
            if window.chain(region, from) {
                return Ok(Some(from));
            }
            from += step;
        }
        start += length;
    }
    Ok(None)
}

struct Window<'a> {
    bytes: &'a [u8],
    states: &'a [u8],
    start: u64,
}

impl Window<'_> {
    fn is_resident(&self, address: u64) -> bool {
        let page = (address - self.start) / PAGE;
        self.states.get(page as usize) == Some(&1)
    }

    fn word(&self, address: u64) -> Option<u64> {
        let word = word_at(self.bytes, (address - self.start) as usize);
        word.filter(|_| self.is_resident(address))
    }

    /// Whether chunks follow each other from here, to the window's end at most.
    fn chain(&self, region: &Region, first: u64) -> bool {
        let mut at = first;
        let mut size_before = None;
        for length in 0..CHAIN {
            if at == region.top {
                return length > 0;
            }
            let Some(head) = self.word(at.saturating_add(8)) else {
                // A few that lead out of the window are not enough.
                return length >= CHAIN / 3;
            };
            let size = head & !FLAGS;
            let footer = self.word(at);
            let is_footer =
                head & IN_USE != 0 || size_before.is_none_or(|size| footer == Some(size));
            let room = region.end.saturating_sub(at);
            if size < CHUNK_MIN || size & 8 != 0 || head & MAPPED != 0 || size > room || !is_footer
            {
                return false;
            }
            if size == room {
                return length > 0;
            }
            size_before = Some(size);
            at += size;
        }
        true
    }
}
