//! The verdict, as the last thing on the terminal: what, the code, how sure; then the
//! evidence and what to do.

use crate::model::{
    Report,
    verdict::{Kind, Verdict},
};

use super::Page;
use crate::render::{
    layout::{Ink, ink, wrap},
    names, words,
};

/// Verdicts that are shown.
const VERDICTS: usize = 6;
/// Stacks of each.
const STACKS: usize = 3;
/// Callers of each stack's first function.
const CALLERS: usize = 3;

/// Adds the verdicts, unless there are none.
pub fn push(report: &Report, page: Page, lines: &mut Vec<String>) {
    // Of many processes only those that something is said of.
    let accused = |it: &&Verdict| !matches!(it.kind, Kind::Healthy);
    let told: Vec<&Verdict> = match report.processes.len() {
        0..=1 => report.verdicts.iter().collect(),
        _ => report.verdicts.iter().filter(accused).collect(),
    };
    for verdict in told.iter().take(VERDICTS) {
        lines.push(String::new());
        let whose = match report.processes.len() {
            0..=1 => String::new(),
            _ => format!("{}: ", names::process_of(report, verdict.process)),
        };
        push_one(&whose, verdict, page, lines);
    }
    let rest = report.verdicts.len() - told.len().min(VERDICTS);
    if rest > 0 {
        let healthy = report.verdicts.iter().filter(|it| it.kind == Kind::Healthy);
        let text = format!(
            "and {} more, {} healthy: see report.json",
            words::counted(rest as u64, "verdict"),
            healthy.count()
        );
        lines.extend(wrap(&text, "         ", page.columns));
    }
}

/// Adds one. `whose` stands before its summary.
pub fn push_one(whose: &str, verdict: &Verdict, page: Page, lines: &mut Vec<String>) {
    let summary = format!("{whose}{}", verdict.summary);
    for line in wrap(&names::sanitize(&summary), "verdict  ", page.columns) {
        lines.push(ink(&line, Ink::Bold, page.colour));
    }
    let stacks = verdict.stacks.iter().filter(|it| !it.frames.is_empty());
    for stack in stacks.take(STACKS) {
        let beginning = format!("  {:>6}  ", format!("{:.0}%", stack.share * 100.0));
        let callers = names::callers(&stack.frames, CALLERS);
        lines.extend(wrap(&callers, &beginning, page.columns));
    }
    let (sure, because) = words::sure(verdict.confidence);
    let sure = format!("{sure}: {because}");
    for (number, evidence) in verdict.evidence.iter().enumerate() {
        let beginning = if number == 0 {
            "why      "
        } else {
            "         "
        };
        lines.extend(wrap(&names::sanitize(evidence), beginning, page.columns));
    }
    lines.extend(wrap(&sure, "sure     ", page.columns));
    for sentence in &verdict.would_change {
        lines.extend(wrap(&names::sanitize(sentence), "unless   ", page.columns));
    }
    for sentence in &verdict.advice {
        lines.extend(wrap(&names::sanitize(sentence), "do       ", page.columns));
    }
}
