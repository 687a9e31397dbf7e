//! What was lost or not seen, and how all of it was measured.

use maud::{Markup, html};

use super::parts;
use crate::model::{Level, Report};
use crate::render::{loss, names, text, words};

/// Causes in the warning's line.
const CAUSES: usize = 3;

/// Above everything, where figures are not what they seem.
pub fn warning(report: &Report) -> Markup {
    let mut told = Vec::new();
    if loss::any(&report.loss) {
        told.push(loss::summary(&report.loss, CAUSES));
    }
    if !report.not_covered.is_empty() {
        let number = report.not_covered.len() as u64;
        told.push(format!(
            "{} not covered",
            words::counted(number, "allocator")
        ));
    }
    if report.level == Level::Sampled {
        told.push("figures of blocks and bytes are estimates from a sample".to_owned());
    }
    html! {
        @if !told.is_empty() {
            p.warning role="note" { strong { "Not all is in the figures: " } (told.join("; ")) ". " a href="#lost" { "More" } }
        }
    }
}

/// Losses, gaps, and what was not covered.
pub fn lost(report: &Report) -> Markup {
    let gaps = report.processes.iter().filter_map(|process| {
        let followed = process.followed.as_ref()?;
        Some((names::process(process), followed.gap_ms))
    });
    let gaps: Vec<(String, f64)> = gaps.collect();
    let longest = gaps.iter().map(|it| it.1).fold(0.0, f64::max);
    html! {
        section #lost aria-labelledby="lost-heading" {
            h2 #lost-heading { "Lost, and not covered" }
            @if !loss::any(&report.loss) { p { "Nothing was lost." } } @else {
                (parts::scrolled("Losses", html! {
                    table {
                        thead { tr { th.number scope="col" { "Calls" } th.number scope="col" { "Bytes" } th scope="col" { "What happened to them" } } }
                        tbody {
                            @for loss in report.loss.iter().filter(|it| it.calls > 0) {
                                tr {
                                    td.number { (parts::count(loss.calls)) }
                                    td.number { @match loss.bytes { Some(bytes) => { (parts::bytes(bytes)) } None => { "not known" } } }
                                    td { (loss.cause.describe()) }
                                }
                            }
                        }
                    }
                }))
            }
            @if !report.not_covered.is_empty() {
                h3 { "Not covered" }
                ul { @for what in &report.not_covered { li { (names::sanitize(what)) } } }
            }
            @if !gaps.is_empty() {
                p {
                    (words::counted(gaps.len() as u64, "process that was followed")) " had a gap between its beginning and its first counted call, the longest of " (format!("{longest:.0} ms")) "; what was allocated in it is not in the figures."
                }
            }
            @if report.unmatched_frees > 0 {
                p.hint { (parts::count(report.unmatched_frees)) " frees were of blocks older than the window, or the allocator's own: not loss." }
            }
            @if !report.notes.is_empty() {
                h3 { "Notes" }
                ul { @for note in &report.notes { li { (names::sanitize(note)) } } }
            }
        }
    }
}

pub fn measured(report: &Report) -> Markup {
    let window = &report.window;
    let beginning = match window.from_start {
        true => "from the first allocation",
        false => {
            "attached to the running process: what it held before is not counted as its sites'"
        }
    };
    let not = |is_there: bool, option: &str| match is_there {
        true => "watched".to_owned(),
        false => format!("not watched ({option})"),
    };
    let looks = report.heap.iter().flat_map(|it| &it.processes);
    let cost = looks
        .filter_map(|it| it.last.as_ref())
        .map(|it| it.cost.seconds)
        .fold(0.0, f64::max);
    let is_stopped = report.heap.iter().flat_map(|it| &it.processes);
    let is_stopped = is_stopped
        .filter_map(|it| it.last.as_ref()?.cost.stopped_seconds)
        .any(|seconds| seconds > 0.0);
    let stopped = if is_stopped { "stopped" } else { "not stopped" };
    let mut rows = vec![
        ("memtrace", names::sanitize(&report.tool_version).into_owned()),
        ("Window", format!("{} from {} to {}, {beginning}", words::seconds(window.seconds), words::utc(&window.start_utc), words::utc(&window.end_utc))),
        ("Level", text::level(report).replace(" (see LOST)", "").replace(" (see NOT COVERED)", "")),
        ("Kernel", format!("Linux {}, {}", names::sanitize(&report.host.kernel), names::sanitize(&report.host.processor))),
        ("Allocations", "probes at the entry and return of the allocator's functions (uprobes), each with the stack of its caller".to_owned()),
        ("Mapping calls", match &report.mappings {
            Some(it) => format!("watched: {}; each process of this host paid {:.0} ns a system call", words::counted(it.events, "call"), it.bystander_ns),
            None => not(false, "--no-mappings"),
        }),
        ("Heaps", match &report.heap {
            Some(_) => format!("read from outside, the process {stopped}; the longest last look took {:.0} ms", cost * 1e3),
            None => not(false, "--no-heap"),
        }),
        ("Sockets", match &report.sockets {
            Some(it) => text::sockets::how(it.probes).to_owned(),
            None => not(false, "--no-sockets"),
        }),
    ];
    if report.growth.is_empty() {
        rows.push((
            "Growth",
            "not in this recording: no verdict can be given".to_owned(),
        ));
    }
    html! {
        section #measured aria-labelledby="measured-heading" {
            h2 #measured-heading { "How it was measured" }
            dl.figures { @for (name, what) in &rows { div { dt { (name) } dd { (what) } } } }
            p.hint { (words::APPROXIMATE) }
        }
    }
}
