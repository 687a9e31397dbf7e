//! Frames: the pieces of which a segment is made, each with its length and checksums, so
//! that whatever is torn or damaged is known, and what follows is found again.
//!
//! 44 bytes stand before each content, integers little-endian:
//!
//! | bytes | content |
//! | --- | --- |
//! | 0–3 | mark: `\xf5MTf`; 0xf5 is in no UTF-8 text |
//! | 4–7 | kind |
//! | 8–11 | length of the content in bytes |
//! | 12–19 | begin of what it tells of, Unix ms |
//! | 20–27 | its end, Unix ms |
//! | 28–35 | age clock at writing, ms: see [`super::clock`] |
//! | 36–39 | CRC-32 of the content |
//! | 40–43 | CRC-32 of bytes 0–39 |

use bytes::{Buf as _, BufMut as _};

const MARK: [u8; 4] = *b"\xf5MTf";
/// Bytes before the content.
pub const HEADER: usize = 44;

/// What the content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stacks that following intervals speak of.
    Stacks,
    /// An interval.
    Interval,
    /// The last frame of a segment that is complete: a summary.
    End,
    /// Written by a newer memtrace: passed over.
    Unknown(u32),
}

impl Kind {
    const fn of(number: u32) -> Self {
        match number {
            1 => Self::Stacks,
            2 => Self::Interval,
            3 => Self::End,
            other => Self::Unknown(other),
        }
    }

    const fn number(self) -> u32 {
        match self {
            Self::Stacks => 1,
            Self::Interval => 2,
            Self::End => 3,
            Self::Unknown(other) => other,
        }
    }
}

/// What a frame tells before its content is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the content is.
    pub kind: Kind,
    /// Unix ms.
    pub start_ms: u64,
    /// Unix ms.
    pub end_ms: u64,
    /// Age clock at writing.
    pub aged_ms: u64,
}

/// Writes a frame behind what is there. `None`, and nothing written: the content is too long.
pub fn put(to: &mut Vec<u8>, header: Header, content: &[u8]) -> Option<()> {
    let length = u32::try_from(content.len()).ok()?;
    let mut head = Vec::with_capacity(HEADER);
    head.put_slice(&MARK);
    head.put_u32_le(header.kind.number());
    head.put_u32_le(length);
    head.put_u64_le(header.start_ms);
    head.put_u64_le(header.end_ms);
    head.put_u64_le(header.aged_ms);
    head.put_u32_le(crc32fast::hash(content));
    let checksum = crc32fast::hash(&head);
    head.put_u32_le(checksum);
    to.extend_from_slice(&head);
    to.extend_from_slice(content);
    Some(())
}

/// Header, length and checksum of the content, if a header is here.
fn head(bytes: &[u8]) -> Option<(Header, usize, u32)> {
    let (mut head, _) = bytes.split_at_checked(HEADER)?;
    let (covered, _) = head.split_at_checked(HEADER - 4)?;
    let sound = crc32fast::hash(covered);
    if !head.starts_with(&MARK) {
        return None;
    }
    head.advance(MARK.len());
    let kind = Kind::of(head.get_u32_le());
    let length = head.get_u32_le() as usize;
    let header = Header {
        kind,
        start_ms: head.get_u64_le(),
        end_ms: head.get_u64_le(),
        aged_ms: head.get_u64_le(),
    };
    let content = head.get_u32_le();
    (head.get_u32_le() == sound).then_some((header, length, content))
}

/// Where a reader stands in a segment. Moves forward with every frame, over damage too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    at: usize,
    /// Where the last whole frame ends: what follows is torn.
    pub whole: usize,
    /// Stretches of damage with whole frames behind them.
    pub damaged: u64,
    is_damaged: bool,
}

impl Cursor {
    /// At the first frame.
    pub const fn at(start: usize) -> Self {
        Self {
            at: start,
            whole: start,
            damaged: 0,
            is_damaged: false,
        }
    }

    /// The next whole frame and its content.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Option<(Header, &'a [u8])> {
        loop {
            let rest = bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
            let Some((header, length, checksum)) = head(rest) else {
                // Behind the first byte, for this mark is none.
                let after = rest.get(1..)?;
                let found = memchr::memmem::find(after, &MARK);
                self.is_damaged = true;
                self.at = found.map_or(bytes.len(), |found| self.at + 1 + found);
                continue;
            };
            let end = HEADER.checked_add(length)?;
            // Longer than the file: being written, or torn.
            let content = rest.get(HEADER..end)?;
            self.at += end;
            if crc32fast::hash(content) != checksum {
                self.is_damaged = true;
                continue;
            }
            self.damaged += u64::from(self.is_damaged);
            self.is_damaged = false;
            self.whole = self.at;
            return Some((header, content));
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn frames(contents: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            let header = Header {
                kind: Kind::Interval,
                start_ms: number as u64,
                end_ms: number as u64 + 1,
                aged_ms: 9,
            };
            put(&mut bytes, header, content).unwrap();
        }
        bytes
    }

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, Cursor) {
        let mut cursor = Cursor::at(0);
        let mut contents = Vec::new();
        while let Some((_, content)) = cursor.next(bytes) {
            contents.push(content.to_vec());
        }
        (contents, cursor)
    }

    /// The layout is what its description says, byte for byte.
    #[test]
    fn keeps_the_format() {
        let bytes = frames(&[b"abc".to_vec()]);
        assert_eq!(bytes.len(), 44 + 3);
        assert_eq!(&bytes[..12], b"\xf5MTf\x02\0\0\0\x03\0\0\0");
        assert_eq!(bytes[36..40], crc32fast::hash(b"abc").to_le_bytes());
        assert_eq!(bytes[40..44], crc32fast::hash(&bytes[..40]).to_le_bytes());
    }

    proptest! {
        /// A file cut anywhere gives its first frames whole, and says where they end.
        #[test]
        fn a_cut_leaves_a_prefix(contents in vec(vec(any::<u8>(), 0..40), 0..6), cut in any::<prop::sample::Index>()) {
            let bytes = frames(&contents);
            let cut = cut.index(bytes.len() + 1);
            let (found, cursor) = read(&bytes[..cut]);
            prop_assert_eq!(&found[..], &contents[..found.len()]);
            prop_assert_eq!(cursor.whole, frames(&found).len());
            prop_assert_eq!(cursor.damaged, 0);
            let next = contents.get(found.len()).map_or(1, |next| next.len() + HEADER);
            prop_assert!(cut - cursor.whole < next);
        }

        /// One byte changed takes one frame away, which is counted, and none beside it.
        #[test]
        fn damage_takes_one_frame(contents in vec(vec(any::<u8>(), 0..40), 1..6), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = frames(&contents);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let (found, cursor) = read(&bytes);
            let mut start = 0;
            let hit = contents.iter().position(|it| { start += HEADER + it.len(); start > at }).unwrap();
            let mut left = contents.clone();
            left.remove(hit);
            prop_assert_eq!(found, left);
            prop_assert_eq!(cursor.damaged, u64::from(hit + 1 < contents.len()));
        }
    }
}
