//! The target's mappings, as far as a heap walk needs to know them.

use serde::{Deserialize, Serialize};

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

    /// Mappings of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Mapping> {
        self.0.iter().filter(move |it| it.kind == kind)
    }
}
