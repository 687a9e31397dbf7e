//! Every program in a row.

use maud::{Markup, html};

use super::shapes;
use crate::model::host::{LineView, View};
use crate::render::{html::parts, names, words};

/// Rows at most: the view's bound is of this order.
const ROWS: usize = 1000;

pub fn section(view: &View) -> Markup {
    let rest = view.lines.len().saturating_sub(ROWS);
    html! {
        section aria-labelledby="programs-heading" {
            h2 #programs-heading { "Programs" }
            div.finder hidden {
                label { "Filter " input #filter type="search" data-filter="programs" placeholder="name, group, state" autocomplete="off" spellcheck="false"; }
            }
            div #programs data-part {
                @if view.lines.is_empty() {
                    p.absent { "No program of some size is watched yet." }
                } @else {
                    table.programs {
                        thead { tr {
                            th scope="col" { "Program" }
                            th.trend scope="col" { "Trend" }
                            th.number scope="col" { "Resident" }
                            th.number.wide scope="col" { "Sockets" }
                            th.number.wide scope="col" { "Growth" }
                            th.number.wide scope="col" { "Restarts" }
                            th scope="col" { "State" }
                        } }
                        tbody { @for line in view.lines.iter().take(ROWS) { (row(view, line)) } }
                    }
                    @if rest > 0 { p { "and " (words::counted(rest as u64, "other program")) ", with less resident: see " a href="/api/view" { "/api/view" } } }
                }
            }
        }
    }
}

fn row(view: &View, line: &LineView) -> Markup {
    let (tone, word) = shapes::state(line);
    html! {
        tr {
            th scope="row" {
                a.row href=(shapes::address(line.line)) { (shapes::name(&line.name)) }
                span.place title=(names::sanitize(&line.group)) { (line.pid) " · " (shapes::short_group(view, &line.group)) }
            }
            td.trend { (shapes::sparkline(&line.recent)) }
            td.number {
                (parts::bytes(line.resident_bytes))
                @if line.swapped_bytes > 0 { span.place { "+ " (parts::bytes(line.swapped_bytes)) " swapped" } }
                @if line.bytes_per_second >= 1.0 { span.place.narrow { (shapes::rate(line.bytes_per_second)) } }
            }
            td.number.wide { @if shapes::sockets(line) > 0 { (parts::bytes(shapes::sockets(line))) } }
            td.number.wide { (shapes::rate(line.bytes_per_second)) }
            td.number.wide { @if line.restarts > 0 { (parts::count(u64::from(line.restarts))) } }
            td { span.state.(tone) { (word) } }
        }
    }
}
