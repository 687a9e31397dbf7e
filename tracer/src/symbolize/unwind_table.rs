//! An unwind table of one file, as it crosses from the file worker to its
//! parent and as it lies in the cache: plain numbers, checked when read.

use tracer_common::unwind::{
    code::CHUNK_ROWS,
    row::{Rule, SPECIALS_MAX, Special},
};

/// Pages of 64 KiB in one table: 4 GiB of code.
pub const MAX_PAGES: usize = 65_536;
/// Rows in one table; Chromium has some three million.
pub const MAX_ROWS: usize = 8 << 20;

/// How callers are found in the code of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnwindTable {
    /// The page of the file, of 64 KiB, that `pages` begins with.
    pub first_page: u32,
    /// How many rows each page has, at most [`CHUNK_ROWS`]; 0: it has none.
    pub pages: Vec<u16>,
    /// The rows, page after page (see [`tracer_common::unwind::row`]).
    pub rows: Vec<u32>,
    /// What the special rules of the rows are, by number. Number 0 is unknown code.
    pub specials: Vec<Special>,
    /// Rows that could not be kept: their rule is none that a row can hold.
    pub left_out: u32,
}

const VERSION: u32 = 1;
const HEADER_WORDS: usize = 6;
const SPECIAL_WORDS: usize = 5;

impl UnwindTable {
    /// As bytes: a header, pages, specials and rows, in little-endian words.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = [
            VERSION,
            self.first_page,
            self.pages.len() as u32,
            self.specials.len() as u32,
            self.rows.len() as u32,
            self.left_out,
        ];
        let pages = self.pages.iter().map(|count| u32::from(*count));
        let specials = self.specials.iter().flat_map(|special| {
            [
                special.kind,
                special.saved,
                special.offset.cast_unsigned(),
                special.saved_offset.cast_unsigned(),
                special.addend.cast_unsigned(),
            ]
        });
        let rows = self.rows.iter().copied();
        (header.into_iter().chain(pages).chain(specials).chain(rows))
            .flat_map(u32::to_le_bytes)
            .collect()
    }

    /// Reads what [`Self::to_bytes`] wrote; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (words, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return None;
        }
        let word = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        let (header, words) = words.split_first_chunk::<HEADER_WORDS>()?;
        let [version, first_page, pages, specials, rows, left_out] = header.each_ref().map(word);
        let lengths = [pages, specials, rows].map(|length| length as usize);
        let limits = [MAX_PAGES, SPECIALS_MAX as usize, MAX_ROWS];
        if version != VERSION || lengths.iter().zip(limits).any(|(it, limit)| *it > limit) {
            return None;
        }
        let (pages, words) = words.split_at_checked(lengths[0])?;
        let (specials, words) = words.split_at_checked(lengths[1] * SPECIAL_WORDS)?;
        if words.len() != lengths[2] {
            return None;
        }
        let (specials, _) = specials.as_chunks::<SPECIAL_WORDS>();
        let table = Self {
            first_page,
            pages: pages
                .iter()
                .map(|count| u16::try_from(word(count)))
                .collect::<Result<_, _>>()
                .ok()?,
            rows: words.iter().map(word).collect(),
            specials: specials
                .iter()
                .map(|it| special(it.each_ref().map(word)))
                .collect(),
            left_out,
        };
        table.is_sound().then_some(table)
    }

    /// Whether counts and numbers agree with one another.
    fn is_sound(&self) -> bool {
        let counted: usize = self.pages.iter().map(|count| usize::from(*count)).sum();
        counted == self.rows.len()
            && (self.pages.iter()).all(|count| usize::from(*count) <= CHUNK_ROWS)
            && (self.rows.iter())
                .map(|row| Rule(*row as u16))
                .all(|rule| rule.kind() != 0 || usize::from(rule.number()) < self.specials.len())
    }
}

fn special(words: [u32; SPECIAL_WORDS]) -> Special {
    let [kind, saved, offset, saved_offset, addend] = words;
    Special {
        kind,
        saved,
        offset: offset.cast_signed(),
        saved_offset: saved_offset.cast_signed(),
        addend: addend.cast_signed(),
        reserved: 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What was written is read back the same; cut or changed bytes never panic.
        #[test]
        fn what_is_written_is_read(
            counts in proptest::collection::vec(0u16..20, 0..20),
            first_page in any::<u32>(),
            cut in 0usize..400,
            noise in any::<u8>(),
        ) {
            let rows: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let table = UnwindTable {
                first_page,
                pages: counts,
                rows: (0..rows as u32).map(|row| row << 16 | 0x4002).collect(),
                specials: vec![Special::default(), Special { kind: 3, offset: -8, ..Special::default() }],
                left_out: 7,
            };
            let mut bytes = table.to_bytes();
            prop_assert_eq!(UnwindTable::from_bytes(&bytes), Some(table));
            let cut = cut % bytes.len();
            let _ = UnwindTable::from_bytes(&bytes[..cut]);
            bytes[cut] ^= noise;
            let _ = UnwindTable::from_bytes(&bytes);
        }
    }
}
