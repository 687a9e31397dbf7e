//! How long to wait after a failure. Pure: chance comes from outside.

use std::time::Duration;

/// After the first failure.
pub const FIRST: Duration = Duration::from_secs(1);

/// Never longer of ourselves.
pub const LONGEST: Duration = Duration::from_secs(120);

/// Nor when a server asks for it: it may be wrong, or hostile.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(900);

/// The waiting of one lane.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after one more failure: twice as long as before, of which half is by
    /// `chance` (0 to 1), so that many hosts do not come back together. A server that says how
    /// long to wait is waited for at least that long.
    pub fn failed(&mut self, chance: f64, retry_after: Option<Duration>) -> Duration {
        let doubled = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let half = doubled.min(LONGEST) / 2;
        let own = half + half.mul_f64(chance.clamp(0.0, 1.0));
        own.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
    }

    /// A message was taken: begin again with short waits.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Waits double up to the longest, and begin again after a success.
    #[test]
    fn doubles() {
        let mut backoff = Backoff::default();
        let waits = [1, 2, 4, 8, 16, 32, 64, 120, 120].map(Duration::from_secs);
        for wait in waits {
            assert_eq!(backoff.failed(1.0, None), wait);
        }
        backoff.succeeded();
        assert_eq!(backoff.failed(0.0, None), FIRST / 2);
    }

    proptest! {
        /// Whatever chance and servers say, a wait is between half a second and a quarter of an
        /// hour, and not shorter than what the server asked for within that.
        #[test]
        fn is_bounded(
            failures in proptest::collection::vec((any::<f64>(), any::<Option<u64>>()), 0..200),
        ) {
            let mut backoff = Backoff::default();
            for (chance, asked) in failures {
                let chance = if chance.is_nan() { 0.0 } else { chance };
                let asked = asked.map(Duration::from_secs);
                let wait = backoff.failed(chance, asked);
                prop_assert!(wait >= FIRST / 2 && wait <= RETRY_AFTER_MAX);
                prop_assert!(wait >= asked.unwrap_or_default().min(RETRY_AFTER_MAX));
                if asked.is_none() {
                    prop_assert!(wait <= LONGEST);
                }
            }
        }
    }
}
