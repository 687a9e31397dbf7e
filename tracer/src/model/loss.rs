//! What a trace could not see or keep.

use serde::{Deserialize, Serialize};

/// Calls and bytes lost to one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Why.
    pub cause: LossCause,
    /// How many calls.
    #[serde(with = "super::wide")]
    pub calls: u64,
    /// Requested bytes of these calls, `None` where they are unknown.
    #[serde(with = "super::wide::option")]
    pub bytes: Option<u64>,
}

/// Why something was lost. Readers must expect causes they do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossCause {
    /// Blocks that found the ledger full: missing from live bytes.
    LedgerFull,
    /// Blocks for which the kernel had no memory at hand: missing from live bytes.
    LedgerOutOfMemory,
    /// Blocks counted in the totals whose stacks found no room.
    SiteTableFull,
    /// Blocks counted in the totals whose stack's hash was another stack's.
    StackCollision,
    /// Blocks counted in the totals whose stack could not be read.
    StackUnreadable,
    /// Calls that were entered and whose return was never seen.
    MissedReturn,
    /// Frees that were not seen: another block was allocated at the address.
    UnseenFree,
    /// Calls of threads beyond the thread table.
    ThreadTableFull,
    /// `posix_memalign` results that could not be read.
    ResultUnreadable,
    /// Stacks deeper than 127 frames: the outermost frames are missing.
    StackTruncated,
    /// Changes of mappings that were not told: who mapped what is unknown.
    MappingDropped,
    /// Probe hits that the kernel skipped.
    ProbeMissed,
    /// Ledger and site counters disagree: a fault in memtrace or the kernel.
    LedgerMismatch,
    /// A cause of a newer memtrace.
    #[serde(other)]
    Unknown,
}

impl LossCause {
    /// In two or three words, for a line that has no room for [`Self::describe`].
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::LedgerFull => "ledger full",
            Self::LedgerOutOfMemory => "ledger out of memory",
            Self::SiteTableFull => "site table full",
            Self::StackCollision => "stack collision",
            Self::StackUnreadable => "stack unreadable",
            Self::MissedReturn => "missed return",
            Self::UnseenFree => "unseen free",
            Self::ThreadTableFull => "thread table full",
            Self::ResultUnreadable => "result unreadable",
            Self::StackTruncated => "stack truncated",
            Self::MappingDropped => "mapping dropped",
            Self::ProbeMissed => "probe missed",
            Self::LedgerMismatch => "ledger mismatch",
            Self::Unknown => "unknown cause",
        }
    }

    /// For people: what happened to the calls.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::LedgerFull => "not recorded: the ledger is full (raise --max-blocks)",
            Self::LedgerOutOfMemory => "not recorded: the kernel had no memory for the ledger",
            Self::SiteTableFull => {
                "counted without a stack: the site table is full (raise --max-sites)"
            }
            Self::StackCollision => "counted without a stack: hash collision",
            Self::StackUnreadable => "counted without a stack: the stack could not be read",
            Self::MissedReturn => "not recorded: the allocator call never returned",
            Self::UnseenFree => "freed unseen: the address was allocated again",
            Self::ThreadTableFull => "not recorded: too many threads",
            Self::ResultUnreadable => "not recorded: the result could not be read",
            Self::StackTruncated => "recorded with a stack cut at 127 frames",
            Self::MappingDropped => {
                "mapping calls too many to follow: mapped bytes are right, who mapped them is not"
            }
            Self::ProbeMissed => "not recorded: the kernel skipped the probe",
            Self::LedgerMismatch => "ledger and counters disagree (please report this)",
            Self::Unknown => "a cause this version does not know",
        }
    }
}
