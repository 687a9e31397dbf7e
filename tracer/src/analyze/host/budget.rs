//! What closer looks may cost, and when the next one fits.

use std::collections::VecDeque;

use super::thresholds::{LEDGER_SECONDS, LOOK_SHARE_LEAST, LOOK_SHARE_MOST};

/// What was spent within the last hour. The budget is kept over that hour: a look may
/// take more while it lasts, and then there is none until it is paid for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    /// When, s, and how much processor time, s; oldest first.
    entries: VecDeque<(f64, f64)>,
}

impl Ledger {
    /// Books what a look took.
    pub fn book(&mut self, now: f64, seconds: f64) {
        self.forget(now);
        self.entries.push_back((now, seconds.max(0.0)));
    }

    /// Processor time that was spent within the last hour, s.
    #[must_use]
    pub fn spent(&self, now: f64) -> f64 {
        let within = self.entries.iter().filter(|it| now - it.0 < LEDGER_SECONDS);
        within.map(|it| it.1).sum()
    }

    /// The part of one processor that a look of `window` seconds may take while it lasts, of
    /// a budget of such a part on average, if it takes `fixed` seconds besides. `None`:
    /// not yet.
    #[must_use]
    pub fn share(&self, now: f64, budget: f64, window: f64, fixed: f64) -> Option<f64> {
        let left = budget * LEDGER_SECONDS - self.spent(now) - fixed;
        let share = (left / window.max(1.0)).min(LOOK_SHARE_MOST);
        (share >= LOOK_SHARE_LEAST).then_some(share)
    }

    /// When what was booked, s and s, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = (f64, f64)> {
        self.entries.iter().copied()
    }

    fn forget(&mut self, now: f64) {
        while self
            .entries
            .front()
            .is_some_and(|it| now - it.0 >= LEDGER_SECONDS)
        {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A hundredth of a processor is 36 s an hour: two looks of a minute that take a fifth
    /// fit, a third does not, and an hour later it does.
    #[test]
    fn looks_are_spaced() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.share(0.0, 0.01, 60.0, 3.0), Some(LOOK_SHARE_MOST));
        ledger.book(60.0, 15.0);
        assert_eq!(ledger.share(60.0, 0.01, 60.0, 3.0), Some(LOOK_SHARE_MOST));
        ledger.book(120.0, 15.0);
        assert_eq!(
            ledger
                .share(120.0, 0.01, 60.0, 3.0)
                .map(|it| (it * 100.0) as u32),
            Some(5)
        );
        ledger.book(180.0, 6.0);
        assert_eq!(ledger.share(180.0, 0.01, 60.0, 3.0), None);
        assert_eq!(ledger.share(3700.0, 0.01, 60.0, 3.0), Some(0.2));
        // Longer windows take a smaller part.
        let long = Ledger::default().share(0.0, 0.01, 960.0, 3.0);
        assert!(long.is_some_and(|it| it < 0.035));
    }

    proptest! {
        /// Whoever takes what the ledger allows stays under the budget in every hour.
        #[test]
        fn the_budget_is_kept(
            budget in 0.001..0.5_f64,
            windows in proptest::collection::vec(1.0..1000.0_f64, 1..200),
        ) {
            let mut ledger = Ledger::default();
            let mut now = 0.0;
            let mut all: Vec<(f64, f64)> = Vec::new();
            for window in windows {
                now += window;
                if let Some(share) = ledger.share(now, budget, window, 1.0) {
                    now += window;
                    let cost = share * window + 1.0;
                    ledger.book(now, cost);
                    all.push((now, cost));
                }
            }
            for (at, _) in &all {
                let hour = all.iter().filter(|it| it.0 <= *at && at - it.0 < LEDGER_SECONDS);
                let spent: f64 = hour.map(|it| it.1).sum();
                prop_assert!(spent <= budget * LEDGER_SECONDS + 1e-6);
            }
        }
    }
}
