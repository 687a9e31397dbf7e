//! A closer look: a trace of one process that `memtrace host` made by itself.

use serde::{Deserialize, Serialize};

use super::LineId;
use crate::model::{Level, verdict::Verdict};

/// Names a closer look, and its recording: `20261122T093500Z-1234`, digits, letters and
/// a hyphen only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LookId(pub String);

/// What it was and what came of it. Its whole [`crate::model::Report`] is a recording beside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CloserLook {
    /// Names it.
    pub id: LookId,
    /// At whom.
    pub line: LineId,
    /// Which process of the line.
    pub pid: u32,
    /// Its program.
    pub name: String,
    /// From when.
    pub start_ms: u64,
    /// Until when.
    pub end_ms: u64,
    /// Why it was looked at. A sentence.
    pub reason: String,
    /// How much was recorded.
    pub level: Level,
    /// Of that process; the first is the main one.
    pub verdicts: Vec<Verdict>,
    /// What it took of one processor's time, 0 to 1.
    #[serde(serialize_with = "crate::model::seconds::serialize")]
    pub cost: f64,
}
