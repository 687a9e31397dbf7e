//! Which row holds for an address: from the address space's mappings to a page
//! of a file's table, and to a row in it.

use super::{
    at_most, opaque,
    row::{PAGE_SHIFT, Rule},
};
use crate::javascript::Runtime;

/// Executable mappings of one address space that have a table.
pub const MAPPINGS_MAX: usize = 256;
/// Rows of one chunk, in which whole pages stand.
pub const CHUNK_ROWS: usize = 8192;

/// Some pages' rows: the element of the map of rows.
pub type Chunk = [u32; CHUNK_ROWS];

/// A mapping of a file that has a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CodeMapping {
    /// First address.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// The address at which the table's first page would be mapped.
    pub origin: u64,
    /// Number of the table's first page in the map of pages.
    pub first_page: u32,
    /// How many pages the table has.
    pub pages: u32,
    /// Number of the table.
    pub table: u32,
    /// Always zero.
    pub reserved: u32,
}

/// What is known of the code of one address space; the value of the map of
/// address spaces' code. It is replaced whole when the mappings change, and the
/// rules that were found for them go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SpaceCode {
    /// What is mapped.
    pub mapped: MappedCode,
    /// The V8 that is in it.
    pub runtime: Runtime,
    /// Rules that were found, see [`Found`].
    pub found: [u64; FOUND_MAX],
}

/// The executable mappings of one address space, by address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MappedCode {
    /// The first address of each mapping, for the search; [`UNUSED`] behind the last.
    pub starts: [u64; MAPPINGS_MAX],
    /// The mappings.
    pub mappings: [CodeMapping; MAPPINGS_MAX],
}

/// Rules kept of those that were found. Programs return to a few places again
/// and again, and a search takes 40 ns.
pub const FOUND_MAX: usize = 1024;

/// A rule that was found for a place, in one word, so that it is read and
/// written at once: the place in the upper 48 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found(pub u64);

impl Found {
    /// What is kept for a place.
    #[inline(always)]
    #[must_use]
    pub const fn new(place: u64, rule: Rule) -> Self {
        Self(place << 16 | rule.0 as u64)
    }

    /// Where it is kept.
    #[inline(always)]
    #[must_use]
    pub const fn index(place: u64) -> usize {
        (place.wrapping_mul(0x9e37_79b1_85eb_ca87) >> 54) as usize & (FOUND_MAX - 1)
    }

    /// Whether it is of this place.
    #[inline(always)]
    #[must_use]
    pub const fn is_of(self, place: u64) -> bool {
        (self.0 ^ (place << 16)) >> 16 == 0
    }

    /// The rule.
    #[inline(always)]
    #[must_use]
    pub const fn rule(self) -> Rule {
        Rule(self.0 as u16)
    }
}

/// Above every address, and small enough to compare without branches.
pub const UNUSED: u64 = 1 << 62;

impl Default for SpaceCode {
    fn default() -> Self {
        Self {
            mapped: MappedCode {
                starts: [UNUSED; MAPPINGS_MAX],
                mappings: [CodeMapping::default(); MAPPINGS_MAX],
            },
            runtime: Runtime::default(),
            found: [0; FOUND_MAX],
        }
    }
}

impl MappedCode {
    /// The index of the only mapping that may hold an address.
    #[inline(always)]
    #[must_use]
    pub fn candidate(&self, address: u64) -> usize {
        // The compiler sees that it can leave a mask out here, the verifier
        // does not.
        let masked = |index: u64| (opaque(index) & (MAPPINGS_MAX as u64 - 1)) as usize;
        let mut index = 0;
        let mut half = MAPPINGS_MAX as u64 / 2;
        while half > 0 {
            let start = self.starts[masked(index + half)];
            index += half * at_most(start, address);
            half /= 2;
        }
        masked(index)
    }
}

/// Where the rows of a page stand; the element of the map of pages. 0: nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Page(pub u64);

impl Page {
    /// `count` rows from `first` on in a chunk; at most [`CHUNK_ROWS`] each.
    #[must_use]
    pub const fn new(chunk: u32, first: u16, count: u16) -> Self {
        Self((chunk as u64) << 32 | (first as u64) << 16 | count as u64)
    }

    /// Number of the chunk.
    #[inline(always)]
    #[must_use]
    pub const fn chunk(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline(always)]
    const fn first(self) -> u64 {
        self.0 >> 16 & 0xffff
    }

    #[inline(always)]
    const fn count(self) -> u64 {
        self.0 & 0xffff
    }

    /// The rule at an offset in the file; the page's first row is at its start.
    #[inline(always)]
    #[must_use]
    pub fn rule(self, rows: &Chunk, offset: u64) -> Rule {
        const MASK: u64 = CHUNK_ROWS as u64 - 1;
        let (first, count) = (self.first(), self.count());
        // Every row up to this one begins at or before the place.
        let last = (offset & ((1 << PAGE_SHIFT) - 1)) << 16 | 0xffff;
        let mut found = 0;
        let mut halve = |half: u64| {
            let row = u64::from(rows[((first + found + half) & MASK) as usize]);
            found += half * (at_most(row, last) & at_most(found + half + 1, count));
        };
        // Most pages have fewer.
        if count > 512 {
            for half in [4096, 2048, 1024, 512] {
                halve(half);
            }
        }
        for half in [256, 128, 64, 32, 16, 8, 4, 2, 1] {
            halve(half);
        }
        Rule(rows[((first + found) & MASK) as usize] as u16)
    }
}
