//! The heaps at the end: the resident set shared out, who keeps it, arenas, the map.

use maud::{Markup, PreEscaped, html};

use super::parts;
use crate::model::{
    Process, Report,
    heap::{Heap, Split},
    trace_heap::{ProcessHeap, Shares},
};
use crate::render::{heap_map, names, text, words};

/// Processes that are told of, those with the most resident.
const PROCESSES: usize = 20;
/// Of each: sites of shares, arenas.
const SITES: usize = 15;
const ARENAS: usize = 16;
/// A map is left out beyond: it is of a heap with very many regions.
const MAP_BYTES_MAX: usize = 1 << 20;

pub fn section(report: &Report) -> Markup {
    let Some(heap) = &report.heap else {
        return html! { section #heap { h2 { "Heap" } p { "The heaps were not looked at (--no-heap)." } } };
    };
    let mut processes: Vec<&ProcessHeap> = heap.processes.iter().collect();
    processes
        .sort_by_key(|it| std::cmp::Reverse(it.timeline.last().map(|it| it.split.resident_bytes)));
    let rest = processes.len().saturating_sub(PROCESSES);
    let is_one = processes.len() == 1;
    html! {
        section #heap aria-labelledby="heap-heading" {
            h2 #heap-heading { "Heap" }
            @if processes.is_empty() { p { "No heap could be looked into." } }
            @for process in processes.iter().take(PROCESSES) {
                details.process open[is_one] {
                    summary {
                        span.name { (names::process_of(report, process.process)) } " "
                        @if let Some(last) = process.timeline.last() { (parts::bytes(last.split.resident_bytes)) " resident" }
                    }
                    (one(report, process))
                }
            }
            @if rest > 0 { p { "and " (words::count(rest as u64)) " more, with less resident: see report.json" } }
        }
    }
}

fn one(report: &Report, process: &ProcessHeap) -> Markup {
    html! {
        @if let (Some(first), Some(last)) = (process.timeline.first(), process.timeline.last()) {
            (split(&first.split, &last.split))
        }
        @for sentence in text::heap::predictions(process) { p { (sentence) } }
        @if let Some(sentence) = text::heap::traced(process) { p { (sentence) } }
        @if let Some(shares) = &process.pinned { (who(report, process, shares, "Pinned by")) }
        @if let Some(shares) = &process.retained { (who(report, process, shares, "Freed by (predicted)")) }
        (arenas(process))
        (map(report, process))
        @if process.last.as_ref().is_some_and(|it| !it.walked.quality.is_clean) {
            p.warning { "The process changed its heap while it was read: these figures are approximate." }
        }
        @if let Some(why) = &process.not_walked { p.warning { (names::sanitize(why)) } }
    }
}

fn split(first: &Split, last: &Split) -> Markup {
    let parts_there = text::heap::PARTS
        .iter()
        .filter(|(of, _)| of(first) > 0 || of(last) > 0);
    parts::scrolled(
        "The resident set",
        html! {
            table {
                thead { tr { th scope="col" { "At the end" } th.number scope="col" { "Bytes" } th.number scope="col" { "Share" } th.number scope="col" { "Change" } } }
                tbody {
                    @for (of, what) in parts_there {
                        tr {
                            th scope="row" { (what) }
                            td.number { (parts::bytes(of(last))) }
                            td.number { (words::share(of(last), last.resident_bytes)) }
                            td.number { (parts::growth(of(first), of(last))) }
                        }
                    }
                    @if last.unexplained_bytes != 0 {
                        tr { th scope="row" { "changed meanwhile" } td.number { (words::growth(last.unexplained_bytes)) } td {} td {} }
                    }
                }
            }
        },
    )
}

fn who(report: &Report, process: &ProcessHeap, shares: &Shares, heading: &str) -> Markup {
    let rest = shares
        .sites
        .iter()
        .skip(SITES)
        .map(|it| it.bytes)
        .fold(0, u64::saturating_add);
    let site = |id: &str| {
        report
            .sites
            .iter()
            .find(|it| it.process == process.process && it.site_id == id)
    };
    html! {
        @if shares.total() > 0 {
            h4 { (heading) }
            (parts::scrolled(heading, html! {
                table {
                    thead { tr { th.number scope="col" { "Bytes" } th.number scope="col" { "Share" } th scope="col" { "Function" } } }
                    tbody {
                        @for share in shares.sites.iter().take(SITES) {
                            tr {
                                td.number { (parts::bytes(share.bytes)) }
                                td.number { (words::share(share.bytes, shares.total())) }
                                td.function { (parts::folded_stack(site(&share.site_id).map_or(&[], |it| &it.frames))) }
                            }
                        }
                        @for (bytes, what) in [
                            (rest, "all other sites"),
                            (shares.unseen_bytes, "blocks that the trace has not seen: older than it, or passed over"),
                            (shares.left_out_bytes, "pages that there was no room to look at one by one"),
                        ] {
                            @if bytes > 0 { tr { td.number { (parts::bytes(bytes)) } td.number { (words::share(bytes, shares.total())) } td { (what) } } }
                        }
                    }
                }
            }))
        }
    }
}

fn arenas(process: &ProcessHeap) -> Markup {
    let Some(last) = &process.last else {
        return html! {};
    };
    let mut arenas: Vec<_> = last.walked.arenas.iter().collect();
    arenas.sort_by_key(|it| std::cmp::Reverse(it.pages.resident_bytes));
    html! {
        @if !arenas.is_empty() {
            details.fold {
                summary { (words::counted(arenas.len() as u64, "arena")) " of glibc " (names::sanitize(&last.walked.version)) }
                (parts::scrolled("Arenas", html! {
                    table {
                        thead { tr {
                            th scope="col" { "Arena" } th.number scope="col" { "Resident" } th.number scope="col" { "Live" }
                            th.number scope="col" { "Empty pages" } th.number scope="col" { "Pinned" } th.number scope="col" { "malloc_trim" }
                        } }
                        tbody {
                            @for arena in arenas.iter().take(ARENAS) {
                                tr {
                                    th scope="row" { @if arena.is_main { "main" } @else { code { (format!("{:#x}", arena.address)) } } }
                                    td.number { (parts::bytes(arena.pages.resident_bytes)) }
                                    td.number { (parts::bytes(arena.chunks.live_bytes)) }
                                    td.number { (parts::bytes(arena.pages.empty_bytes)) }
                                    td.number { (parts::bytes(arena.pages.pinned_bytes)) }
                                    td.number { (parts::bytes(arena.trimmable_bytes)) }
                                }
                            }
                        }
                    }
                }))
                @if arenas.len() > ARENAS { p { "and " (words::count((arenas.len() - ARENAS) as u64)) " more, with less resident: see report.json" } }
            }
        }
    }
}

/// Each page of the heap, in address order.
fn map(report: &Report, process: &ProcessHeap) -> Markup {
    let (Some(last), Some(moment)) = (&process.last, process.timeline.last()) else {
        return html! {};
    };
    if last.walked.occupancy.cells.is_empty() {
        return html! {};
    }
    let of = report.processes.iter().find(|it| it.id == process.process);
    let svg = heap_map::svg(&Heap {
        process: of.cloned().unwrap_or_else(Process::default),
        time_utc: report.window.end_utc.clone(),
        split: moment.split,
        walked: last.walked.clone(),
        cost: last.cost,
    });
    html! {
        details.fold {
            summary { "Heap map: every page, in address order" }
            @if svg.len() > MAP_BYTES_MAX {
                p { "It is too large for this page: `memtrace heap PID` shows it of a running process." }
            } @else {
                (parts::scrolled("Heap map", html! { div.paper { (PreEscaped(svg)) } }))
            }
        }
    }
}
