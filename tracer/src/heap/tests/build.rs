//! Builds the memory of a process whose heap is known: arenas, heaps, chunks,
//! lists; and counts byte by byte what is on its pages.

use std::collections::BTreeMap;

use super::count::count;
use crate::heap::{
    image::Image,
    layout::{CacheKey, Layout, Version},
    maps::{Kind as MappingKind, Mapping, Mappings},
    memory::PAGE,
};
use crate::model::heap::{Chunks, Pages};

/// What a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Live,
    Free,
    Fast,
    Cached,
}

/// A process, and what is to be found in it.
pub struct Built {
    pub image: Image,
    pub expected: Vec<(Chunks, Pages, u64)>,
}

const LIBRARY: u64 = 0x7f00_0000_0000;
const STATE: u64 = LIBRARY + 0x240;
const PARAMETERS: u64 = LIBRARY + 0x1a00;
pub(super) const BREAK: u64 = 0x5555_0000_0000;
const HEAPS: u64 = 0x7e00_0000_0000;
const HEAP_BYTES: u64 = 64 << 20;
const KEY: u64 = 0x1234_5678_9abc_def1;

type Piece = (Kind, u64);
/// Address, size, what it is.
pub(super) type Chunk = (u64, u64, Kind);

impl Image {
    /// The addresses of all pages.
    pub fn addresses(&mut self) -> Vec<u64> {
        let words = self.to_bytes();
        let word = |at: usize| u64::from_le_bytes(words[at..at + 8].try_into().unwrap());
        let mut at = 24 + word(16) as usize * 24;
        let mut addresses = Vec::new();
        while at < words.len() {
            addresses.push(word(at));
            at += 16 + if word(at + 8) == 1 { PAGE as usize } else { 0 };
        }
        addresses
    }

    fn set(&mut self, address: u64, word: u64) {
        self.write(address, &word.to_le_bytes());
    }
}

/// One arena: where its state is, and its stretches of chunks, the newest last.
pub(super) struct Arena {
    pub state: u64,
    pub stretches: Vec<Stretch>,
}

pub(super) struct Stretch {
    pub start: u64,
    pub first: u64,
    pub end: u64,
    pub chunks: Vec<Chunk>,
    /// Where the topmost chunk or the fencepost stands.
    pub last: u64,
}

/// Builds arenas of stretches of pieces; of the main arena only the first stretch.
pub fn build(version: Version, arenas: &[Vec<Vec<Piece>>], holes: u64) -> Built {
    let layout = Layout::of(version).unwrap();
    let mut image = Image::new(version, Mappings::default());
    let mut cached: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut heap = HEAPS;
    let mut placed = Vec::new();
    for (index, stretches) in arenas.iter().enumerate() {
        let is_main = index == 0;
        let state = if is_main {
            STATE
        } else {
            heap + layout.heap_header
        };
        let stretches = match is_main {
            true => &stretches[..1],
            false => &stretches[..],
        };
        let mut arena = Arena {
            state,
            stretches: Vec::new(),
        };
        for (number, pieces) in stretches.iter().enumerate() {
            let (start, first) = match (is_main, number) {
                (true, _) => (BREAK, BREAK),
                (false, 0) => {
                    let behind = layout.heap_header + layout.arena.bytes;
                    (heap, heap + behind.next_multiple_of(16))
                }
                (false, _) => (heap, heap + layout.heap_header),
            };
            if !is_main {
                heap += HEAP_BYTES;
            }
            let chunks = place(&layout, first, pieces, is_main, &mut cached);
            let last = chunks
                .last()
                .map_or(first, |(address, size, _)| address + size);
            let end = (last + 0x1000).next_multiple_of(PAGE);
            arena.stretches.push(Stretch {
                start,
                first,
                end,
                chunks,
                last,
            });
        }
        placed.push(arena);
    }
    write_library(&mut image, &layout, &placed);
    let mut expected = Vec::new();
    for (index, arena) in placed.iter().enumerate() {
        write_arena(&mut image, &layout, arena, index, &placed);
    }
    write_cache(&mut image, &layout, &cached);
    for (index, arena) in placed.iter().enumerate() {
        expected.push(count(&mut image, arena, index == 0, holes));
    }
    Built { image, expected }
}

/// Places chunks behind each other, as an allocator could have left them.
fn place(
    layout: &Layout,
    first: u64,
    pieces: &[Piece],
    is_main: bool,
    cached: &mut BTreeMap<u64, Vec<u64>>,
) -> Vec<Chunk> {
    let mut at = first;
    let mut chunks: Vec<Chunk> = Vec::new();
    if is_main {
        chunks.push((at, layout.cache.chunk, Kind::Live));
        at += layout.cache.chunk;
    }
    for &(kind, units) in pieces {
        let size = units * 16;
        let is_after_free = chunks.last().is_some_and(|it| it.2 == Kind::Free);
        let kind = match kind {
            Kind::Free if is_after_free => Kind::Live,
            Kind::Fast if layout.arena.fastbins.is_none() || size > 0xb0 => Kind::Live,
            Kind::Cached if size > 0x410 || cached.entry(size).or_default().len() >= 7 => {
                Kind::Live
            }
            kind => kind,
        };
        if kind == Kind::Cached {
            cached.entry(size).or_default().push(at);
        }
        chunks.push((at, size, kind));
        at += size;
    }
    // Free chunks beside the topmost are a part of it.
    if chunks.last().is_some_and(|it| it.2 == Kind::Free) {
        chunks.push((at, 0x20, Kind::Live));
    }
    chunks
}

fn write_library(image: &mut Image, layout: &Layout, arenas: &[Arena]) {
    for page in 0..3 {
        image.set(LIBRARY + page * PAGE, 0);
    }
    let at = &layout.parameters;
    for (offset, word) in [
        (0, 0x20000),
        (8, 0x20000),
        (0x10, 0x20000),
        (0x18, 8),
        (at.heap_start, BREAK),
        (at.cache, 64),
        (
            at.cache + 8,
            if layout.version >= (2, 42) {
                1041
            } else {
                1032
            },
        ),
        (at.cache + 16, 7),
    ] {
        image.set(PARAMETERS + offset, word);
    }
    let mut mappings = vec![Mapping {
        start: LIBRARY,
        end: LIBRARY + 3 * PAGE,
        kind: MappingKind::Library,
    }];
    for (index, arena) in arenas.iter().enumerate() {
        mappings.extend(arena.stretches.iter().map(|it| Mapping {
            start: it.start,
            end: it.end,
            kind: if index == 0 {
                MappingKind::Break
            } else {
                MappingKind::Anonymous
            },
        }));
    }
    mappings.sort_by_key(|it| it.start);
    image.mappings = Mappings(mappings);
}

fn write_arena(image: &mut Image, layout: &Layout, arena: &Arena, index: usize, all: &[Arena]) {
    let at = &layout.arena;
    let state = arena.state;
    for bin in 0..127 {
        let itself = state + at.bins + bin * 16 - 16;
        image.set(itself + 16, itself);
        image.set(itself + 24, itself);
    }
    let system: u64 = arena.stretches.iter().map(|it| it.end - it.start).sum();
    let newest = arena.stretches.last().unwrap();
    image.set(state + at.top, newest.last);
    image.set(state + at.next, all[(index + 1) % all.len()].state);
    image.set(state + at.system_mem, system);
    image.set(state + at.system_mem + 8, system);
    let mut before = 0;
    for (number, stretch) in arena.stretches.iter().enumerate() {
        if index > 0 {
            image.set(stretch.start, state);
            image.set(stretch.start + 8, before);
            image.set(stretch.start + 16, stretch.end - stretch.start);
            before = stretch.start;
        }
        write_chunks(
            image,
            stretch,
            number + 1 == arena.stretches.len(),
            index > 0,
        );
    }
    // All free chunks in one bin, its ends at least.
    let chunks = || arena.stretches.iter().flat_map(|it| &it.chunks);
    let free: Vec<u64> = chunks()
        .filter(|it| it.2 == Kind::Free)
        .map(|it| it.0)
        .collect();
    let bin = state + at.bins - 16;
    let mut previous = bin;
    for &chunk in &free {
        image.set(previous + 16, chunk);
        image.set(chunk + 24, previous);
        previous = chunk;
    }
    image.set(previous + 16, bin);
    image.set(bin + 24, previous);
    if let Some(fastbins) = at.fastbins {
        let mut heads: BTreeMap<u64, u64> = BTreeMap::new();
        for &(chunk, size, _) in chunks().filter(|it| it.2 == Kind::Fast) {
            let next = heads.insert(size, chunk).unwrap_or(0);
            image.set(chunk + 16, layout.link(chunk + 16, next));
        }
        for (size, chunk) in heads {
            image.set(state + fastbins + (size / 16 - 2) * 8, chunk);
        }
    }
}

fn write_chunks(image: &mut Image, stretch: &Stretch, has_top: bool, is_not_main: bool) {
    let mut is_used = true;
    let mut before = 0;
    let flags = if is_not_main { 4 } else { 0 };
    for &(chunk, size, kind) in &stretch.chunks {
        if kind != Kind::Free {
            // Whatever a program writes.
            image.write(chunk + 16, &vec![0xa5; size as usize - 8]);
        }
        if !is_used {
            image.set(chunk, before);
        }
        image.set(chunk + 8, size | u64::from(is_used) | flags);
        is_used = kind != Kind::Free;
        before = size;
        for page in (chunk..chunk + size).step_by(PAGE as usize) {
            image.touch(page);
        }
    }
    let last = stretch.last;
    if has_top {
        image.set(last + 8, (stretch.end - last) | 1);
    } else {
        image.set(last + 8, 0x10 | u64::from(is_used));
        image.set(last + 0x18, 1);
    }
    for page in (stretch.start..stretch.end).step_by(PAGE as usize) {
        image.touch(page);
    }
}

fn write_cache(image: &mut Image, layout: &Layout, cached: &BTreeMap<u64, Vec<u64>>) {
    let cache = BREAK + 16;
    let counts = (layout.cache.lists * layout.cache.count_bytes).next_multiple_of(8) as u64;
    image.write(cache, &vec![0; layout.cache.chunk as usize - 16]);
    for list in 0..layout.cache.lists as u64 {
        let chunks = cached
            .get(&(0x20 + list * 16))
            .map_or(&[][..], Vec::as_slice);
        let count = match layout.cache.counts_free_slots {
            true => 7 - chunks.len(),
            false => chunks.len(),
        };
        let count = &(count as u16).to_le_bytes()[..layout.cache.count_bytes];
        image.write(cache + list * layout.cache.count_bytes as u64, count);
        let mut next = 0;
        for chunk in chunks {
            image.set(chunk + 16, layout.link(chunk + 16, next));
            match layout.cache.key {
                CacheKey::Nothing => {}
                CacheKey::Cache => image.set(chunk + 24, cache),
                CacheKey::Random => image.set(chunk + 24, KEY),
            }
            next = chunk + 16;
        }
        image.set(cache + counts + list * 8, next);
    }
}
