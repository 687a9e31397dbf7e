//! Where the resident set stands at the end of a trace, and who keeps it.

use crate::model::{
    Level, Report, Site,
    heap::Split,
    trace_heap::{ProcessHeap, Shares},
};
use crate::render::layout::{Ink, cut_end, ink, wrap};
use crate::render::{names, words};

use super::Page;

/// How many processes are told of, those with the most resident.
const PROCESSES: usize = 4;
/// How many sites of each.
const SITES: usize = 3;
/// Less is not worth a line.
const WORTH_BYTES: u64 = 256 << 10;
/// How many frames stand in a site's line.
const FRAMES: usize = 7;

/// Appends what the heaps look like to `lines`.
pub fn push(report: &Report, page: Page, lines: &mut Vec<String>) {
    let Some(heap) = &report.heap else {
        return;
    };
    let mut processes: Vec<&ProcessHeap> = heap.processes.iter().collect();
    if processes.is_empty() {
        return;
    }
    processes
        .sort_by_key(|it| std::cmp::Reverse(it.timeline.last().map(|it| it.split.resident_bytes)));
    lines.push(ink(
        "Resident at the end, measured:",
        Ink::Bold,
        page.colour,
    ));
    for process in processes.iter().take(PROCESSES) {
        push_process(report, process, page, lines);
    }
    if let Some(others @ 1..) = processes.len().checked_sub(PROCESSES) {
        lines.push(format!("  and {others} more, with less resident"));
    }
    lines.push(String::new());
}

fn push_process(report: &Report, process: &ProcessHeap, page: Page, lines: &mut Vec<String>) {
    if report.processes.len() > 1 {
        let name = names::process_of(report, process.process);
        lines.push(format!(
            "  {}",
            cut_end(&name, page.columns.saturating_sub(2))
        ));
    }
    if let (Some(first), Some(last)) = (process.timeline.first(), process.timeline.last()) {
        let since = (process.timeline.len() > 1).then_some(&first.split);
        let table = table(&last.split, since);
        lines.extend(
            table
                .iter()
                .map(|line| cut_end(line, page.columns).into_owned()),
        );
        if since.is_some() {
            let text = format!(
                "last column: growth in the {} between the first look and the last",
                words::seconds(last.seconds - first.seconds)
            );
            lines.extend(wrap(&text, "  ", page.columns));
        }
    }
    for text in traced(process).into_iter().chain(predictions(process)) {
        lines.extend(wrap(&text, "  ", page.columns));
    }
    if let Some(pinned) = &process.pinned {
        push_shares(report, process, pinned, "pinned by", page, lines);
    }
    if let Some(retained) = &process.retained {
        push_shares(
            report,
            process,
            retained,
            "freed (predicted) by",
            page,
            lines,
        );
    }
    if (process.last.as_ref()).is_some_and(|last| !last.walked.quality.is_clean) {
        let text = "The process changed its heap while it was read: these figures are approximate.";
        lines.extend(wrap(text, "  ", page.columns));
    }
    if let Some(why) = &process.not_walked {
        lines.extend(wrap(&names::sanitize(why), "  ", page.columns));
    }
}

/// A part of the resident set, and what it is called.
pub type Part = (fn(&Split) -> u64, &'static str);

/// In the order in which they are told.
pub const PARTS: [Part; 10] = [
    (|it| it.resident_bytes, "resident"),
    (|it| it.live_bytes, "allocator, live"),
    (
        |it| it.retained_bytes,
        "allocator, free on whole pages (retention)",
    ),
    (
        |it| it.pinned_bytes,
        "allocator, free beside live blocks (fragmentation)",
    ),
    (|it| it.overhead_bytes, "allocator, its own"),
    (|it| it.unknown_bytes, "allocator, not known"),
    (|it| it.javascript_bytes, "JavaScript heap"),
    (|it| it.other_bytes, "other anonymous"),
    (|it| it.file_bytes, "files"),
    (|it| it.shared_bytes, "shared memory"),
];

/// A line for each part; with what it grew by.
fn table(now: &Split, since: Option<&Split>) -> Vec<String> {
    let line = |bytes: String, share: u64, what: &str, growth: Option<i64>| {
        let share = words::share(share, now.resident_bytes);
        let growth = growth.filter(|it| *it != 0).map(words::growth);
        let growth = growth.unwrap_or_default();
        format!("  {bytes:>10}  {share:>6}  {what:<50}  {growth:>10}")
            .trim_end()
            .to_owned()
    };
    let parts = PARTS.iter().filter(|(of, _)| of(now) > 0);
    let mut lines: Vec<String> = parts
        .map(|(of, what)| {
            let growth = since.map(|since| (of(now) as i64).wrapping_sub(of(since) as i64));
            line(words::bytes(of(now)), of(now), what, growth)
        })
        .collect();
    if now.unexplained_bytes != 0 {
        let bytes = words::growth(now.unexplained_bytes);
        lines.push(line(
            bytes,
            now.unexplained_bytes.unsigned_abs(),
            "changed meanwhile",
            None,
        ));
    }
    lines
}

/// Of an allocator whose heap cannot be walked.
pub fn traced(process: &ProcessHeap) -> Option<String> {
    let traced = process.traced.filter(|_| process.last.is_none())?;
    let bound = match traced.is_upper_bound {
        true => " (upper bounds: blocks from before the trace count as free)",
        false => "",
    };
    Some(format!(
        "{} resident of what its allocator mapped: {} in live blocks, {} free on whole pages, {} beside live blocks{bound}. What a purge gives back is at most what is free on whole pages.",
        words::bytes(traced.resident_bytes),
        words::bytes(traced.live_bytes),
        words::bytes(traced.retained_bytes),
        words::bytes(traced.pinned_bytes),
    ))
}

/// What would give memory back, in sentences.
pub fn predictions(process: &ProcessHeap) -> Vec<String> {
    let mut told = Vec::new();
    let trimmable = process.timeline.last().map_or(0, |it| it.trimmable_bytes);
    if trimmable >= WORTH_BYTES {
        told.push(format!(
            "predicted: malloc_trim(0) would return {}",
            words::bytes(trimmable)
        ));
    }
    let mappable = process.mappable_bytes.unwrap_or(0);
    if mappable >= WORTH_BYTES {
        told.push(format!(
            "predicted: {} of what is free on whole pages was blocks of 64 KiB and more; with MALLOC_MMAP_THRESHOLD_=65536 these go back when they are freed",
            words::bytes(mappable)
        ));
    }
    told
}

fn push_shares(
    report: &Report,
    process: &ProcessHeap,
    shares: &Shares,
    what: &str,
    page: Page,
    lines: &mut Vec<String>,
) {
    let largest = (shares.sites.iter()).filter(|share| share.bytes >= WORTH_BYTES);
    for share in largest.take(SITES) {
        let is_it = |site: &&Site| site.process == process.process && site.site_id == share.site_id;
        let stack = match report.sites.iter().find(is_it) {
            Some(site) => names::callers(&site.frames, FRAMES),
            None => names::STACK_LOST.to_owned(),
        };
        let text = format!("{} {what} {stack}", words::bytes(share.bytes));
        lines.extend(wrap(&text, "  ", page.columns));
    }
    if shares.unseen_bytes >= WORTH_BYTES {
        let whose = match (what, report.window.from_start) {
            ("pinned by", false) if report.level == Level::Exact => {
                "pinned by blocks allocated before the trace"
            }
            ("pinned by", _) => "pinned by blocks that the trace has not seen",
            (_, true) => "never handed out, or the allocator's own",
            (_, false) => "freed before the trace, or never handed out",
        };
        let text = format!("{} {whose}", words::bytes(shares.unseen_bytes));
        lines.extend(wrap(&text, "  ", page.columns));
    }
}
