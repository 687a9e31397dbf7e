//! `--fail-on` and `--max-growth`: a status for CI, and its reason.

use std::{process::ExitCode, time::Duration};

use super::{arguments, printer::Printer};
use crate::{
    analyze::{
        diff::Difference,
        gate::{Checked, Gate},
    },
    model::Report,
    render::gate,
};

/// The status when a gate fails: neither success nor memtrace's own failure.
const FAILED: u8 = 3;

/// Whether a gate lets something pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    Yes,
    No,
}

impl From<Passed> for ExitCode {
    fn from(passed: Passed) -> Self {
        match passed {
            Passed::Yes => Self::SUCCESS,
            Passed::No => Self::from(FAILED),
        }
    }
}

/// Checks a report, and says why it fails, or what was not seen where it passes.
/// To be called when everything is written.
pub fn check(
    arguments: &arguments::Gate,
    asked: Option<Duration>,
    report: &Report,
    printer: &Printer,
) -> Passed {
    let gate = gate_of(arguments, asked);
    tell(&gate.check(report), printer, &|id| gate::whose(report, id))
}

/// The same of what lies between two recordings.
pub fn check_difference(
    arguments: &arguments::Gate,
    difference: &Difference<'_>,
    printer: &Printer,
) -> Passed {
    let checked = gate_of(arguments, None).check_difference(difference);
    tell(&checked, printer, &|index| {
        gate::whose_group(difference, index)
    })
}

fn gate_of(arguments: &arguments::Gate, asked: Option<Duration>) -> Gate {
    Gate {
        kinds: arguments.kinds(),
        max_growth: arguments.max_growth,
        asked_seconds: asked.map(|it| it.as_secs_f64()),
    }
}

fn tell(checked: &Checked<'_>, printer: &Printer, whose: &dyn Fn(u32) -> String) -> Passed {
    for failure in &checked.failures {
        printer.say(&gate::failure(failure, whose));
    }
    if !checked.failures.is_empty() {
        return Passed::No;
    }
    for doubt in &checked.doubts {
        printer.say(&format!("passed, but: {}", gate::doubt(doubt, whose)));
    }
    Passed::Yes
}
