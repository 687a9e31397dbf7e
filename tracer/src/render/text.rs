//! The report as text for a terminal: who, when, how completely; totals; the
//! ten largest sites with their stacks; what was lost or is
//! not covered; notes.

use std::collections::HashMap;

use crate::model::{Beginning, Exit, Followed, Level, Process, Report, Sampling};

use super::layout::{Ink, cut_end, ink, wrap};
use super::{loss, names, words};

pub(super) mod heap;
mod javascript_heap;
mod mappings;
mod site;
pub(super) mod sockets;
pub(super) mod verdict;

/// How many sites are shown; all of them are in the other outputs.
const SITES: usize = 10;

/// How many processes are named one by one.
const PROCESSES: usize = 8;

/// Narrower terminals get lines of this width all the same.
const COLUMNS_MIN: usize = 40;

/// Where the text will stand.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Columns of the terminal.
    pub columns: usize,
    /// Whether it understands ANSI colours and the user wants them.
    pub colour: bool,
}

/// The report as lines of text, each ended by a newline.
#[must_use]
pub fn render(report: &Report, page: Page) -> String {
    let page = Page {
        columns: page.columns.max(COLUMNS_MIN),
        ..page
    };
    let mut lines = Vec::new();
    header(report, page, &mut lines);
    lines.push(String::new());
    totals(report, page, &mut lines);
    lines.push(String::new());
    sites(report, page, &mut lines);
    mappings::push(report, page, &mut lines);
    heap::push(report, page, &mut lines);
    javascript_heap::push(report, page, &mut lines);
    sockets::push(report, page, &mut lines);
    lost(report, page, &mut lines);
    not_covered(report, page, &mut lines);
    for note in &report.notes {
        lines.extend(wrap(&names::sanitize(note), "note  ", page.columns));
    }
    verdict::push(report, page, &mut lines);
    lines.push(String::new());
    lines.join("\n")
}

fn header(report: &Report, page: Page, lines: &mut Vec<String>) {
    let by_live = live_by_process(report);
    let live = |process: &Process| by_live.get(&process.id).copied().unwrap_or_default();
    let mut processes: Vec<&Process> = report.processes.iter().collect();
    if processes.len() > PROCESSES {
        // Not all have room; in the order in which they came otherwise.
        processes.sort_by_key(|process| std::cmp::Reverse(live(process).0));
    }
    for process in processes.into_iter().take(PROCESSES) {
        let name = names::process(process);
        let line = cut_end(&name, page.columns);
        lines.push(ink(&line, Ink::Bold, page.colour));
        let own = (report.processes.len() > 1).then(|| live(process));
        lines.extend(wrap(&about(process, own), "  ", page.columns));
    }
    if let Some(others @ 1..) = report.processes.len().checked_sub(PROCESSES) {
        lines.push(format!("and {others} more, with less live"));
    }
    let window = &report.window;
    let beginning = if window.from_start {
        "from the first allocation"
    } else {
        "attached to the running process: what it held before is not counted"
    };
    let text = format!(
        "{} from {}, {beginning}",
        words::seconds(window.seconds),
        words::utc(&window.start_utc)
    );
    lines.extend(wrap(&text, "window  ", page.columns));
    lines.extend(wrap(&level(report), "level   ", page.columns));
}

/// Live bytes and blocks of each process.
fn live_by_process(report: &Report) -> HashMap<u32, (u64, u64)> {
    let mut live: HashMap<u32, (u64, u64)> = HashMap::new();
    for site in &report.sites {
        let (bytes, blocks) = live.entry(site.process).or_default();
        *bytes = bytes.saturating_add(site.counts.live_bytes);
        *blocks = blocks.saturating_add(site.counts.live_blocks);
    }
    live
}

/// What is known of a process; `live` are its bytes and blocks, where it is one of several.
pub(super) fn about(process: &Process, live: Option<(u64, u64)>) -> String {
    let mut parts = vec![names::sanitize(&process.executable).into_owned()];
    parts.push(names::sanitize(&process.allocator).into_owned());
    parts.extend(live.map(|(bytes, blocks)| {
        format!(
            "{} live in {}",
            words::bytes(bytes),
            words::counted(blocks, "block")
        )
    }));
    if process.ns_pid != process.pid {
        parts.push(format!("pid {} in its container", process.ns_pid));
    }
    parts.extend(process.followed.as_ref().map(origin));
    parts.extend(process.exit.map(end));
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

fn origin(followed: &Followed) -> String {
    let since = match followed.since {
        Beginning::Fork => "forked by",
        Beginning::Exec => "a new program, process started by",
    };
    format!(
        "{since} {}, its first {:.0} ms not counted",
        followed.parent, followed.gap_ms
    )
}

pub(super) fn end(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exited with status {status}"),
        Exit::Signal(signal) => match signal_name(signal) {
            Some(name) => format!("killed by {name}"),
            None => format!("killed by signal {signal}"),
        },
        Exit::Exec => "replaced by another program (exec)".to_owned(),
        Exit::Unknown => "ended".to_owned(),
    }
}

/// Those that end processes in practice.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ => return None,
    })
}

/// How completely what happened was recorded.
pub(super) fn level(report: &Report) -> String {
    let missing: Vec<&str> = [
        (loss::any(&report.loss), "what was lost (see LOST)"),
        (
            !report.not_covered.is_empty(),
            "what is not covered (see NOT COVERED)",
        ),
    ]
    .into_iter()
    .filter_map(|(is_so, what)| is_so.then_some(what))
    .collect();
    match (report.level, &report.sampling) {
        (Level::Exact, _) if missing.is_empty() => "exact: every call recorded".to_owned(),
        (Level::Exact, _) => format!("exact, but for {}", missing.join(" and ")),
        (Level::Sampled, None) => "sampled: figures are estimates".to_owned(),
        (
            Level::Sampled,
            Some(Sampling {
                slices: Some(slices),
                reason,
                ..
            }),
        ) => format!(
            "sampled: figures are estimates. Allocations were recorded in {} of {} in all, \
             frees watched for {}; {} in {} may have been freed unseen. Why: {}",
            words::counted(slices.count, "slice"),
            words::seconds(slices.seconds),
            words::seconds(slices.frees_seconds),
            words::bytes(slices.unresolved_bytes),
            words::counted(slices.unresolved_blocks, "block"),
            names::sanitize(reason),
        ),
        (Level::Sampled, Some(sampling)) => format!(
            "sampled: figures are estimates. After {} one block in {} was recorded, \
             and all of {} and more; {} were passed over. Why: {}",
            words::seconds(sampling.since_seconds),
            words::count(u64::from(sampling.one_in)),
            words::bytes(sampling.always_bytes),
            words::counted(sampling.passed_over, "allocation"),
            names::sanitize(&sampling.reason),
        ),
    }
}

/// Allocators whose blocks are in none of the figures.
fn not_covered(report: &Report, page: Page, lines: &mut Vec<String>) {
    if report.not_covered.is_empty() {
        return;
    }
    lines.push(ink("NOT COVERED", Ink::Alarm, page.colour));
    for what in &report.not_covered {
        lines.extend(wrap(&names::sanitize(what), "  ", page.columns));
    }
}

fn totals(report: &Report, page: Page, lines: &mut Vec<String>) {
    let totals = &report.totals;
    let counts = &totals.counts;
    let row = |name: &str, bytes: u64, blocks: u64, remark: &str| {
        let bytes = words::bytes(bytes);
        format!(
            "{name:<10}{bytes:>10}  in {}{remark}",
            words::counted(blocks, "block")
        )
    };
    let footprint = format!("  ({} with rounding)", words::bytes(totals.footprint_bytes));
    let mut rows = vec![
        row("live", counts.live_bytes, counts.live_blocks, &footprint),
        row(
            "allocated",
            counts.allocated_bytes,
            counts.allocated_blocks,
            "",
        ),
        row("freed", counts.freed_bytes, counts.freed_blocks, ""),
    ];
    if report.unmatched_frees > 0 {
        rows.push(format!(
            "{:<10}{:>10}  frees of older blocks, or the allocator's own; not loss",
            "unmatched",
            words::count(report.unmatched_frees)
        ));
    }
    lines.extend(
        rows.iter()
            .map(|row| cut_end(row, page.columns).into_owned()),
    );
}

fn sites(report: &Report, page: Page, lines: &mut Vec<String>) {
    let live = || {
        report
            .sites
            .iter()
            .filter(|site| site.counts.live_bytes > 0)
    };
    let heading = match live().count() {
        0 => {
            let text = "Nothing allocated within the window was live at its end.";
            lines.extend(wrap(text, "", page.columns));
            lines.push(String::new());
            return;
        }
        1 => "The only site with live bytes:".to_owned(),
        all @ 2..=SITES => format!("All {all} sites with live bytes:"),
        all => format!(
            "The {SITES} largest of {} sites with live bytes:",
            words::count(all as u64)
        ),
    };
    let heading = cut_end(&heading, page.columns);
    lines.push(ink(&heading, Ink::Bold, page.colour));
    lines.push(String::new());
    let mut guessed = false;
    for (index, site) in live().take(SITES).enumerate() {
        guessed |= site::push(report, site, index + 1, page, lines);
        lines.push(String::new());
    }
    if guessed {
        lines.extend(wrap(words::APPROXIMATE, "", page.columns));
        lines.push(String::new());
    }
}

fn lost(report: &Report, page: Page, lines: &mut Vec<String>) {
    if !loss::any(&report.loss) {
        lines.push("lost  nothing".to_owned());
        return;
    }
    lines.push(ink("LOST", Ink::Alarm, page.colour));
    for text in loss::sentences(&report.loss) {
        lines.extend(wrap(&text, "  ", page.columns));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
