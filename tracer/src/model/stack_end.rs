//! Why a stack ends where it does.

use serde::{Deserialize, Serialize};
use tracer_common::unwind::Ending;

/// Why a stack ends where it does. Readers must expect words they do not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StackEnd {
    /// It is whole, to the thread's first function.
    #[default]
    Root,
    /// It is deeper than what is kept: 127 frames, 40 before Linux 5.17.
    Truncated,
    /// The stack could not be read on: it was not in memory.
    Unreadable,
    /// In code that no unwind table tells of and that keeps no frame pointer.
    NoTable,
    /// A rule of the program's unwind table led back down the stack.
    Senseless,
    /// An end of a newer memtrace.
    #[serde(other)]
    Unknown,
}

impl StackEnd {
    /// Whether the stack is whole.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        matches!(self, Self::Root)
    }

    /// As a sentence's end: the stack ends here, …
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Root => "at its root",
            Self::Truncated => "deeper than what is kept",
            Self::Unreadable => "what is above was not in memory",
            Self::NoTable => "its code has neither unwind table nor frame pointer",
            Self::Senseless => "the unwind table makes no sense here",
            Self::Unknown => "for a reason that a newer memtrace knows",
        }
    }
}

impl From<u32> for StackEnd {
    fn from(ending: u32) -> Self {
        const ROOT: u32 = Ending::Root as u32;
        const TRUNCATED: u32 = Ending::Truncated as u32;
        const UNREADABLE: u32 = Ending::Unreadable as u32;
        const NO_RULE: u32 = Ending::NoRule as u32;
        const SENSELESS: u32 = Ending::Senseless as u32;
        match ending {
            ROOT => Self::Root,
            TRUNCATED => Self::Truncated,
            UNREADABLE => Self::Unreadable,
            NO_RULE => Self::NoTable,
            SENSELESS => Self::Senseless,
            _ => Self::Unknown,
        }
    }
}
