//! How glibc's malloc is laid out, version by version, on x86-64.
//!
//! From malloc/malloc.c and malloc/arena.c of each release: `malloc_state`,
//! `malloc_par`, `heap_info`, `tcache_perthread_struct`, `tcache_entry`. What
//! each change was:
//!
//! | from | what |
//! | --- | --- |
//! | 2.26 | thread caches of 64 lists, counted in bytes |
//! | 2.27 | `have_fastchunks` before the fastbins |
//! | 2.29 | a cached chunk's second word is its cache's address |
//! | 2.30 | counts of two bytes |
//! | 2.32 | links of caches and fastbins are mangled ("safe-linking") |
//! | 2.34 | the second word is a random key of the process's |
//! | 2.35 | `heap_info` is 0x30 long; huge pages in `malloc_par` |
//! | 2.42 | caches of 76 lists, which count free slots |
//! | 2.43 | no fastbins; `thp_mode`; a mmapped chunk's size leaves its header out |
//!
//! 2.43's is read from the sources a week before its release (2.42.9000,
//! commit 04e750e7). What is newer is refused.

use serde::{Deserialize, Serialize};

/// A release of glibc.
pub type Version = (u32, u32);

const OLDEST: Version = (2, 26);
const NEWEST: Version = (2, 43);

/// Offsets within `malloc_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArenaLayout {
    /// Ten lists of small chunks; `None` since there are none any more.
    pub fastbins: Option<u64>,
    /// The topmost chunk.
    pub top: u64,
    /// 127 pairs of links.
    pub bins: u64,
    /// The next arena of the ring.
    pub next: u64,
    /// Bytes that the arena has from the system, and the most it ever had.
    pub system_mem: u64,
    /// Of the whole structure.
    pub bytes: u64,
}

/// `tcache_perthread_struct`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheLayout {
    /// Lists.
    pub lists: usize,
    /// Of them, those for chunks of one size each.
    pub small_lists: usize,
    /// Bytes of a count.
    pub count_bytes: usize,
    /// Counts are of free slots.
    pub counts_free_slots: bool,
    /// Size of the chunk that holds the structure.
    pub chunk: u64,
    /// What the second word of a cached chunk is.
    pub key: CacheKey,
}

/// The second word of a chunk in a thread's cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKey {
    /// Whatever it was.
    Nothing,
    /// The cache's address.
    Cache,
    /// One number, the same in all caches.
    Random,
}

/// Offsets within `malloc_par`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParametersLayout {
    /// Size of huge pages that heaps are made of, or 0; from 2.35 on.
    pub huge_page: Option<u64>,
    /// Size of transparent huge pages that heaps are aligned to, or 0.
    pub transparent_huge_page: Option<u64>,
    /// Mapped chunks: how many, the limit, the most there were (int each).
    pub mapped_count: u64,
    /// Bytes of mapped chunks, and the most there were.
    pub mapped_bytes: u64,
    /// Where the heap of `brk` begins.
    pub heap_start: u64,
    /// Lists of a thread's cache, their largest size, chunks in each.
    pub cache: u64,
    /// Of the whole structure.
    pub bytes: u64,
}

/// How one release lays memory out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The release.
    pub version: Version,
    /// `malloc_state`.
    pub arena: ArenaLayout,
    /// `malloc_par`.
    pub parameters: ParametersLayout,
    /// `tcache_perthread_struct`.
    pub cache: CacheLayout,
    /// Bytes of `heap_info`, behind which the arena or the first chunk stands.
    pub heap_header: u64,
    /// Links of single-linked lists are mangled.
    pub mangles_links: bool,
    /// A mapped chunk's size is the mapping's without the chunk's header.
    pub mapped_without_header: bool,
    /// Heaps are as large as four huge pages where there are such.
    pub huge_heaps: bool,
}

/// No table for this release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error(
    "glibc {}.{} is not known: its malloc's structures are known from {}.{} to {}.{}",
    .0.0, .0.1, OLDEST.0, OLDEST.1, NEWEST.0, NEWEST.1
)]
pub struct UnknownVersion(pub Version);

impl Layout {
    /// The layout of a release.
    ///
    /// # Errors
    /// The release is older or newer than those that are known.
    pub fn of(version: Version) -> Result<Self, UnknownVersion> {
        if !(OLDEST..=NEWEST).contains(&version) {
            return Err(UnknownVersion(version));
        }
        let since = |minor| version >= (2, minor);
        let fastbins = match version {
            (2, 26) => Some(8),
            _ => (!since(43)).then_some(0x10),
        };
        let top = fastbins.map_or(8, |fastbins| fastbins + 10 * 8);
        let huge = match version {
            _ if since(43) => Some(0x30),
            _ => since(35).then_some(0x28),
        };
        // Behind two sizes of pages stand the flags of huge ones (int).
        let mapped_count = huge.map_or(0x28, |huge| huge + 0x14);
        // Four ints behind: padded.
        let mapped_bytes = (mapped_count + 4 * 4_u64).next_multiple_of(8);
        let (lists, count_bytes) = match version {
            _ if since(42) => (76, 2),
            _ => (64, if since(30) { 2 } else { 1 }),
        };
        Ok(Self {
            version,
            arena: ArenaLayout {
                fastbins,
                top,
                bins: top + 0x10,
                next: top + 0x810,
                system_mem: top + 0x828,
                bytes: top + 0x838,
            },
            parameters: ParametersLayout {
                transparent_huge_page: huge,
                huge_page: huge.map(|huge| huge + 8),
                mapped_count,
                mapped_bytes,
                heap_start: mapped_bytes + 0x10,
                cache: mapped_bytes + 0x18,
                bytes: mapped_bytes + 0x38,
            },
            cache: CacheLayout {
                lists,
                small_lists: 64,
                count_bytes,
                counts_free_slots: since(42),
                chunk: (lists * (count_bytes + 8) + 8).next_multiple_of(16) as u64,
                key: match version {
                    _ if since(34) => CacheKey::Random,
                    _ if since(29) => CacheKey::Cache,
                    _ => CacheKey::Nothing,
                },
            },
            heap_header: if since(35) { 0x30 } else { 0x20 },
            mangles_links: since(32),
            mapped_without_header: since(43),
            huge_heaps: since(35) && !since(43),
        })
    }

    /// The link that stands at an address as this word.
    #[must_use]
    pub const fn link(&self, address: u64, word: u64) -> u64 {
        if self.mangles_links {
            word ^ (address >> 12)
        } else {
            word
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// The sizes and offsets that glibc's own structures have, as gdb and the
    /// sources tell them.
    #[test]
    fn as_in_the_sources() {
        let of = |minor| Layout::of((2, minor)).unwrap();
        let cases = [
            (26, 0x58, 0x890, 0x20, 0x250, 0x38, 0x48),
            (27, 0x60, 0x898, 0x20, 0x250, 0x38, 0x48),
            (29, 0x60, 0x898, 0x20, 0x250, 0x38, 0x48),
            (31, 0x60, 0x898, 0x20, 0x290, 0x38, 0x48),
            (34, 0x60, 0x898, 0x20, 0x290, 0x38, 0x48),
            (36, 0x60, 0x898, 0x30, 0x290, 0x50, 0x60),
            (41, 0x60, 0x898, 0x30, 0x290, 0x50, 0x60),
            (42, 0x60, 0x898, 0x30, 0x300, 0x50, 0x60),
            (43, 0x08, 0x840, 0x30, 0x300, 0x58, 0x68),
        ];
        for (minor, top, bytes, heap_header, cache, mapped_bytes, heap_start) in cases {
            let layout = of(minor);
            assert_eq!(layout.arena.top, top, "2.{minor}");
            assert_eq!(layout.arena.bytes, bytes, "2.{minor}");
            assert_eq!(layout.heap_header, heap_header, "2.{minor}");
            assert_eq!(layout.cache.chunk, cache, "2.{minor}");
            assert_eq!(layout.parameters.mapped_bytes, mapped_bytes, "2.{minor}");
            assert_eq!(layout.parameters.heap_start, heap_start, "2.{minor}");
        }
        assert!(!of(31).mangles_links && of(32).mangles_links);
    }

    /// What is older than thread caches or newer than what was read is refused.
    #[test]
    fn unknown_ones_are_refused() {
        for version in [(2, 25), (2, 44), (3, 0), (1, 99), (u32::MAX, u32::MAX)] {
            assert_eq!(Layout::of(version), Err(UnknownVersion(version)));
        }
    }
}
