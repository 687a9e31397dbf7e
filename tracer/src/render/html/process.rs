//! The verdicts, each process with its timeline; those of which something is said first.

use maud::{Markup, html};

use super::{chart, parts, timeline, verdict};
use crate::model::{Process, Report, verdict::Verdict};
use crate::render::{names, text, words};

/// Processes with a verdict and a timeline; all are in report.json.
const PROCESSES: usize = 20;

pub fn processes(report: &Report) -> Markup {
    let told = in_order(report);
    let is_one = report.processes.len() == 1;
    let rest = told.len().saturating_sub(PROCESSES);
    html! {
        section #verdict aria-labelledby="verdict-heading" {
            h2 #verdict-heading .(if is_one { "aside" } else { "" }) { "Verdict" }
            @if told.is_empty() { p { "No process was traced." } }
            @for (process, verdicts) in told.iter().take(PROCESSES) {
                (one(report, process, verdicts, is_one))
            }
            @if rest > 0 {
                p { "and " (words::counted(rest as u64, "other one")) ": see report.json" }
            }
        }
    }
}

/// In the order of the verdicts: the report has what matters most first.
fn in_order(report: &Report) -> Vec<(&Process, Vec<&Verdict>)> {
    let mut told: Vec<(&Process, Vec<&Verdict>)> = Vec::new();
    let judged = report.verdicts.iter().map(|it| it.process);
    let ids = judged.chain(report.processes.iter().map(|it| it.id));
    let mut seen = std::collections::HashSet::new();
    for id in ids.filter(|id| seen.insert(*id)) {
        if let Some(process) = report.processes.iter().find(|it| it.id == id) {
            let verdicts = report.verdicts.iter().filter(|it| it.process == id);
            told.push((process, verdicts.collect()));
        }
    }
    told
}

fn one(report: &Report, process: &Process, verdicts: &[&Verdict], is_one: bool) -> Markup {
    let accused = verdicts.iter().any(|it| verdict::accuses(it.kind));
    let name = names::process(process);
    let body = html! {
        @if verdicts.is_empty() {
            p { "No verdict: this recording does not tell how the process grew." }
        }
        @for it in verdicts { (verdict::card(it)) }
        p.about { (text::about(process, None)) }
        @match timeline::timeline(report, process) {
            Some(timeline) => {
                h4 { "Where its memory stood" }
                (chart::chart(&timeline, &name))
            }
            None => { p { "No timeline: the process was not looked at over time." } }
        }
    };
    html! {
        @if is_one || accused {
            section.process {
                h3 .(if is_one { "aside" } else { "" }) { (name) }
                (body)
            }
        } @else {
            details.process {
                summary {
                    @for it in verdicts { strong.badge.(verdict::tone(it.kind)) { (words::kind(it.kind)) } " " }
                    span.name { (name) } " "
                    @for it in verdicts { span.place { (parts::name(&it.summary)) } }
                }
                h3.aside { (name) }
                (body)
            }
        }
    }
}
