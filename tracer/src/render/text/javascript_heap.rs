//! The JavaScript heaps: how much is resident, and which functions allocate.

use std::collections::HashMap;

use crate::model::{
    Report,
    javascript_heap::{HeapMoment, JavascriptHeap, own_part},
};
use crate::render::layout::{Ink, ink, wrap};
use crate::render::{names, words};

use super::Page;

/// How many processes are told of, those with the most resident.
const PROCESSES: usize = 4;
/// How many sites of each.
const SITES: usize = 5;
/// How many frames stand in a site's line.
const FRAMES: usize = 4;
/// A heap below this that allocates less is as node starts: not worth the lines.
const WORTH_BYTES: u64 = 64 << 20;

/// Appends what is known of JavaScript heaps to `lines`.
pub fn push(report: &Report, page: Page, lines: &mut Vec<String>) {
    let Some(heaps) = &report.javascript else {
        return;
    };
    let mut processes: Vec<&JavascriptHeap> = (heaps.processes.iter())
        .filter(|heap| last(heap).total().max(heap.allocated_bytes) >= WORTH_BYTES)
        .collect();
    processes.sort_by_key(|heap| std::cmp::Reverse(last(heap).total()));
    if processes.is_empty() {
        return;
    }
    lines.push(ink("JavaScript heap (V8):", Ink::Bold, page.colour));
    for heap in processes.iter().take(PROCESSES) {
        push_one(report, heap, page, lines);
    }
    if let Some(others @ 1..) = processes.len().checked_sub(PROCESSES) {
        lines.push(format!("  and {others} more, with less resident"));
    }
    if heaps.lost_samples > 0 {
        let text = format!(
            "{} of allocation without a stack are missing: {}.",
            words::counted(heaps.lost_samples, "sample"),
            words::bytes(heaps.lost_bytes)
        );
        lines.extend(wrap(&text, "  ", page.columns));
    }
    lines.push(String::new());
}

fn last(heap: &JavascriptHeap) -> HeapMoment {
    heap.timeline.last().copied().unwrap_or_default()
}

fn push_one(report: &Report, heap: &JavascriptHeap, page: Page, lines: &mut Vec<String>) {
    let end = last(heap);
    let first = heap.timeline.first().copied().unwrap_or_default();
    let mut text = format!(
        "{} resident at the end ({} at the start): {} young, {} old, {} of large objects, {} of code",
        words::bytes(end.total()),
        words::bytes(first.total()),
        words::bytes(end.young_bytes),
        words::bytes(end.old_bytes),
        words::bytes(end.large_bytes),
        words::bytes(end.code_bytes),
    );
    if report.processes.len() > 1 {
        text = format!("{}: {text}", names::process_of(report, heap.process));
    }
    lines.extend(wrap(&text, "  ", page.columns));
    if heap.samples == 0 {
        return;
    }
    let text = format!(
        "{} allocated meanwhile, collected or not. By function, sampled once an allocation buffer ({}):",
        words::bytes(heap.allocated_bytes),
        words::counted(heap.samples, "sample")
    );
    lines.extend(wrap(&text, "  ", page.columns));
    // Ways into V8's allocator are many; whose they are is of interest.
    let mut by_function: HashMap<String, u64> = HashMap::new();
    for site in &heap.sites {
        let callers = names::callers(own_part(&site.frames), FRAMES);
        let bytes = by_function.entry(callers).or_default();
        *bytes = bytes.saturating_add(site.estimated_bytes);
    }
    let mut by_function: Vec<(String, u64)> = by_function.into_iter().collect();
    by_function.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    for (callers, bytes) in by_function.iter().take(SITES) {
        let share = words::share(*bytes, heap.allocated_bytes);
        let beginning = format!("    {share:>6}  ~{:>10}  ", words::bytes(*bytes));
        lines.extend(wrap(callers, &beginning, page.columns));
    }
}
