//! Arenas: finding the main one in a library without symbols, and from it the
//! others, their heaps, and the allocator's parameters.
//!
//! Nothing tells where `main_arena` is, but it tells of itself: its 127 bins are
//! lists that lead back to it.

use super::{
    WalkError,
    layout::Layout,
    maps::{Kind, Mappings},
    memory::{Lost, Memory, PAGE, WINDOW_BYTES, word_at},
};

/// Lists of free chunks.
const BINS: usize = 127;
/// Bins that do not lead back, of an arena all the same: a program that allocates
/// all the time changes them while they are looked at. Nothing else in a library's
/// data has a hundred pairs that do.
const BINS_BROKEN_MAX: usize = 27;
/// `NONCONTIGUOUS_BIT` of an arena's flags.
pub const NOT_CONTIGUOUS: u32 = 2;
/// How often a bin is looked at.
const BIN_TRIES: u32 = 5;
/// Largest data segment that is searched: a static program's.
const LIBRARY_MAX: u64 = 64 << 20;
/// More arenas than this are none: the default limit is eight a processor.
const ARENAS_MAX: usize = 1 << 13;
/// All arenas' heaps together: a terabyte of the usual size.
const HEAPS_MAX: usize = 1 << 14;
/// `HEAP_MAX_SIZE`: twice the largest mmap threshold.
const HEAP_BYTES: u64 = 64 << 20;

/// An arena as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arena {
    /// Where its `malloc_state` stands.
    pub address: u64,
    /// Whether it is the one that uses `brk`.
    pub is_main: bool,
    /// Its `flags`: bit 1 means that its memory is not contiguous.
    pub flags: u32,
    /// The topmost chunk.
    pub top: u64,
    /// First chunks of the fastbins.
    pub fastbins: Vec<u64>,
    /// Bytes that it has from the system.
    pub system_bytes: u64,
    /// Bins whose ends do not lead back to it.
    pub broken_bins: usize,
    next: u64,
}

/// A heap that is not `brk`'s: `heap_info` and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heap {
    /// Where it begins.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// Its first chunk.
    pub first_chunk: u64,
}

/// `malloc_par`, as far as the walk needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// Where the heap of `brk` begins; 0: there is none.
    pub heap_start: u64,
    /// Mapped chunks.
    pub mapped_count: u64,
    /// Bytes of their mappings.
    pub mapped_bytes: u64,
    /// Size of huge pages that heaps are made of.
    pub huge_page: u64,
    /// Size of transparent huge pages that heaps are aligned to.
    pub transparent_huge_page: u64,
    /// Chunks that a thread caches of a size.
    pub cached_chunks: u64,
}

/// Up to where the main arena has `brk`'s memory.
#[must_use]
pub fn break_end(arena: &Arena, parameters: Option<&Parameters>) -> u64 {
    let start = parameters.map_or(0, |it| it.heap_start);
    let top = (arena.top | (PAGE - 1)).saturating_add(1);
    if start == 0 || arena.flags & NOT_CONTIGUOUS != 0 {
        return top;
    }
    start.saturating_add(arena.system_bytes).max(top)
}

/// Finds the main arena in the library's data.
pub fn find_main<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    mappings: &Mappings,
) -> Result<Arena, WalkError> {
    let mut unused = false;
    let mut found: Option<Arena> = None;
    let room = mappings.break_room();
    for library in mappings.of(Kind::Library) {
        let data = data_of(memory, library.start, library.end)?;
        let behind = (data.len() + 1).saturating_sub(layout.arena.bytes as usize);
        for base in (0..behind).step_by(8) {
            let word = |offset: u64| word_at(&data, base + offset as usize).unwrap_or(0);
            let top = word(layout.arena.top);
            let address = library.start + base as u64;
            // As it is compiled in: a ring of its own, for one thread, with nothing.
            unused |= word(layout.arena.next) == address
                && word(layout.arena.next + 0x10) == 1
                && word(layout.arena.system_mem) == 0;
            if !looks_like_state(&word, layout)
                || mappings.at(top).is_none() && !room.contains(&top)
            {
                continue;
            }
            let candidate = read(memory, layout, address, true)?;
            if let Some(arena) = candidate
                && arena.broken_bins <= BINS_BROKEN_MAX
                // A copy of the library in another namespace has one too; the larger counts.
                && found.as_ref().is_none_or(|it| it.system_bytes < arena.system_bytes)
            {
                found = Some(arena);
            }
        }
    }
    found.ok_or(if unused {
        WalkError::Unused
    } else {
        WalkError::NoArena
    })
}

/// What can be told from the words alone.
fn looks_like_state(word: &impl Fn(u64) -> u64, layout: &Layout) -> bool {
    let (system, most) = (
        word(layout.arena.system_mem),
        word(layout.arena.system_mem + 8),
    );
    let (top, next) = (word(layout.arena.top), word(layout.arena.next));
    system != 0
        && system.is_multiple_of(PAGE)
        && most.is_multiple_of(PAGE)
        && most >= system
        && top != 0
        && top.is_multiple_of(16)
        && next != 0
        && next.is_multiple_of(8)
}

/// The readable beginning of `[start, end)`; absent pages read as zeroes.
fn data_of<M: Memory>(memory: &mut M, start: u64, end: u64) -> Result<Vec<u8>, Lost> {
    let length = end.saturating_sub(start).min(LIBRARY_MAX) as usize;
    let mut data = Vec::with_capacity(length);
    while data.len() < length {
        let piece = (length - data.len()).min(WINDOW_BYTES);
        memory.show(start + data.len() as u64, piece)?;
        let (bytes, states) = memory.shown();
        for (page, state) in bytes
            .chunks(PAGE as usize)
            .zip(states)
            .take(piece / 4096 + 1)
        {
            match state {
                1 => data.extend_from_slice(page),
                _ => data.resize(data.len() + page.len(), 0),
            }
        }
    }
    Ok(data)
}

/// Reads an arena; `None` where it is not resident.
pub fn read<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    address: u64,
    is_main: bool,
) -> Result<Option<Arena>, Lost> {
    let mut state = vec![0; layout.arena.bytes as usize];
    if !memory.read(address, &mut state)? {
        return Ok(None);
    }
    let word = |offset: u64| word_at(&state, offset as usize).unwrap_or(0);
    let fastbins = layout.arena.fastbins.into_iter().flat_map(|start| {
        let word = &word;
        (0..10).map(move |index| word(start + index * 8))
    });
    let mut arena = Arena {
        address,
        is_main,
        flags: (word(0) >> 32) as u32,
        top: word(layout.arena.top),
        fastbins: fastbins.collect(),
        system_bytes: word(layout.arena.system_mem),
        next: word(layout.arena.next),
        broken_bins: 0,
    };
    for bin in 0..BINS as u64 {
        let at = layout.arena.bins + bin * 16;
        // The bin as a chunk: its links stand where a chunk's do.
        let itself = address + at - 0x10;
        let mut links = (word(at), word(at + 8));
        let mut leads_back = links == (itself, itself);
        let mut tries = 0;
        while !leads_back && tries < BIN_TRIES {
            if tries > 0 {
                // It is being changed: as it is now.
                let now = memory
                    .word(address + at)?
                    .zip(memory.word(address + at + 8)?);
                links = now.unwrap_or(links);
            }
            leads_back = links == (itself, itself) || leads_back_to(memory, itself, links)?;
            tries += 1;
        }
        arena.broken_bins += usize::from(!leads_back);
        if arena.broken_bins > BINS_BROKEN_MAX {
            break;
        }
    }
    Ok(Some(arena))
}

/// Whether the chunks at both ends of a bin lead to it.
fn leads_back_to<M: Memory>(
    memory: &mut M,
    bin: u64,
    (forth, back): (u64, u64),
) -> Result<bool, Lost> {
    Ok(forth.is_multiple_of(16)
        && back.is_multiple_of(16)
        && memory.word(forth.wrapping_add(0x18))? == Some(bin)
        && memory.word(back.wrapping_add(0x10))? == Some(bin))
}

/// The arenas of the ring that the main one is in, itself first; and whether the
/// ring closes.
pub fn ring<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    main: Arena,
    heap_bytes: u64,
) -> Result<(Vec<Arena>, bool), Lost> {
    let (start, mut next) = (main.address, main.next);
    let mut arenas = vec![main];
    while next != start {
        // One that is not main stands behind its first heap's header.
        let is_placed = next % heap_bytes == layout.heap_header;
        if !is_placed || arenas.len() >= ARENAS_MAX || arenas.iter().any(|it| it.address == next) {
            return Ok((arenas, false));
        }
        match read(memory, layout, next, false)? {
            Some(arena) if arena.broken_bins <= BINS_BROKEN_MAX => {
                next = arena.next;
                arenas.push(arena);
            }
            _ => return Ok((arenas, false)),
        }
    }
    Ok((arenas, true))
}

/// How large heaps are at most; they are aligned to this.
#[must_use]
pub const fn heap_bytes(layout: &Layout, parameters: &Parameters) -> u64 {
    if layout.huge_heaps && parameters.huge_page.is_power_of_two() {
        parameters.huge_page.saturating_mul(4)
    } else {
        HEAP_BYTES
    }
}

/// The heaps of an arena that is not main, the newest first; and whether all
/// could be followed.
pub fn heaps<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    mappings: &Mappings,
    arena: &Arena,
    heap_bytes: u64,
) -> Result<(Vec<Heap>, bool), Lost> {
    let mut heaps: Vec<Heap> = Vec::new();
    let mut start = arena.top & !(heap_bytes - 1);
    let first = arena.address & !(heap_bytes - 1);
    while start != 0 {
        let mut header = [0; 32];
        if heaps.len() >= HEAPS_MAX || !memory.read(start, &mut header)? {
            return Ok((heaps, false));
        }
        let word = |index: usize| word_at(&header, index * 8).unwrap_or(0);
        let (of, before, size) = (word(0), word(1), word(2));
        let end = start.saturating_add(size);
        let is_heap = of == arena.address
            && size.is_multiple_of(PAGE)
            && (PAGE..=heap_bytes).contains(&size)
            && before.is_multiple_of(heap_bytes)
            // Its beginning: it may have grown since the mappings were read.
            && mappings.hold(start, start.saturating_add(PAGE))
            && heaps.iter().all(|it| it.start != start);
        if !is_heap {
            return Ok((heaps, false));
        }
        let header = match start == first {
            true => layout.heap_header + layout.arena.bytes,
            false => layout.heap_header,
        };
        heaps.push(Heap {
            start,
            end,
            first_chunk: start + header.next_multiple_of(16),
        });
        start = before;
    }
    let is_whole = heaps.iter().any(|it| it.start == first);
    Ok((heaps, is_whole))
}

/// Whether chunks of a size are the largest of so many lists: `tidx2usize` of
/// the last one, or what a tunable rounds up to it.
fn is_largest(layout: &Layout, lists: u64, largest: u64) -> bool {
    let of_last = (lists - 1) * 16 + 24;
    let is_of_last = (of_last.saturating_sub(15)..=of_last + 17).contains(&largest);
    let has_large_lists = layout.cache.lists > layout.cache.small_lists;
    is_of_last || has_large_lists && lists == 64 && (of_last..=4 << 20).contains(&largest)
}

/// Finds `malloc_par` in the library's data: the one place where all its words
/// agree with each other and with the mappings.
pub fn find_parameters<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    mappings: &Mappings,
) -> Result<Option<Parameters>, Lost> {
    let at = &layout.parameters;
    for library in mappings.of(Kind::Library) {
        let data = data_of(memory, library.start, library.end)?;
        let behind = (data.len() + 1).saturating_sub(at.bytes as usize);
        for base in (0..behind).step_by(8) {
            let word = |offset: u64| word_at(&data, base + offset as usize).unwrap_or(0);
            let int = |offset: u64| {
                let word = word_at(&data, base + (offset & !7) as usize).unwrap_or(0);
                (word >> (offset % 8 * 8)) & 0xffff_ffff
            };
            let (lists, largest, cached) =
                (word(at.cache), word(at.cache + 8), word(at.cache + 16));
            let (bytes, most) = (word(at.mapped_bytes), word(at.mapped_bytes + 8));
            let (count, most_count) = (int(at.mapped_count), int(at.mapped_count + 8));
            let heap_start = word(at.heap_start);
            let is_cache = (1..=layout.cache.small_lists as u64).contains(&lists)
                && is_largest(layout, lists, largest)
                && cached <= u64::from(u16::MAX);
            let is_mapped = bytes.is_multiple_of(PAGE)
                && bytes <= most
                && count <= most_count
                && (count == 0) == (bytes == 0)
                && word(0x10) <= 1 << 40;
            let is_heap = heap_start == 0
                || mappings
                    .at(heap_start)
                    .is_some_and(|it| it.kind != Kind::Library);
            let huge = at.huge_page.map_or(0, &word);
            let transparent = at.transparent_huge_page.map_or(0, &word);
            let are_pages = [huge, transparent]
                .iter()
                .all(|it| *it == 0 || it.is_power_of_two() && *it < 1 << 40);
            if is_cache && is_mapped && is_heap && are_pages && word(0x18) <= 1 << 20 {
                return Ok(Some(Parameters {
                    heap_start,
                    mapped_count: count,
                    mapped_bytes: bytes,
                    huge_page: huge,
                    transparent_huge_page: transparent,
                    cached_chunks: cached,
                }));
            }
        }
    }
    Ok(None)
}
