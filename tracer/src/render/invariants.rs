//! What holds in every report, checked: `allocated − freed = live`, totals are
//! the sums of the sites, the largest site stands first.
//!
//! For tests and for those who read reports of others. Renders do not rely on
//! it: a damaged recording must be shown as far as it can be.

use crate::model::{Counts, Report};

/// A statement about a report that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// `allocated − freed` is not `live`.
    #[error("{place}: allocated − freed is not live ({counts:?})")]
    Unbalanced {
        /// `totals` or `sites[INDEX]`.
        place: String,
        /// The figures there.
        counts: Counts,
    },
    /// A figure of the totals is not the sum over the sites.
    #[error("totals.{figure} is {total}, the sites add up to {sum}")]
    WrongSum {
        /// The field.
        figure: &'static str,
        /// What the totals say.
        total: u64,
        /// What the sites say; can exceed 64 bits.
        sum: u128,
    },
    /// A site holds more live bytes than the one before it.
    #[error("sites[{index}] has more live bytes than the site before it")]
    Unsorted {
        /// The later one.
        index: usize,
    },
}

/// A figure of [`Counts`] by name.
type Figure = (&'static str, fn(&Counts) -> u64);

const FIGURES: [Figure; 6] = [
    ("live_bytes", |counts| counts.live_bytes),
    ("live_blocks", |counts| counts.live_blocks),
    ("allocated_bytes", |counts| counts.allocated_bytes),
    ("allocated_blocks", |counts| counts.allocated_blocks),
    ("freed_bytes", |counts| counts.freed_bytes),
    ("freed_blocks", |counts| counts.freed_blocks),
];

/// All that does not hold in `report`; empty for a sound one.
#[must_use]
pub fn violations(report: &Report) -> Vec<Violation> {
    let mut found = Vec::new();
    for (index, site) in report.sites.iter().enumerate() {
        if !balanced(&site.counts) {
            found.push(Violation::Unbalanced {
                place: format!("sites[{index}]"),
                counts: site.counts,
            });
        }
    }
    let totals = &report.totals.counts;
    if !balanced(totals) {
        found.push(Violation::Unbalanced {
            place: "totals".to_owned(),
            counts: *totals,
        });
    }
    for (figure, of) in FIGURES {
        let sum = report
            .sites
            .iter()
            .map(|site| u128::from(of(&site.counts)))
            .sum();
        if u128::from(of(totals)) != sum {
            found.push(Violation::WrongSum {
                figure,
                total: of(totals),
                sum,
            });
        }
    }
    for (index, pair) in report.sites.windows(2).enumerate() {
        if let [before, after] = pair
            && before.counts.live_bytes < after.counts.live_bytes
        {
            found.push(Violation::Unsorted { index: index + 1 });
        }
    }
    found
}

fn balanced(counts: &Counts) -> bool {
    counts.allocated_bytes.checked_sub(counts.freed_bytes) == Some(counts.live_bytes)
        && counts.allocated_blocks.checked_sub(counts.freed_blocks) == Some(counts.live_blocks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::sample;

    /// A sound report raises no alarm.
    #[test]
    fn accepts_sound_reports() {
        for report in [sample::small(), sample::troubled(), sample::empty()] {
            assert_eq!(violations(&report), []);
        }
    }

    /// Each invariant, broken alone, is found and named.
    #[test]
    fn finds_each_violation() {
        let mut report = sample::small();
        report.sites[1].counts.freed_bytes += 1;
        report.totals.counts.freed_bytes += 1;
        let places: Vec<String> = violations(&report)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(places.len(), 2, "{places:?}");
        assert!(places[0].starts_with("sites[1]: ") && places[1].starts_with("totals: "));

        let mut report = sample::small();
        report.totals.counts.allocated_blocks += 1;
        report.totals.counts.live_blocks += 1;
        assert_eq!(
            violations(&report),
            [
                Violation::WrongSum {
                    figure: "live_blocks",
                    total: 131,
                    sum: 130
                },
                Violation::WrongSum {
                    figure: "allocated_blocks",
                    total: 214,
                    sum: 213
                },
            ]
        );

        let mut report = sample::small();
        report.sites.swap(0, 1);
        assert_eq!(violations(&report), [Violation::Unsorted { index: 1 }]);
    }

    /// Figures near 2^64 are told from each other, not wrapped.
    #[test]
    fn survives_figures_at_the_limit() {
        let mut report = sample::small();
        for site in &mut report.sites {
            site.counts = Counts::new(u64::MAX, u64::MAX, 0, 0);
        }
        report.totals.counts = Counts::new(u64::MAX - 3, u64::MAX - 3, 0, 0);
        assert!(violations(&report).contains(&Violation::WrongSum {
            figure: "live_bytes",
            total: u64::MAX - 3,
            sum: 4 * u128::from(u64::MAX),
        }));
    }
}
