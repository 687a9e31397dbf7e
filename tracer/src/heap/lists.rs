//! Single-linked lists of free chunks that look as if in use: the fastbins of an
//! arena, and the cache that each thread keeps.

use std::collections::HashMap;

use super::{
    layout::{CacheKey, Layout},
    maps::Mappings,
    memory::{Lost, Memory, PAGE, READ_MAX, word_at},
};

/// Chunks of all fastbins of an arena: 16 MiB of addresses.
const FAST_CHUNKS_MAX: usize = 2 << 20;
/// Chunks of all caches.
const CACHED_CHUNKS_MAX: usize = 1 << 20;
/// Pieces that are kept, and their length.
const PIECES_MAX: usize = 64;
const PIECE_BYTES: u64 = READ_MAX as u64 / 4;
/// Pieces that are read for all lists together. What is in no order in memory
/// takes one a chunk.
const READS_MAX: usize = 1 << 17;

/// A free chunk of a list.
pub type Chunk = (u64, u64);

/// Reads words here and there, a piece of memory at a time.
pub struct Words<'m, M> {
    memory: &'m mut M,
    reads_max: usize,
    pieces: HashMap<(u64, u64), Vec<u8>>,
    reads: usize,
}

impl<'m, M: Memory> Words<'m, M> {
    /// Reads from this.
    pub fn new(memory: &'m mut M) -> Self {
        Self::with_budget(memory, READS_MAX)
    }

    /// The same with so many reads at most.
    pub fn with_budget(memory: &'m mut M, reads_max: usize) -> Self {
        Self {
            memory,
            reads_max,
            pieces: HashMap::new(),
            reads: 0,
        }
    }

    /// Whether no read is left.
    pub fn is_exhausted(&self) -> bool {
        self.reads >= self.reads_max
    }

    /// The two words at an address, if they are resident and the budget lasts.
    fn pair(&mut self, address: u64) -> Result<Option<(u64, u64)>, Lost> {
        let first = self.word(address)?;
        let second = self.word(address.wrapping_add(8))?;
        Ok(first.zip(second))
    }

    fn word(&mut self, address: u64) -> Result<Option<u64>, Lost> {
        // A piece, or where not all of it is resident, the one page.
        for length in [PIECE_BYTES, PAGE] {
            let start = address & !(length - 1);
            if !self.pieces.contains_key(&(start, length)) {
                if self.reads >= self.reads_max {
                    return Ok(None);
                }
                self.reads += 1;
                if self.pieces.len() >= PIECES_MAX {
                    self.pieces.clear();
                }
                let mut piece = vec![0; length as usize];
                if !self.memory.read(start, &mut piece)? {
                    piece.clear();
                }
                self.pieces.insert((start, length), piece);
            }
            let piece = self.pieces.get(&(start, length));
            let word = piece.and_then(|it| word_at(it, (address - start) as usize));
            if word.is_some() {
                return Ok(word);
            }
        }
        Ok(None)
    }
}

/// The chunks of an arena's fastbins, by address, and how many lists could not be
/// followed to their ends.
pub fn fast_chunks<M: Memory>(
    words: &mut Words<'_, M>,
    layout: &Layout,
    mappings: &Mappings,
    heads: &[u64],
) -> Result<(Vec<u64>, u64), Lost> {
    let (mut chunks, mut cut_off) = (Vec::new(), 0);
    for (index, head) in heads.iter().enumerate() {
        let size = 0x20 + 0x10 * index as u64;
        let mut at = *head;
        while at != 0 {
            let header = words.pair(at.wrapping_add(8))?;
            let is_chunk = at.is_multiple_of(16)
                && mappings.at(at).is_some()
                && header.is_some_and(|(it, _)| it & !7 == size);
            if !is_chunk || chunks.len() >= FAST_CHUNKS_MAX {
                cut_off += 1;
                break;
            }
            chunks.push(at);
            at = layout.link(at + 0x10, header.map_or(0, |(_, link)| link));
        }
    }
    chunks.sort_unstable();
    let all = chunks.len();
    // A list that leads back into itself.
    chunks.dedup();
    cut_off += u64::from(chunks.len() < all);
    Ok((chunks, cut_off))
}

/// A chunk in use that may be a thread's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where it stands, and its size.
    pub chunk: Chunk,
    /// It is the first chunk of a heap, where the first thread's cache is: it is
    /// one also when it is empty.
    pub is_first: bool,
}

/// Whether what stands in a chunk of the right size can be a thread's cache, and
/// if so whether something is in it: the words from its first one on.
fn looks_like_cache(layout: &Layout, bytes: &[u8]) -> Option<bool> {
    let cache = &layout.cache;
    let counts = cache.lists * cache.count_bytes;
    let mut any = false;
    let mut free_slots = None;
    for list in 0..cache.lists {
        let first = word_at(bytes, counts.next_multiple_of(8) + list * 8)?;
        let count = match cache.count_bytes {
            1 => bytes.get(list).map(|it| u16::from(*it)),
            _ => (bytes.get(list * 2..list * 2 + 2)).map(|it| u16::from_le_bytes([it[0], it[1]])),
        };
        let count = count?;
        let agrees = match (cache.counts_free_slots, first) {
            (false, _) => (count == 0) == (first == 0),
            // All empty lists have the same number of slots.
            (true, 0) => count == *free_slots.get_or_insert(count),
            (true, _) => free_slots.is_none_or(|all| count < all),
        };
        if !agrees || !first.is_multiple_of(16) {
            return None;
        }
        any |= first != 0;
    }
    Some(any)
}

/// The same of a chunk, out of the window that begins at `start` if it is whole there.
pub fn look_for_cache<M: Memory>(
    memory: &mut M,
    layout: &Layout,
    (chunk, _): Chunk,
    start: u64,
) -> Result<Option<bool>, Lost> {
    let length = layout.cache.chunk as usize - 8;
    let (bytes, states) = memory.shown();
    let shown = chunk.checked_sub(start).and_then(|offset| {
        let from = offset as usize + 0x10;
        let pages = from / PAGE as usize..=(from + length) / PAGE as usize;
        let are_resident = states.get(pages)?.iter().all(|state| *state == 1);
        are_resident.then(|| bytes.get(from..from + length))?
    });
    if let Some(bytes) = shown {
        return Ok(looks_like_cache(layout, bytes));
    }
    let mut copy = vec![0; length];
    let is_read = memory.read(chunk + 0x10, &mut copy)?;
    Ok(is_read.then(|| looks_like_cache(layout, &copy)).flatten())
}

/// What the caches hold.
#[derive(Debug, Default)]
pub struct Cached {
    /// The structures themselves.
    pub caches: Vec<Chunk>,
    /// Their chunks, by address.
    pub chunks: Vec<Chunk>,
    /// Lists that could not be followed to their ends.
    pub cut_off: u64,
}

/// Follows the lists of what may be caches. One without a chunk that fits is none.
pub fn cached_chunks<M: Memory>(
    words: &mut Words<'_, M>,
    layout: &Layout,
    mappings: &Mappings,
    candidates: &[Candidate],
) -> Result<Cached, Lost> {
    let mut cached = Cached::default();
    let mut keys: HashMap<u64, Vec<usize>> = HashMap::new();
    let mut found: Vec<(Chunk, Vec<Chunk>, u64)> = Vec::new();
    let mut left = CACHED_CHUNKS_MAX;
    for &Candidate { chunk, is_first } in candidates {
        match of_one(words, layout, mappings, chunk.0, &mut left)? {
            Some((chunks, key, cut_off)) => {
                keys.entry(key).or_default().push(found.len());
                found.push((chunk, chunks, cut_off));
            }
            None if is_first => cached.caches.push(chunk),
            None => {}
        }
    }
    // One number is in all caches' chunks; what has another is no cache.
    let of_most = match layout.cache.key {
        CacheKey::Random => keys.into_values().max_by_key(Vec::len),
        _ => Some((0..found.len()).collect()),
    };
    for index in of_most.unwrap_or_default() {
        if let Some((cache, chunks, cut_off)) = found.get_mut(index) {
            cached.caches.push(*cache);
            cached.chunks.append(chunks);
            cached.cut_off += *cut_off;
        }
    }
    cached.chunks.sort_unstable();
    cached.chunks.dedup_by_key(|(address, _)| *address);
    Ok(cached)
}

type OfOne = (Vec<Chunk>, u64, u64);

fn of_one<M: Memory>(
    words: &mut Words<'_, M>,
    layout: &Layout,
    mappings: &Mappings,
    chunk: u64,
    left: &mut usize,
) -> Result<Option<OfOne>, Lost> {
    let cache = &layout.cache;
    let structure = chunk + 0x10;
    let entries = structure + (cache.lists * cache.count_bytes).next_multiple_of(8) as u64;
    let (mut chunks, mut its_key, mut cut_off) = (Vec::new(), None, 0);
    for list in 0..cache.lists {
        let mut at = words.word(entries + list as u64 * 8)?.unwrap_or(0);
        let mut of_list = 0_u32;
        while at != 0 {
            let header = words.word(at.wrapping_sub(8))?;
            let (link, key) = words.pair(at)?.unwrap_or_default();
            let size = header.unwrap_or(0) & !7;
            let fits = match list < cache.small_lists {
                true => size == 0x20 + 0x10 * list as u64,
                // A list for each power of two behind the small ones.
                false => size > 0x410 && size <= 8 << 20,
            };
            let has_key = match cache.key {
                CacheKey::Nothing => true,
                CacheKey::Cache => key == structure,
                CacheKey::Random => *its_key.get_or_insert(key) == key,
            };
            if !at.is_multiple_of(16) || mappings.at(at).is_none() || !fits || !has_key {
                // Data of the program's, or a list that is being changed.
                if chunks.is_empty() {
                    return Ok(None);
                }
                cut_off += 1;
                break;
            }
            if *left == 0 || of_list > u32::from(u16::MAX) {
                cut_off += 1;
                break;
            }
            *left -= 1;
            of_list += 1;
            chunks.push((at - 0x10, size));
            at = layout.link(at, link);
        }
    }
    Ok((!chunks.is_empty()).then_some((chunks, its_key.unwrap_or(0), cut_off)))
}
