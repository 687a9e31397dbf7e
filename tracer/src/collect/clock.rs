//! The two clocks of a report.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::model::utc;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// `CLOCK_MONOTONIC`, ns: what the kernel side stamps blocks with.
    pub monotonic_ns: u64,
    /// Since 1970, UTC, ms.
    pub utc_ms: u64,
}

impl Moment {
    /// Now.
    pub fn now() -> Self {
        let monotonic = clock_gettime(ClockId::Monotonic);
        let utc = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            monotonic_ns: monotonic.tv_sec as u64 * 1_000_000_000 + monotonic.tv_nsec as u64,
            utc_ms: utc.as_millis() as u64,
        }
    }

    /// Milliseconds since this moment: what blocks are stamped with.
    pub fn mark(self) -> u32 {
        (Self::now().monotonic_ns.saturating_sub(self.monotonic_ns) / 1_000_000) as u32
    }

    /// RFC 3339 with milliseconds, `2026-11-20T19:24:50.123Z`.
    pub fn rfc3339(self) -> String {
        utc::rfc3339(self.utc_ms)
    }
}

/// Now, RFC 3339, UTC.
#[must_use]
pub fn utc_now() -> String {
    Moment::now().rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments print as `date -u` prints them, across leap days and centuries.
    #[test]
    fn prints_dates() {
        for (utc_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_251_199_999, "2024-02-29T23:59:59.999Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(
                Moment {
                    monotonic_ns: 0,
                    utc_ms
                }
                .rfc3339(),
                text
            );
        }
    }
}
