//! Long fastbins: a list of a million chunks in no order would take a read each.
//! Instead all small chunks are read in the order of memory, those whose first
//! word can be a link are kept, and the lists are followed among these.

use super::{
    layout::Layout,
    memory::{Lost, Memory, PAGE, WINDOW_BYTES, word_at},
    region::Region,
    walk::{CHUNK_MIN, FLAGS},
};

/// Chunks that are kept, eight bytes each.
const LINKS_MAX: usize = 2 << 20;
/// Lists of an arena.
const LISTS: usize = 10;
/// Size of a list's chunks, of the first one's.
const STEP: u64 = 0x10;

/// A chunk and the one that its first word leads to, in units of 16 bytes from
/// the lowest region's start; behind the highest: to none.
type Link = (u32, u32);

/// The chunks of these lists, by address, and how many lists could not be
/// followed to their ends. Nothing where the regions are too far apart.
pub fn fast_chunks<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    regions: &[Region],
    heads: &[u64],
) -> Result<Option<(Vec<u64>, u64)>, Lost> {
    let base = regions.iter().map(|it| it.start).min().unwrap_or(0) & !(PAGE - 1);
    let end = regions.iter().map(|it| it.end).max().unwrap_or(0);
    let Ok(none) = u32::try_from(end.saturating_sub(base) / STEP) else {
        return Ok(None);
    };
    let place = |address: u64| {
        let offset = address
            .checked_sub(base)
            .filter(|it| it.is_multiple_of(STEP))?;
        u32::try_from(offset / STEP).ok().filter(|it| *it < none)
    };
    let mut links: [Vec<Link>; LISTS] = Default::default();
    let mut left = LINKS_MAX;
    let mut sorted: Vec<&Region> = regions.iter().collect();
    sorted.sort_by_key(|it| it.start);
    for region in sorted {
        each_small(memory, region, |chunk, size, word| {
            let list = (size - CHUNK_MIN) / STEP;
            let next = match layout.link(chunk + 0x10, word) {
                0 => Some(none),
                next => place(next),
            };
            if let (Some(links), Some(chunk), Some(next)) =
                (links.get_mut(list as usize), place(chunk), next)
                && left > 0
            {
                left -= 1;
                links.push((chunk, next));
            }
        })?;
    }
    let (mut chunks, mut cut_off) = (Vec::new(), 0);
    for (links, head) in links.iter().zip(heads) {
        let mut seen = vec![false; links.len()];
        let mut at = match head {
            0 => none,
            head => place(*head).unwrap_or(u32::MAX),
        };
        while at != none {
            let index = links.binary_search_by_key(&at, |(chunk, _)| *chunk).ok();
            let link = index.and_then(|index| links.get(index).zip(seen.get_mut(index)));
            let Some((&(chunk, next), seen)) = link.filter(|(_, seen)| !**seen) else {
                cut_off += 1;
                break;
            };
            *seen = true;
            chunks.push(base + u64::from(chunk) * STEP);
            at = next;
        }
    }
    chunks.sort_unstable();
    Ok(Some((chunks, cut_off)))
}

/// Tells of each chunk that a fastbin could hold, and its first word, as far as
/// chunks lead on.
fn each_small<M: Memory>(
    memory: &mut M,
    region: &Region,
    mut tell: impl FnMut(u64, u64, u64),
) -> Result<(), Lost> {
    let mut at = region.first_chunk;
    while at < region.end {
        let start = at & !(PAGE - 1);
        let length = (region.end - start)
            .next_multiple_of(PAGE)
            .min(WINDOW_BYTES as u64);
        memory.show(start, length as usize)?;
        let (bytes, states) = memory.shown();
        let word = |address: u64| {
            let offset = (address - start) as usize;
            let is_resident = states.get(offset / PAGE as usize) == Some(&1);
            word_at(bytes, offset).filter(|_| is_resident)
        };
        let begin = at;
        while let (Some(head), link) = (word(at + 8), word(at + 16)) {
            let size = head & !FLAGS;
            if size < CHUNK_MIN || size & 8 != 0 || size > region.end - at {
                return Ok(());
            }
            if size < CHUNK_MIN + LISTS as u64 * STEP {
                match link {
                    Some(link) => tell(at, size, link),
                    // In the next window, unless this one begins with the chunk.
                    None if at > begin => break,
                    None => {}
                }
            }
            at += size;
            if at >= start + length {
                break;
            }
        }
        // Not even the first header was to be had.
        if at == begin {
            return Ok(());
        }
    }
    Ok(())
}
