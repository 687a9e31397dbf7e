//! By what time a difference is divided.

use super::Change;
use crate::model::Window;

/// Two windows that differ by less than this are of one length, seconds.
const SHORTEST: f64 = 1.0;

/// What a difference per second is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Both were traced from the first allocation, the second so many seconds longer
    /// (shorter, if below 0): per second of these.
    Distance(f64),
    /// The windows begin in mid-run and share no blocks: what the second kept in each of
    /// its seconds, less what the first did in its own.
    Windows {
        /// Length of the first, s.
        before: f64,
        /// Of the second, s.
        after: f64,
    },
    /// Traced equally long from the first allocation, or a window has no length.
    Unknown,
}

impl Pace {
    /// Of these windows.
    #[must_use]
    pub fn of(before: &Window, after: &Window) -> Self {
        let distance = after.seconds - before.seconds;
        let has_length = |window: &Window| window.seconds.is_finite() && window.seconds > 0.0;
        if !has_length(before) || !has_length(after) {
            Self::Unknown
        } else if !(before.from_start && after.from_start) {
            Self::Windows {
                before: before.seconds,
                after: after.seconds,
            }
        } else if distance.abs() >= SHORTEST {
            Self::Distance(distance)
        } else {
            Self::Unknown
        }
    }

    /// Bytes per second of this change.
    #[must_use]
    pub fn bytes_per_second(&self, change: &Change) -> Option<f64> {
        match self {
            Self::Distance(seconds) => Some(change.bytes() as f64 / seconds),
            Self::Windows { before, after } => {
                Some(change.after.bytes as f64 / after - change.before.bytes as f64 / before)
            }
            Self::Unknown => None,
        }
    }
}
