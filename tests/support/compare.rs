//! Comparing a report with the truth.

use tracer::model::{Counts, Loss, LossCause, Report};

use super::Truth;

/// Sums over the sites whose innermost frame is this function.
#[must_use]
pub fn by_function(report: &Report, function: &str) -> Counts {
    let mut sum = Counts::default();
    for site in &report.sites {
        let innermost = site
            .frames
            .first()
            .and_then(|frame| frame.function.as_deref());
        if innermost == Some(function) {
            sum += site.counts;
        }
    }
    sum
}

/// Sums over the sites of a process.
#[must_use]
pub fn total_of(report: &Report, process: u32) -> Counts {
    let mut sum = Counts::default();
    for site in report.sites.iter().filter(|site| site.process == process) {
        sum += site.counts;
    }
    sum
}

/// Calls and bytes lost to a cause.
#[must_use]
pub fn lost(report: &Report, cause: LossCause) -> (u64, u64) {
    let found = report.loss.iter().find(|loss| loss.cause == cause);
    found.map_or((0, 0), |Loss { calls, bytes, .. }| {
        (*calls, bytes.unwrap_or(0))
    })
}

/// Fails unless every site that the program counted is in the report to the
/// block and byte, and nothing was lost.
pub fn assert_exact(report: &Report, truth: &Truth) {
    let wrong: Vec<String> = truth
        .sites
        .iter()
        .filter_map(|(name, expected)| {
            let found = by_function(report, name);
            (found != *expected)
                .then(|| format!("{name}:\n  found    {found:?}\n  expected {expected:?}"))
        })
        .collect();
    assert!(
        wrong.is_empty() && report.loss.is_empty(),
        "loss {:?}, notes {:?}, wrong sites:\n{}",
        report.loss,
        report.notes,
        wrong.join("\n")
    );
}
