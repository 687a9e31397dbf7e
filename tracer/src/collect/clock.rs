//! The two clocks of a report.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

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
        let (days, ms) = (self.utc_ms / 86_400_000, self.utc_ms % 86_400_000);
        let (year, month, day) = civil(days as i64);
        let (seconds, ms) = (ms / 1000, ms % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
    }
}

/// Now, RFC 3339, UTC.
#[must_use]
pub fn utc_now() -> String {
    Moment::now().rfc3339()
}

/// Days since 1970-01-01 to a date of the proleptic Gregorian calendar
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
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
