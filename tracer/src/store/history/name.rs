//! Names of the files of a history. Everything else in the directory is left alone.
//!
//! `000000000007-000000000012.1` is a segment of level 1 in the place of segments 7 to 12:
//! whoever sees both counts the one of the higher level, so that a crash between its
//! appearing and their removal counts nothing twice. `ID.look` tells of a closer look,
//! `ID.memtrace` is its recording, `*.part` is not whole.

use std::fmt;

use crate::model::host::LookId;

/// How fine a segment is; its number in file names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// As it was written.
    Fine,
    /// Minutes.
    Minutes,
    /// Ten minutes; stays so.
    TenMinutes,
}

impl Level {
    /// What compaction makes of it.
    pub const fn coarser(self) -> Option<Self> {
        match self {
            Self::Fine => Some(Self::Minutes),
            Self::Minutes => Some(Self::TenMinutes),
            Self::TenMinutes => None,
        }
    }

    /// Intervals that begin within one such stretch become one.
    pub const fn stretch_ms(self) -> u64 {
        match self {
            Self::Fine => 1,
            Self::Minutes => 60_000,
            Self::TenMinutes => 600_000,
        }
    }

    fn of(text: &str) -> Option<Self> {
        match text {
            "0" => Some(Self::Fine),
            "1" => Some(Self::Minutes),
            "2" => Some(Self::TenMinutes),
            _ => None,
        }
    }
}

/// A segment's name: the numbers of the segments that it stands for, and how fine it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// The first; in order of writing.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// How fine.
    pub level: Level,
}

impl SegmentName {
    /// Of a segment that is to be written.
    pub const fn new(number: u64) -> Self {
        Self {
            first: number,
            last: number,
            level: Level::Fine,
        }
    }

    /// `None`: not a segment's.
    pub fn parse(name: &str) -> Option<Self> {
        let (numbers, level) = name.split_once('.')?;
        let (first, last) = numbers.split_once('-')?;
        let number = |text: &str| {
            let is_number = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_number)
        };
        let level = Level::of(level)?;
        let (first, last) = (number(first)?, number(last)?);
        (first <= last).then_some(Self { first, last, level })
    }

    /// Whether the other's content is in this one.
    pub fn replaces(&self, other: &Self) -> bool {
        self.level > other.level && self.first <= other.first && other.last <= self.last
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:012}-{:012}.{}",
            self.first, self.last, self.level as u8
        )
    }
}

/// Those that count, in order of writing; and those that are replaced.
pub fn in_order(mut names: Vec<SegmentName>) -> (Vec<SegmentName>, Vec<SegmentName>) {
    // The one that replaces comes before what it replaces.
    names.sort_unstable_by_key(|name| (name.first, std::cmp::Reverse((name.last, name.level))));
    let mut kept: Vec<SegmentName> = Vec::with_capacity(names.len());
    let mut replaced = Vec::new();
    for name in names {
        match kept.last() {
            Some(last) if last.replaces(&name) => replaced.push(name),
            _ => kept.push(name),
        }
    }
    (kept, replaced)
}

/// The id as the stem of a file's name; `None` for one that is none: with anything but
/// digits, letters and hyphens, empty, or long.
pub fn look_stem(id: &LookId) -> Option<&str> {
    let stem = id.0.as_str();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_good = (1..=64).contains(&stem.len()) && stem.bytes().all(is_plain);
    is_good.then_some(stem)
}

/// What ends the name of a file that is not whole.
pub const PART: &str = ".part";
/// What ends the name of what tells of a look.
pub const LOOK: &str = ".look";
/// What ends the name of a recording.
pub const RECORDING: &str = ".memtrace";

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Names read as they are written, and nothing else reads as one.
    #[test]
    fn reads_names() {
        let name = SegmentName {
            first: 7,
            last: 12,
            level: Level::Minutes,
        };
        assert_eq!(name.to_string(), "000000000007-000000000012.1");
        assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        for other in [
            "7-12.1",
            "000000000012-000000000007.1",
            "000000000007-000000000012.3",
            "000000000007-000000000012.1.part",
            "+00000000007-000000000012.1",
            "lock",
            "",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }

    /// Of a segment and what it was made from, only it counts, whatever a crash left behind.
    #[test]
    fn what_is_replaced_does_not_count() {
        let parse = |text: &str| {
            let (numbers, level) = text.split_once('.').unwrap();
            let (first, last) = numbers.split_once('-').unwrap();
            SegmentName {
                first: first.parse().unwrap(),
                last: last.parse().unwrap(),
                level: Level::of(level).unwrap(),
            }
        };
        let all = [
            "4-4.0", "1-1.1", "2-3.1", "1-3.2", "2-2.0", "5-5.1", "5-5.0", "6-6.0",
        ];
        let (kept, replaced) = in_order(all.map(parse).to_vec());
        assert_eq!(kept, ["1-3.2", "4-4.0", "5-5.1", "6-6.0"].map(parse));
        assert_eq!(replaced, ["1-1.1", "2-3.1", "2-2.0", "5-5.0"].map(parse));
    }

    /// No id of a look leads out of the directory, or to another kind of file.
    #[test]
    fn looks_are_no_paths() {
        let stem = |text: &str| look_stem(&LookId(text.to_owned())).map(str::to_owned);
        assert_eq!(
            stem("20261122T093500Z-1234").unwrap(),
            "20261122T093500Z-1234"
        );
        for bad in ["", ".", "..", "../x", "a/b", "a.look", "a\0", "ä", "a b"] {
            assert_eq!(stem(bad), None, "{bad:?}");
        }
        assert_eq!(stem(&"x".repeat(65)), None);
    }
}
