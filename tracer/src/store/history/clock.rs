//! The age clock: how old a piece of history is, where the wall clock cannot be trusted.
//!
//! It never goes back, and follows the wall clock forward. A leap of more than [`LEAP_MS`] is
//! believed once the wall clock has gone on from there for as long: a clock that is wrong for
//! a moment (a machine without a battery that starts in 1970, a time server that errs) must
//! not make the whole history too old to keep. Until then, and while the wall clock is
//! behind, it goes on by the length of what is written.

/// More than this between two intervals is a leap, ms.
const LEAP_MS: u64 = 3_600_000;

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct AgeClock {
    now_ms: u64,
    /// After a leap: the wall clock at the first interval behind it, and at the last.
    leap: Option<(u64, u64)>,
}

impl AgeClock {
    /// Goes on where the newest of the history was written.
    pub const fn from(now_ms: u64) -> Self {
        Self { now_ms, leap: None }
    }

    /// The age of what was written when the clock stood there.
    pub const fn age_of(&self, aged_ms: u64) -> u64 {
        self.now_ms.saturating_sub(aged_ms)
    }

    /// Now.
    pub const fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// An interval is written.
    pub fn advance(&mut self, start_ms: u64, end_ms: u64) {
        let lasted = end_ms.saturating_sub(start_ms).min(LEAP_MS);
        let near = self.now_ms.saturating_add(LEAP_MS);
        if self.now_ms == 0 || (self.now_ms..=near).contains(&end_ms) {
            *self = Self::from(end_ms);
            return;
        }
        if end_ms < self.now_ms {
            // Not far behind: it will come up to us.
            if self.now_ms - end_ms > LEAP_MS {
                self.now_ms = self.now_ms.saturating_add(lasted);
            }
            self.leap = None;
            return;
        }
        let goes_on =
            |&(_, last): &(u64, u64)| (last..=last.saturating_add(LEAP_MS)).contains(&end_ms);
        let (first, _) = self.leap.filter(goes_on).unwrap_or((end_ms, end_ms));
        self.now_ms = self.now_ms.saturating_add(lasted);
        self.leap = Some((first, end_ms));
        if end_ms - first >= LEAP_MS {
            *self = Self::from(end_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const TODAY: u64 = 1_795_000_000_000;

    fn run(clock: &mut AgeClock, from: u64, intervals: u64) -> u64 {
        for number in 0..intervals {
            clock.advance(from + number * 10_000, from + (number + 1) * 10_000);
        }
        clock.now_ms()
    }

    /// It goes with a wall clock that goes.
    #[test]
    fn follows() {
        let mut clock = AgeClock::default();
        assert_eq!(run(&mut clock, TODAY, 100), TODAY + 1_000_000);
        // A daemon that did not run for a while.
        assert_eq!(run(&mut clock, TODAY + HOUR, 1), TODAY + HOUR + 10_000);
    }

    /// A clock that stands wrong for a while, in the past or the future, ages nothing.
    #[test]
    fn does_not_follow_astray() {
        for wrong in [0, TODAY - 100 * HOUR, TODAY + 100_000 * HOUR] {
            let mut clock = AgeClock::from(TODAY);
            assert_eq!(run(&mut clock, wrong, 300), TODAY + 3_000_000);
            let back = TODAY + 3_000_000;
            assert_eq!(run(&mut clock, back, 10), back + 100_000);
        }
    }

    /// After an hour the new time is believed, so that a machine that stood still for a month
    /// does keep no more than it should.
    #[test]
    fn believes_after_an_hour() {
        let mut clock = AgeClock::from(TODAY);
        let later = TODAY + 720 * HOUR;
        assert_eq!(run(&mut clock, later, 360), TODAY + HOUR);
        assert_eq!(run(&mut clock, later + HOUR, 1), later + HOUR + 10_000);
    }
}
