//! The verdict: what kind of growth it is. Pure: the same report, the same verdict.
//!
//! Each kind has a file of its own, which looks at the facts of one process and finds
//! nothing, or a verdict with its evidence. Several can be true at once.

pub(super) mod facts;
mod free;
mod javascript;
pub(super) mod leak;
mod places;
pub(super) mod rise;
mod slices;
mod sockets;
pub(super) mod thresholds;
pub(super) mod words;

use std::cmp::Reverse;

use facts::Facts;
pub use facts::own_function;
pub use places::{Series, places, series};

use crate::model::{
    Process, Report,
    verdict::{Confidence, Kind, Verdict},
};

/// What is seen for a shorter time clears nobody, s.
pub const SHORTEST_SECONDS: f64 = thresholds::WINDOW_SECONDS;

/// The verdicts on every process, each one's main one first; those that hold most come
/// first.
#[must_use]
pub fn judge(report: &Report) -> Vec<Verdict> {
    let mut by_process: Vec<Vec<Verdict>> = report
        .processes
        .iter()
        .map(|process| of(report, process))
        .collect();
    by_process.sort_by_key(|verdicts| {
        let first = verdicts.first();
        Reverse(first.map(|it| (it.kind.accuses(), it.bytes)))
    });
    by_process.into_iter().flatten().collect()
}

fn of(report: &Report, process: &Process) -> Vec<Verdict> {
    let Some(facts) = Facts::of(report, process) else {
        return Vec::new();
    };
    let mut found = sockets::judge(&facts);
    let has_stalled = found.iter().any(|it| it.kind == Kind::SendBuffer);
    found.extend(leak::judge(&facts, has_stalled));
    found.extend(rise::judge(&facts, &found));
    javascript::step_back(&mut found);
    found.extend(free::judge(&facts));
    // A backlog explains the queues before it; then what surely is, and what will be most
    // when the same time has passed again.
    let then = |it: &Verdict| it.bytes as f64 + it.bytes_per_second.max(0.0) * facts.seconds;
    found.sort_by_key(|it| Reverse((it.kind == Kind::Backlog, it.confidence, then(it) as u64)));
    if found.is_empty() {
        found.push(facts.nothing());
    }
    found
}

impl Facts<'_> {
    /// Nothing was found: too short a window clears nobody, slow growth neither.
    fn nothing(&self) -> Verdict {
        let unsure = self.unexplained().or_else(|| leak::slow(self));
        if let Some(unsure) = unsure {
            return unsure;
        }
        if self.seconds < thresholds::WINDOW_SECONDS {
            let wanted = thresholds::WINDOW_SECONDS * 6.0;
            let summary = format!(
                "Not enough data: {} say little. Trace for {} or more.",
                words::seconds(self.seconds),
                words::seconds(wanted)
            );
            return self.verdict(Kind::NotEnoughData, Confidence::High, 0, summary);
        }
        let mut healthy = self.verdict(
            Kind::Healthy,
            self.sure_of_health(),
            0,
            "Healthy: nothing grows that stays.".to_owned(),
        );
        healthy.evidence = self.drifts();
        healthy.would_change = vec![
            "A cycle longer than the window (a cache that expires, a nightly job) is not seen in it."
                .to_owned(),
        ];
        healthy
    }
}

#[cfg(test)]
mod tests;
