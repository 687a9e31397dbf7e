//! One look at a heap, as text for a terminal: the resident set shared out, what
//! `malloc_trim` would return, arenas, the largest free runs, the map of pages,
//! and how sure all of it is.

use super::layout::{Ink, cut_end, ink, wrap};
use super::text::Page;
use super::{heap_map, names, words};
use crate::model::heap::{Arena, Heap, Quality, Split};

/// Arenas that have a line, those with the most resident.
const ARENAS: usize = 8;
/// Free runs that have a line.
const RUNS: usize = 5;
/// Less is not worth a line.
const WORTH_BYTES: u64 = 64 << 10;

/// The look as lines of text, each ended by a newline.
#[must_use]
pub fn text(heap: &Heap, page: Page) -> String {
    let mut lines = Vec::new();
    header(heap, page, &mut lines);
    lines.push(String::new());
    split(heap, page, &mut lines);
    lines.push(String::new());
    trim(heap, page, &mut lines);
    arenas(heap, page, &mut lines);
    runs(heap, page, &mut lines);
    lines.push(String::new());
    lines.extend(heap_map::terminal(heap, page));
    lines.push(String::new());
    quality(heap, page, &mut lines);
    lines.push(String::new());
    lines.join("\n")
}

fn header(heap: &Heap, page: Page, lines: &mut Vec<String>) {
    let name = names::process(&heap.process);
    lines.push(ink(&cut_end(&name, page.columns), Ink::Bold, page.colour));
    let arenas = words::counted(heap.walked.arenas.len() as u64, "arena");
    let about = format!(
        "{}, {}, {arenas}, at {}",
        names::sanitize(&heap.process.executable),
        names::sanitize(&heap.process.allocator),
        words::utc(&heap.time_utc)
    );
    lines.extend(wrap(&about, "  ", page.columns));
    let how = match heap.cost.stopped_seconds {
        Some(seconds) => format!("stopped for {:.0} ms, as asked", seconds * 1e3),
        None => "not stopped".to_owned(),
    };
    let cost = format!(
        "{how}; looked for {:.0} ms, {} read",
        heap.cost.seconds * 1e3,
        words::bytes(heap.cost.read_bytes)
    );
    lines.extend(wrap(&cost, "  ", page.columns));
}

fn split(heap: &Heap, page: Page, lines: &mut Vec<String>) {
    let split = &heap.split;
    let mut row = |name: &str, bytes: u64, remark: &str| {
        let share = words::share(bytes, split.resident_bytes);
        let line = format!(
            "  {name:<26}{:>10}  {share:>6}  {remark}",
            words::bytes(bytes)
        );
        lines.push(cut_end(line.trim_end(), page.columns).into_owned());
    };
    let chunks = (heap.walked.arenas.iter()).map(|arena| arena.chunks.live_count);
    let blocks = chunks.fold(heap.walked.mapped.count, u64::saturating_add);
    let pages = (heap.walked.arenas.iter()).map(|arena| arena.pages.pinning_pages);
    let pages = pages.fold(0, u64::saturating_add);
    row("resident", split.resident_bytes, "");
    row(
        "allocator, live",
        split.live_bytes,
        &format!("in {}", words::counted(blocks, "block")),
    );
    row(
        "allocator, free pages",
        split.retained_bytes,
        "retention: freed, kept by the allocator",
    );
    row(
        "allocator, pinned",
        split.pinned_bytes,
        &format!(
            "fragmentation: freed, on {} with live blocks",
            words::counted(pages, "page")
        ),
    );
    row(
        "allocator, overhead",
        split.overhead_bytes,
        "headers, arenas, threads' caches",
    );
    if split.unknown_bytes > 0 {
        row("allocator, not known", split.unknown_bytes, "see below");
    }
    if split.javascript_bytes > 0 {
        row(
            "JavaScript heap",
            split.javascript_bytes,
            "as V8 names its mappings",
        );
    }
    row(
        "other anonymous",
        split.other_bytes,
        "stacks, heaps of languages, variables",
    );
    row("files", split.file_bytes, "");
    row("shared memory", split.shared_bytes, "");
    lines.push(unexplained(split));
    let mut beside = Vec::new();
    for (bytes, what) in [
        (split.swapped_bytes, "in swap, not resident"),
        (
            split.lazily_freed_bytes,
            "freed lazily (MADV_FREE): the kernel's when it wants it",
        ),
        (split.huge_bytes, "in huge pages"),
    ] {
        if bytes > 0 {
            beside.push(format!("{} {what}", words::bytes(bytes)));
        }
    }
    if !beside.is_empty() {
        lines.extend(wrap(&beside.join("; "), "  of these ", page.columns));
    }
}

fn unexplained(split: &Split) -> String {
    let change = words::growth(split.unexplained_bytes);
    let bytes = if split.unexplained_bytes == 0 {
        "0 B".to_owned()
    } else {
        change
    };
    let share = words::share(split.unexplained_bytes.unsigned_abs(), split.resident_bytes);
    format!(
        "  {:<26}{bytes:>10}  {share:>6}  changed while it was read",
        "unexplained"
    )
}

fn trim(heap: &Heap, page: Page, lines: &mut Vec<String>) {
    let bytes = heap.trimmable_bytes();
    let text = format!(
        "predicted: malloc_trim(0) would return {}, {} of the resident set",
        words::bytes(bytes),
        words::share(bytes, heap.split.resident_bytes)
    );
    lines.extend(wrap(&text, "", page.columns));
}

fn arenas(heap: &Heap, page: Page, lines: &mut Vec<String>) {
    let mut arenas: Vec<&Arena> = heap.walked.arenas.iter().collect();
    if arenas.len() < 2 {
        return;
    }
    arenas.sort_by_key(|arena| std::cmp::Reverse(arena.pages.resident_bytes));
    lines.push(String::new());
    let heading = format!(
        "{:<16}{:>10}{:>11}{:>12}{:>11}{:>12}",
        "arena", "resident", "live", "free pages", "pinned", "returnable"
    );
    lines.push(ink(&cut_end(&heading, page.columns), Ink::Dim, page.colour));
    for arena in arenas.iter().take(ARENAS) {
        let name = match arena.is_main {
            true => "main".to_owned(),
            false => format!("{:x}", arena.address),
        };
        let overhead = arena.chunks.overhead_bytes.min(arena.pages.used_bytes);
        let line = format!(
            "{name:<16}{:>10}{:>11}{:>12}{:>11}{:>12}",
            words::bytes(arena.pages.resident_bytes),
            words::bytes(arena.pages.used_bytes - overhead),
            words::bytes(arena.pages.empty_bytes),
            words::bytes(arena.pages.pinned_bytes),
            words::bytes(arena.trimmable_bytes),
        );
        lines.push(cut_end(&line, page.columns).into_owned());
    }
    if let Some(others @ 1..) = arenas.len().checked_sub(ARENAS) {
        lines.push(format!("and {others} more, with less resident"));
    }
    let mapped = &heap.walked.mapped;
    if mapped.count > 0 {
        let text = format!(
            "and {} that are mappings of their own, {} resident of {}",
            words::counted(mapped.count, "block"),
            words::bytes(mapped.resident_bytes),
            words::bytes(mapped.bytes)
        );
        lines.extend(wrap(&text, "", page.columns));
    }
}

fn runs(heap: &Heap, page: Page, lines: &mut Vec<String>) {
    let runs: Vec<_> = (heap.walked.largest_free.iter())
        .filter(|run| run.resident_bytes >= WORTH_BYTES)
        .take(RUNS)
        .collect();
    if runs.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(ink("largest free runs", Ink::Dim, page.colour));
    for run in runs {
        let end = if run.is_top { ", at the top" } else { "" };
        let line = format!(
            "  {:<16x}{:>10} resident of {}{end}",
            run.start,
            words::bytes(run.resident_bytes),
            words::bytes(run.bytes)
        );
        lines.push(cut_end(&line, page.columns).into_owned());
    }
}

/// How sure all of it is.
fn quality(heap: &Heap, page: Page, lines: &mut Vec<String>) {
    let quality = &heap.walked.quality;
    if quality.is_clean {
        let retried = match quality.retries {
            0 => String::new(),
            retries => format!(", {} of it read again", words::counted(retries, "piece")),
        };
        lines.extend(wrap(
            &format!("walk  clean: every chunk led to the next, all sums agree{retried}"),
            "",
            page.columns,
        ));
        return;
    }
    lines.push(ink("WALK NOT CLEAN", Ink::Alarm, page.colour));
    let running = match heap.cost.stopped_seconds {
        None => format!(
            " (the process ran; {}; --freeze stops it for the walk)",
            words::counted(u64::from(heap.cost.attempts), "attempt")
        ),
        Some(_) => String::new(),
    };
    let text = format!("{}{running}", doubts(quality).join("; "));
    lines.extend(wrap(&text, "  ", page.columns));
}

fn doubts(quality: &Quality) -> Vec<String> {
    let signed = |number: i64, thing: &str| match number < 0 {
        true => format!(
            "{} more than there should be",
            words::counted(number.unsigned_abs(), thing)
        ),
        false => format!("{} missing", words::counted(number.unsigned_abs(), thing)),
    };
    let counted = [
        (quality.breaks, "place", "where chunks did not lead on"),
        (
            quality.wrong_footers,
            "free chunk",
            "whose footer disagrees",
        ),
        (
            quality.adjacent_free,
            "pair",
            "of free chunks that should be one",
        ),
        (
            quality.misplaced,
            "listed chunk",
            "that the walk did not meet",
        ),
        (quality.lists_cut_off, "list", "not followed to the end"),
        (quality.broken_bins, "bin", "that did not lead back"),
        (quality.arenas_cut_off, "arena", "not found whole"),
    ];
    let mut doubts: Vec<String> = (counted.iter())
        .filter(|(number, ..)| *number > 0)
        .map(|(number, thing, what)| format!("{} {what}", words::counted(*number, thing)))
        .collect();
    if quality.unknown_bytes > 0 {
        doubts.push(format!("{} not told", words::bytes(quality.unknown_bytes)));
    }
    if quality.missing_bytes != 0 {
        let bytes = words::growth(quality.missing_bytes);
        doubts.push(format!(
            "arenas say they have {bytes} beside what was walked"
        ));
    }
    if quality.missing_mapped != 0 {
        doubts.push(signed(quality.missing_mapped, "mapped block"));
    }
    if quality.has_no_parameters {
        doubts.push("malloc's parameters were not found: mapped blocks may be missing".to_owned());
    }
    doubts
}
