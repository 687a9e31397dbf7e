//! What happened on a host.

use serde::{Deserialize, Serialize};

use super::{LineId, LookId};

/// Something that happened at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at_ms: u64,
    /// To whom; `None`: to the host, or to memtrace.
    pub line: Option<LineId>,
    /// What.
    pub what: Happening,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A line's process ended and another took its place.
    Restarted {
        /// The one that ended.
        old_pid: u32,
        /// The other.
        new_pid: u32,
        /// What was resident when the first was last seen.
        resident_bytes: u64,
    },
    /// Killed for want of memory.
    OutOfMemory {
        /// Whom the kernel chose.
        pid: u32,
        /// Its program.
        name: String,
        /// What was resident.
        resident_bytes: u64,
    },
    /// It was for a short while much larger than before.
    Spike {
        /// The highest mark.
        peak_bytes: u64,
        /// What is usual for it.
        usual_bytes: u64,
    },
    /// Its troughs rise.
    Grows {
        /// How fast.
        #[serde(serialize_with = "crate::model::seconds::serialize")]
        bytes_per_second: f64,
    },
    /// A closer look at it began.
    LookBegan,
    /// And ended: with a report, if it has an id.
    LookEnded {
        /// See [`super::CloserLook`].
        look: Option<LookId>,
        /// Its verdict's summary, or why there is none.
        summary: String,
    },
    /// Nothing is known of a stretch of time.
    Gap {
        /// How long.
        ms: u64,
        /// Why: memtrace did not run, the clock was set, the machine stood still.
        why: String,
    },
}
