//! Chunks that are mappings of their own. Each begins on a page, with a header
//! that says so; `malloc_par` says how many there are.

use super::{
    layout::Layout,
    maps::{Kind, Mappings},
    memory::{Lost, Memory, PAGE, PageState, STATES_MAX, WINDOW_BYTES, word_at},
    walk::{FLAGS, MAPPED},
};
use crate::model::heap::Mapped;

/// The kernel allows fewer mappings (`vm.max_map_count`), which may be of several chunks.
const CHUNKS_MAX: usize = 1 << 17;
/// Where headers stand whose block is aligned to 32 … 4096 bytes.
const ALIGNED: [usize; 8] = [0x10, 0x30, 0x70, 0xf0, 0x1f0, 0x3f0, 0x7f0, 0xff0];

/// `[start, end)`.
pub type Span = (u64, u64);

/// Finds them outside of what is known to be something else (`claimed`, by
/// address). Only if some are `missing` then are other places looked at than
/// beginnings of mappings.
pub fn find<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    mappings: &Mappings,
    claimed: &[Span],
    expected: Option<u64>,
) -> Result<Vec<Span>, Lost> {
    let mut found = Vec::new();
    let mut rest = Vec::new();
    if expected == Some(0) {
        return Ok(found);
    }
    for (start, end) in unclaimed(mappings, claimed) {
        let mut at = start;
        while at < end
            && let Some(bytes) = at_page(memory, layout, at, end)?
        {
            found.push((at, at + bytes));
            at += bytes;
        }
        if at < end {
            rest.push((at, end));
        }
        if found.len() > CHUNKS_MAX {
            break;
        }
    }
    for (start, end) in rest {
        let is_missing = expected.is_some_and(|expected| (found.len() as u64) < expected);
        if !is_missing || found.len() > CHUNKS_MAX {
            break;
        }
        search(memory, layout, start, end, &mut found)?;
    }
    found.sort_unstable();
    Ok(found)
}

/// Anonymous memory that is not `claimed`.
pub fn unclaimed(mappings: &Mappings, claimed: &[Span]) -> Vec<Span> {
    let mut spans = Vec::new();
    for mapping in mappings.of(Kind::Anonymous) {
        let mut at = mapping.start;
        let first = claimed.partition_point(|(_, end)| *end <= at);
        for &(start, end) in claimed.iter().skip(first) {
            if start >= mapping.end {
                break;
            }
            if at < start {
                spans.push((at, start));
            }
            at = at.max(end);
        }
        if at < mapping.end {
            spans.push((at, mapping.end));
        }
    }
    spans
}

/// The bytes of the mapping that a chunk is and that begins here.
pub fn at_page<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    at: u64,
    end: u64,
) -> Result<Option<u64>, Lost> {
    let mut page = [0; PAGE as usize];
    let is_read = memory.read(at, &mut page)?;
    Ok(is_read.then(|| header(layout, &page, end - at)).flatten())
}

fn header(layout: &Layout, page: &[u8], room: u64) -> Option<u64> {
    // An aligned block's header first: the one it was made from stays at the start.
    ALIGNED.into_iter().chain([0]).find_map(|offset| {
        let before = word_at(page, offset)? & !0xf;
        let head = word_at(page, offset + 8)?;
        let own = if layout.mapped_without_header {
            0x10
        } else {
            0
        };
        let bytes = (head & !FLAGS).checked_add(before + own)?;
        let is_chunk = before == offset as u64
            && head & FLAGS == MAPPED
            && bytes.is_multiple_of(PAGE)
            && (PAGE..=room).contains(&bytes);
        is_chunk.then_some(bytes)
    })
}

/// Looks at every resident page.
fn search<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    start: u64,
    end: u64,
    found: &mut Vec<Span>,
) -> Result<(), Lost> {
    let mut at = start;
    while at < end && found.len() <= CHUNKS_MAX {
        let length = (end - at).min(WINDOW_BYTES as u64);
        memory.show(at, length as usize)?;
        let (bytes, states) = memory.shown();
        let mut next = at + length;
        for (index, page) in bytes.chunks(PAGE as usize).enumerate() {
            let page_at = at + index as u64 * PAGE;
            if states.get(index) == Some(&1)
                && let Some(bytes) = header(layout, page, end - page_at)
            {
                found.push((page_at, page_at + bytes));
                next = page_at + bytes;
                break;
            }
        }
        at = next;
    }
    Ok(())
}

/// What of them is resident.
pub fn weigh<M: Memory>(memory: &mut M, chunks: &[Span]) -> Result<Mapped, Lost> {
    let mut mapped = Mapped {
        count: chunks.len() as u64,
        ..Mapped::default()
    };
    let mut states = Vec::new();
    for &(start, end) in chunks {
        mapped.bytes += end - start;
        let mut at = start;
        while at < end {
            states.clear();
            let pages = ((end - at) / PAGE).min(STATES_MAX as u64) as usize;
            memory.states(at, pages, &mut states)?;
            if states.is_empty() {
                return Err(Lost);
            }
            let count = |state| states.iter().filter(|it| **it == state).count() as u64 * PAGE;
            mapped.resident_bytes += count(PageState::Resident);
            mapped.swapped_bytes += count(PageState::Swapped);
            at += states.len() as u64 * PAGE;
        }
    }
    Ok(mapped)
}
