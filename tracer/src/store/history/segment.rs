//! A segment: intervals in order of writing, with the stacks that they speak of. Pure: bytes
//! in, intervals out, and the reverse.
//!
//! 16 bytes stand at its begin: the magic `\x89MTH\r\n\x1a\n`, the version, 1, and the CRC-32
//! of these twelve. Then come [frames](super::frame). A segment to which nothing is added any
//! more ends with an [`Kind::End`], whose header covers all of it and whose content is the
//! number of intervals, 4 bytes: whether a segment has anything of a time is known
//! from its last [`END`] bytes.

use std::io;

use crate::model::host::Interval;

use super::{
    codec,
    frame::{self, Cursor, Header, Kind},
    stacks::{Interner, New, Stored, Table},
};

const MAGIC: [u8; 8] = *b"\x89MTH\r\n\x1a\n";
const VERSION: u32 = 1;
/// Bytes before the first frame.
pub const START: usize = 16;
/// Bytes of the last frame of a complete segment.
pub const END: usize = frame::HEADER + 4;

/// Which intervals are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// Every one.
    All,
    /// Those that end after the first and begin before the second, Unix ms.
    Time(u64, u64),
}

impl Within {
    const fn has(self, start_ms: u64, end_ms: u64) -> bool {
        match self {
            Self::All => true,
            Self::Time(from_ms, to_ms) => end_ms > from_ms && start_ms < to_ms,
        }
    }
}

/// What a segment is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Intervals in it.
    pub intervals: u32,
    /// The earliest begin.
    pub start_ms: u64,
    /// The latest end.
    pub end_ms: u64,
    /// The age clock at the last one.
    pub aged_ms: u64,
}

impl Summary {
    /// Another interval.
    pub fn add(&mut self, header: &Header) {
        if self.intervals == 0 {
            (self.start_ms, self.end_ms) = (header.start_ms, header.end_ms);
        }
        self.start_ms = self.start_ms.min(header.start_ms);
        self.end_ms = self.end_ms.max(header.end_ms);
        self.aged_ms = self.aged_ms.max(header.aged_ms);
        self.intervals = self.intervals.saturating_add(1);
    }

    /// Whether it can have anything of that time.
    pub const fn touches(&self, within: Within) -> bool {
        self.intervals > 0 && within.has(self.start_ms, self.end_ms)
    }

    /// From the last [`END`] bytes of a segment; `None`: it is not complete.
    pub fn of_end(end: &[u8]) -> Option<Self> {
        let (header, content) = Cursor::at(0).next(end)?;
        let intervals = content.try_into().ok().map(u32::from_le_bytes)?;
        (header.kind == Kind::End && end.len() == END).then_some(Self {
            intervals,
            start_ms: header.start_ms,
            end_ms: header.end_ms,
            aged_ms: header.aged_ms,
        })
    }

    /// The last frame.
    pub fn to_end(self) -> Vec<u8> {
        let header = Header {
            kind: Kind::End,
            start_ms: self.start_ms,
            end_ms: self.end_ms,
            aged_ms: self.aged_ms,
        };
        let mut bytes = Vec::with_capacity(END);
        // Four bytes are not too long.
        let _ = frame::put(&mut bytes, header, &self.intervals.to_le_bytes());
        bytes
    }
}

/// The first bytes of a segment.
pub fn start() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// What the first bytes of a file tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A segment that can be read.
    Good,
    /// A newer memtrace's.
    Newer,
    /// None, or torn. Frames may follow all the same.
    Damaged,
}

/// See there.
pub fn check_start(bytes: &[u8]) -> Start {
    let Some((start, _)) = bytes.split_at_checked(START) else {
        return Start::Damaged;
    };
    if start == self::start() {
        return Start::Good;
    }
    let (covered, checksum) = start.split_at(START - 4);
    let is_sound = crc32fast::hash(covered).to_le_bytes() == checksum;
    if is_sound && covered.starts_with(&MAGIC) {
        Start::Newer
    } else {
        Start::Damaged
    }
}

/// An interval as bytes, to be written in one piece, and the stacks that are with it.
pub struct Encoded {
    /// One frame, or two.
    pub bytes: Vec<u8>,
    /// The interval's.
    pub header: Header,
    /// For [`Interner::commit`], once the bytes are written.
    pub new: New,
}

/// # Errors
/// It is too large to be read again.
pub fn encode(interner: &Interner, interval: &Interval, aged_ms: u64) -> io::Result<Encoded> {
    let (packed, new) = interner.pack(interval);
    let header = Header {
        kind: Kind::Interval,
        start_ms: interval.start_ms,
        end_ms: interval.end_ms,
        aged_ms,
    };
    let too_large = || io::Error::from(io::ErrorKind::FileTooLarge);
    let mut bytes = Vec::new();
    if !new.stacks.is_empty() {
        let kind = Kind::Stacks;
        let content = codec::pack(&new.stacks)?;
        frame::put(&mut bytes, Header { kind, ..header }, &content).ok_or_else(too_large)?;
    }
    frame::put(&mut bytes, header, &codec::pack(&packed)?).ok_or_else(too_large)?;
    Ok(Encoded { bytes, header, new })
}

/// Reads a segment from its bytes, whatever they are.
#[derive(Debug)]
pub struct Reader<B> {
    bytes: B,
    cursor: Cursor,
    table: Table,
    undecodable: u64,
    /// Of the intervals that were passed.
    pub summary: Summary,
}

impl<B: AsRef<[u8]>> Reader<B> {
    /// At the first interval. Damage at the start is passed over as any.
    pub fn new(bytes: B) -> Self {
        let is_good = check_start(bytes.as_ref()) == Start::Good;
        Self {
            bytes,
            cursor: Cursor::at(if is_good { START } else { 0 }),
            table: Table::default(),
            undecodable: 0,
            summary: Summary::default(),
        }
    }

    /// The next interval within the time, and the age clock at it. Others are not unpacked.
    pub fn next(&mut self, within: Within) -> Option<(Interval, u64)> {
        loop {
            let (header, content) = self.cursor.next(self.bytes.as_ref())?;
            match header.kind {
                Kind::Stacks => match codec::unpack::<Vec<Stored>>(content) {
                    Some(stacks) => self.table.add(stacks),
                    None => self.undecodable += 1,
                },
                Kind::Interval => {
                    self.summary.add(&header);
                    if !within.has(header.start_ms, header.end_ms) {
                        continue;
                    }
                    match codec::unpack(content) {
                        Some(packed) => return Some((self.table.unpack(packed), header.aged_ms)),
                        None => self.undecodable += 1,
                    }
                }
                Kind::End | Kind::Unknown(_) => {}
            }
        }
    }

    /// Stretches of damage passed so far.
    pub fn damaged(&self) -> u64 {
        self.cursor.damaged + self.undecodable
    }

    /// Where the last whole frame ends, once there is no next.
    pub fn whole(&self) -> usize {
        self.cursor.whole
    }

    /// Bytes behind it.
    pub fn torn(&self) -> usize {
        self.bytes.as_ref().len().saturating_sub(self.whole())
    }

    /// For a writer that goes on with this segment.
    pub fn interner(&self) -> Interner {
        self.table.interner()
    }
}
