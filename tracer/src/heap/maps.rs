//! The target's mappings, as far as a heap walk needs to know them.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// How far `brk` may come while a heap is looked at.
const BREAK_GROWTH: u64 = 1 << 30;

/// What may be in a mapping, for the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Memory of no file.
    Anonymous,
    /// What `brk` moves the end of.
    Break,
    /// Writable data of the object that glibc's malloc is in.
    Library,
}

/// A private mapping that may be read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// What may be in it.
    pub kind: Kind,
}

/// The mappings, by address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mappings(pub Vec<Mapping>);

impl Mappings {
    /// The mapping that holds an address.
    #[must_use]
    pub fn at(&self, address: u64) -> Option<&Mapping> {
        let index = self.0.partition_point(|it| it.end <= address);
        self.0.get(index).filter(|it| it.start <= address)
    }

    /// Whether all of `[start, end)` is mapped, by one or by neighbours.
    #[must_use]
    pub fn hold(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            match self.at(at) {
                Some(mapping) => at = mapping.end,
                None => return false,
            }
        }
        start <= end
    }

    /// Where `brk` may have come to since they were read: a busy program does not wait.
    #[must_use]
    pub fn break_room(&self) -> Range<u64> {
        let Some(last) = self.0.iter().rposition(|it| it.kind == Kind::Break) else {
            return 0..0;
        };
        let next = self.0.get(last + 1).map_or(u64::MAX, |it| it.start);
        let start = self.0.get(last).map_or(0, |it| it.end);
        start..start.saturating_add(BREAK_GROWTH).min(next)
    }

    /// The same with `brk`'s memory up to an address, if it may have come there.
    #[must_use]
    pub fn with_break_to(&self, end: u64) -> Self {
        let mut longer = self.clone();
        let room = self.break_room();
        let last = longer.0.iter_mut().rfind(|it| it.kind == Kind::Break);
        if let Some(last) = last
            && (room.start..=room.end).contains(&end)
        {
            last.end = end;
        }
        longer
    }

    /// Mappings of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Mapping> {
        self.0.iter().filter(move |it| it.kind == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `brk` adds meanwhile belongs to it, as far as nothing else is there.
    #[test]
    fn the_break_moves_on() {
        let of = |start, end, kind| Mapping { start, end, kind };
        let mappings = Mappings(vec![
            of(0x1000, 0x2000, Kind::Library),
            of(0x4000, 0x8000, Kind::Break),
            of(0x20000, 0x21000, Kind::Anonymous),
        ]);
        assert_eq!(mappings.break_room(), 0x8000..0x20000);
        let ends = |end| mappings.with_break_to(end).0[1].end;
        assert_eq!([ends(0x9000), ends(0x20000)], [0x9000, 0x20000]);
        assert_eq!([ends(0x20001), ends(0x5000)], [0x8000, 0x8000]);
        let behind = Mappings(vec![of(0x4000, 0x8000, Kind::Break)]);
        assert_eq!(behind.break_room(), 0x8000..0x8000 + BREAK_GROWTH);
        assert!(Mappings::default().break_room().is_empty());
    }
}
