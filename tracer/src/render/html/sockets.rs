//! What is in the kernel's queues of the processes' sockets, why, and whose doing it is.

use maud::{Markup, html};

use super::parts;
use crate::model::{Report, socket_look::Large, trace_sockets::Sockets};
use crate::render::{names, sockets, text, words};

/// Rows of each table.
const LARGEST: usize = 20;
const SITES: usize = 20;
/// Less is not worth a row.
const WORTH_BYTES: u64 = 4 << 10;

pub fn section(report: &Report) -> Markup {
    let Some(found) = &report.sockets else {
        return html! { section #sockets { h2 { "Sockets" } p { "The sockets were not looked at (--no-sockets)." } } };
    };
    html! {
        section #sockets aria-labelledby="sockets-heading" {
            h2 #sockets-heading { "Sockets" }
            (queues(found))
            (largest(found))
            (sites(report, found))
            @if let Some(accounting) = &found.accounting { p.hint { (text::sockets::balance(accounting)) } }
            @if let Some(pressure) = found.timeline.last().and_then(|it| text::sockets::pressure(&it.events)) { p { (pressure) } }
            p.hint { (text::sockets::how(found.probes)) }
            @for note in found.notes.iter().chain(&found.last.notes) { p.warning { (names::sanitize(note)) } }
        }
    }
}

fn queues(found: &Sockets) -> Markup {
    let (Some(first), Some(last)) = (found.timeline.first(), found.timeline.last()) else {
        return html! { p { "There was no look at them." } };
    };
    html! {
        p {
            (words::counted(last.connections, "connection")) " at the end"
            @if last.stalled > 0 { ", " strong { (words::count(last.stalled)) " of them wait for the other end to read" } }
            "."
        }
        (parts::scrolled("Queues", html! {
            table {
                thead { tr { th scope="col" { "In the kernel's queues" } th.number scope="col" { "At the end" } th.number scope="col" { "Change" } th.number scope="col" { "Most" } } }
                tbody {
                    @for (of, what) in text::sockets::QUEUES {
                        tr {
                            th scope="row" { (what) }
                            td.number { (parts::bytes(of(last))) }
                            td.number { (parts::growth(of(first), of(last))) }
                            td.number { (parts::bytes(found.timeline.iter().map(of).max().unwrap_or(0))) }
                        }
                    }
                }
            }
        }))
    }
}

fn largest(found: &Sockets) -> Markup {
    let is_worth = |it: &&Large| it.socket.memory.buffers() >= WORTH_BYTES;
    let shown: Vec<&Large> = found.last.largest.iter().filter(is_worth).collect();
    html! {
        @if !shown.is_empty() {
            h3 { "The largest" }
            (parts::scrolled("The largest sockets", html! {
                table {
                    thead { tr { th.number scope="col" { "Buffers" } th scope="col" { "Socket" } th scope="col" { "What holds it up" } } }
                    tbody {
                        @for it in shown.iter().take(LARGEST) {
                            tr {
                                td.number { (parts::bytes(it.socket.memory.buffers())) }
                                td { (sockets::who(it)) }
                                td { (sockets::how(it)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn sites(report: &Report, found: &Sockets) -> Markup {
    let mut shown: Vec<_> = found
        .sites
        .iter()
        .filter(|it| it.bytes >= WORTH_BYTES)
        .collect();
    shown.sort_by_key(|it| std::cmp::Reverse(it.bytes));
    let rest = shown
        .iter()
        .skip(SITES)
        .map(|it| it.bytes)
        .fold(0, u64::saturating_add);
    html! {
        @if !shown.is_empty() || !found.unattributed.is_empty() {
            h3 { "Whose doing" }
            (parts::scrolled("Whose doing it is", html! {
                table {
                    thead { tr { th.number scope="col" { "Bytes" } th.number scope="col" { "Sockets" } th scope="col" { "What" } th scope="col" { "Function" } } }
                    tbody {
                        @for site in shown.iter().take(SITES) {
                            tr {
                                td.number { (parts::bytes(site.bytes)) }
                                td.number { (parts::count(site.sockets)) }
                                td {
                                    (text::sockets::what(site))
                                    @if let Some(reading) = site.reading.as_ref().filter(|it| sockets::is_known(it)) { span.place { (sockets::reading(reading)) } }
                                    @if let Some(whose) = parts::whose(report, site.process) { span.place { "in " (whose) } }
                                }
                                td.function { (parts::folded_stack(&site.frames)) }
                            }
                        }
                        @if rest > 0 { tr { td.number { (parts::bytes(rest)) } td {} td { "all other stacks" } td {} } }
                        @for it in &found.unattributed {
                            @if it.bytes > 0 {
                                tr {
                                    td.number { (parts::bytes(it.bytes)) }
                                    td.number { (parts::count(it.sockets)) }
                                    td { "in " (text::sockets::queue(it.queue)) ", without a stack: " (names::sanitize(&it.why)) }
                                    td {}
                                }
                            }
                        }
                    }
                }
            }))
        }
    }
}
