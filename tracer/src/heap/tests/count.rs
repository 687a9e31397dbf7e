//! What is on the pages of a built arena, counted byte by byte, and what
//! `malloc_trim` would give back of it.

use std::collections::BTreeSet;

use super::build::{Arena, BREAK, Kind, Stretch};
use crate::{
    heap::{image::Image, memory::PAGE},
    model::heap::{Chunks, Pages},
};

/// Takes pages of free chunks away, by the bits of `holes`, and counts the rest.
pub(super) fn count(
    image: &mut Image,
    arena: &Arena,
    is_main: bool,
    holes: u64,
) -> (Chunks, Pages, u64) {
    let (mut chunks, mut pages, mut trimmable) = (Chunks::default(), Pages::default(), 0);
    let newest = arena.stretches.len() - 1;
    for (number, stretch) in arena.stretches.iter().enumerate() {
        let mut used = vec![false; (stretch.end - stretch.start) as usize];
        let mut take = |start: u64, end: u64| {
            used[(start - stretch.start) as usize..(end - stretch.start) as usize].fill(true);
        };
        let mut absent: BTreeSet<u64> = BTreeSet::new();
        take(stretch.start, stretch.first);
        chunks.overhead_bytes += stretch.first - stretch.start;
        for &(chunk, size, kind) in &stretch.chunks {
            let is_cache = is_main && chunk == BREAK;
            match kind {
                Kind::Live if is_cache => chunks.overhead_bytes += size,
                Kind::Live => {
                    chunks.live_count += 1;
                    chunks.live_bytes += size - 8;
                    chunks.overhead_bytes += 8;
                }
                Kind::Free => {
                    chunks.free_count += 1;
                    chunks.free_bytes += size;
                    let inner = (chunk + 48).next_multiple_of(PAGE)..(chunk + size) & !(PAGE - 1);
                    let gone = |page: &u64| holes >> (page / PAGE % 64) & 1 != 0;
                    absent.extend(inner.step_by(PAGE as usize).filter(gone));
                }
                Kind::Fast => {
                    chunks.fast_count += 1;
                    chunks.fast_bytes += size;
                }
                Kind::Cached => {
                    chunks.cached_count += 1;
                    chunks.cached_bytes += size;
                }
            }
            if kind == Kind::Live {
                take(chunk + 8, chunk + size + 8);
            }
        }
        let rest = stretch.end - stretch.last;
        match number == newest {
            true => chunks.top_bytes += rest,
            false => {
                take(stretch.last + 8, stretch.end);
                chunks.overhead_bytes += rest;
            }
        }
        absent.iter().for_each(|page| image.remove(*page));
        let resident = |start: u64, end: u64| {
            let all = (start.next_multiple_of(PAGE)..end & !(PAGE - 1)).step_by(PAGE as usize);
            all.filter(|page| !absent.contains(page)).count() as u64 * PAGE
        };
        trimmable += trimmed(stretch, is_main, number == newest, resident);
        for (index, used) in used.chunks(PAGE as usize).enumerate() {
            if absent.contains(&(stretch.start + index as u64 * PAGE)) {
                pages.absent_bytes += PAGE;
                continue;
            }
            let used = used.iter().filter(|it| **it).count() as u64;
            pages.resident_bytes += PAGE;
            pages.used_bytes += used;
            match used {
                0 => pages.empty_bytes += PAGE,
                _ => pages.pinned_bytes += PAGE - used,
            }
            pages.pinning_pages += u64::from((1..PAGE).contains(&used));
        }
    }
    (chunks, pages, trimmable)
}

/// `malloc_trim(0)`, step by step: fastbins are emptied and neighbours joined, each
/// free chunk gives back its whole pages, the main arena lowers `brk`.
fn trimmed(
    stretch: &Stretch,
    is_main: bool,
    has_top: bool,
    resident: impl Fn(u64, u64) -> u64,
) -> u64 {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for &(chunk, size, kind) in &stretch.chunks {
        if !matches!(kind, Kind::Free | Kind::Fast) {
            continue;
        }
        match joined.last_mut() {
            Some((_, end)) if *end == chunk => *end = chunk + size,
            _ => joined.push((chunk, chunk + size)),
        }
    }
    let mut top = stretch.last;
    if has_top && let Some((start, _)) = joined.pop_if(|(_, end)| *end == top) {
        top = start;
    }
    let mut bytes = 0;
    for (start, end) in joined {
        if end - start > PAGE - 1 + 48 {
            bytes += resident(start + 48, end);
        }
    }
    if is_main {
        let lowered = (stretch.end - top - 0x21) & !(PAGE - 1);
        bytes += resident(stretch.end - lowered, stretch.end);
    }
    bytes
}
