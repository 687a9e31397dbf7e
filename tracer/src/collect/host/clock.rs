//! The daemon's clocks, and stretches of which nothing is known.

use rustix::time::{ClockId, clock_gettime};

use super::line::Now;
use crate::{
    collect::clock::Moment,
    model::host::{Event, Happening},
};

/// The wall clock may move so far against the other between two looks, ms: NTP slews by half
/// a millisecond a second (adjtimex(2)).
const SLEW_MS: u64 = 2000;
/// A look that comes so many times later than it should have is a gap.
const LATE: u64 = 3;

/// Now, on both clocks.
#[must_use]
pub fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    Now {
        boot_ns: (boot.tv_sec as u64).saturating_mul(1_000_000_000) + boot.tv_nsec as u64,
        utc_ms: Moment::now().utc_ms,
    }
}

/// What happened to time between two looks that were to be `every_ms` apart.
#[must_use]
pub fn gap(before: Now, now: Now, every_ms: u64) -> Option<Event> {
    let passed = now.boot_ns.saturating_sub(before.boot_ns) / 1_000_000;
    let expected = before.utc_ms.saturating_add(passed);
    let set = expected.abs_diff(now.utc_ms);
    let (ms, why) = if set > SLEW_MS {
        let how = match now.utc_ms > expected {
            true => "forward",
            false => "back",
        };
        (set, format!("the clock was set {how}"))
    } else if passed > every_ms.saturating_mul(LATE).max(SLEW_MS) {
        (
            passed,
            "the machine stood still, or was too busy for memtrace".to_owned(),
        )
    } else {
        return None;
    };
    Some(Event {
        at_ms: now.utc_ms,
        line: None,
        what: Happening::Gap { ms, why },
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn at(boot_ms: u64, utc_ms: u64) -> Now {
        Now {
            boot_ns: boot_ms * 1_000_000,
            utc_ms,
        }
    }

    fn told(before: Now, now: Now) -> (u64, String) {
        let Happening::Gap { ms, why } = gap(before, now, 10_000).unwrap().what else {
            unreachable!()
        };
        (ms, why)
    }

    /// A clock that was set, either way, and a machine that slept are told apart.
    #[test]
    fn jumps_are_told() {
        let before = at(50_000, 1_000_000);
        assert_eq!(gap(before, at(60_000, 1_010_300), 10_000), None);
        let set = told(before, at(60_000, 4_610_000));
        assert_eq!(set, (3_600_000, "the clock was set forward".to_owned()));
        let back = told(before, at(60_000, 410_000));
        assert_eq!(back, (600_000, "the clock was set back".to_owned()));
        let slept = told(before, at(7_250_000, 8_200_000));
        assert_eq!(slept.0, 7_200_000);
    }

    /// Both clocks of this host go on.
    #[test]
    fn clocks_go_on() {
        let (one, two) = (now(), now());
        assert!(two.boot_ns > one.boot_ns && two.utc_ms >= one.utc_ms);
    }
}
