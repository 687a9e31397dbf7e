//! `diff.html`: what grew between two recordings, as a page: verdict, sums, the differential
//! flame graph, the sites that differ.

use std::io::{self, Write};

use maud::{Markup, html};

use super::{
    embed::{self, Thinned},
    page, parts, verdict,
};
use crate::analyze::diff::{Account, Change, Difference, Row};
use crate::model::Report;
use crate::render::{
    diff::{picture, sentences, whose},
    names, words,
};

/// Sites that grew, and that shrank; all are in diff.json.
const SITES: usize = 100;

/// Writes the page.
///
/// # Errors
/// Those of `to`; `InvalidData` for damaged recordings whose bytes add up to 2^55 and more.
pub fn write(difference: &Difference<'_>, mut to: impl Write) -> io::Result<()> {
    let mut svg = Vec::new();
    picture::write_svg(difference, &mut svg)?;
    let svg = String::from_utf8_lossy(&svg);
    let script = embed::script(&svg);
    let scripts: Vec<&str> = script.as_deref().into_iter().collect();
    let after = names::processes(difference.after);
    let body = html! {
        (header(difference, &after))
        main {
            (verdicts(difference))
            (graph(&svg))
            (account(difference, &difference.live, "Live", "live"))
            @if let Some(mapped) = &difference.mapped {
                (account(difference, mapped, "Mapped and resident", "mapped"))
            }
        }
        footer {
            p { "Written by memtrace " (env!("CARGO_PKG_VERSION"))
                ". All figures are in diff.json, which stands beside this page." }
        }
    };
    let page = page::document(&format!("memtrace diff: {after}"), &scripts, &body);
    to.write_all(page.into_string().as_bytes())
}

fn header(difference: &Difference<'_>, after: &str) -> Markup {
    let caveats = sentences(difference);
    html! {
        header {
            h1 { span.tool { "memtrace diff" } " " (after) }
            dl.figures {
                div { dt { "Before" } dd { (window(difference.before)) } }
                div { dt { "After" } dd { (window(difference.after)) } }
            }
            @if !caveats.is_empty() {
                div.warning { @for caveat in &caveats { p { (caveat) } } }
            }
            nav aria-label="Sections" {
                a href="#verdict" { "Verdict" } " "
                a href="#graph" { "Flame graph" } " "
                a href="#live" { "Live" } " "
                @if difference.mapped.is_some() { a href="#mapped" { "Mapped" } }
            }
        }
    }
}

fn window(report: &Report) -> String {
    format!(
        "{}, {} from {}",
        names::processes(report),
        words::seconds(report.window.seconds),
        words::utc(&report.window.start_utc)
    )
}

fn verdicts(difference: &Difference<'_>) -> Markup {
    let is_single = difference.groups.len() <= 1;
    html! {
        section #verdict aria-labelledby="verdict-heading" {
            h2.aside #verdict-heading { "Verdict" }
            @if difference.verdicts.is_empty() {
                p { "No verdict: these recordings do not tell how the processes grew." }
            }
            @for it in &difference.verdicts {
                @let group = usize::try_from(it.process).ok().and_then(|it| difference.groups.get(it));
                @if let (Some(group), false) = (group, is_single) { h3 { (whose(group)) } }
                (verdict::card(it))
            }
        }
    }
}

fn graph(svg: &str) -> Markup {
    let thinned = Thinned::of(svg);
    html! {
        section #graph aria-labelledby="graph-heading" {
            h2 #graph-heading { "Flame graph of the difference" }
            @if let Some(why) = embed::empty(svg) {
                p.absent { (why) }
            } @else {
                p.hint { "Width is what is live in the second recording; red frames hold more themselves than in the first, blue ones less. What is gone has no width: the tables have it. Click a frame to zoom in, Ctrl-F within the picture finds a function." }
                @if let Some(text) = thinned.text("diff.svg") { p.hint { (text) } }
                (embed::frame("What differs, by stack", &thinned.svg, true))
            }
        }
    }
}

fn account(difference: &Difference<'_>, account: &Account<'_>, title: &str, id: &str) -> Markup {
    let differing: Vec<&Row<'_>> = account
        .rows
        .iter()
        .filter(|it| !it.change.is_none())
        .collect();
    let grew = differing.iter().filter(|it| it.change.bytes() > 0);
    let shrank = differing.iter().rev().filter(|it| it.change.bytes() < 0);
    let shown: Vec<&&Row<'_>> = grew.take(SITES).chain(shrank.take(SITES)).collect();
    let total = &account.total;
    let table = format!("{id}-table");
    html! {
        section id=(id) aria-labelledby={ (id) "-heading" } {
            h2 id={ (id) "-heading" } { (title) }
            dl.figures {
                div { dt { "In all" } dd {
                    (parts::bytes(total.before.bytes)) " before, " (parts::bytes(total.after.bytes)) " after: "
                    (change(total)) @if let Some(rate) = difference.pace.bytes_per_second(total) { ", " (words::growth_per_second(rate)) }
                } }
            }
            @if shown.is_empty() {
                p { "No site differs." }
            } @else {
                p.hint { "A site is one stack. What grew comes first, the largest growth on top; then what shrank."
                    @if differing.len() > shown.len() { " " (words::counted((differing.len() - shown.len()) as u64, "other site")) " differ by less: see diff.json." } }
                div.tools hidden { label { "Filter " input type="search" data-filter=(table); } " " button type="button" data-expand=(table) { "Expand all" } }
                (parts::scrolled(title, html! {
                    table id=(table) {
                        thead { tr {
                            th.number scope="col" { "Difference" } th scope="col" { "Function" }
                            th.number scope="col" { "Before" } th.number scope="col" { "After" }
                            th.number scope="col" { "Per second" } th scope="col" { "By" }
                        } }
                        tbody { @for it in &shown { (row(difference, it)) } }
                    }
                }))
            }
        }
    }
}

fn row(difference: &Difference<'_>, row: &Row<'_>) -> Markup {
    let group = difference.groups.get(row.group);
    html! {
        tr {
            td.number { (change(&row.change)) }
            td.function {
                (parts::folded_stack(row.frames))
                @if let (Some(group), true) = (group, difference.groups.len() > 1) { span.place { "in " (whose(group)) } }
                @if let Some(pool) = row.pool { span.place { "growth of a pool (" (parts::name(pool)) ")" } }
            }
            td.number { (parts::bytes(row.change.before.bytes)) }
            td.number { (parts::bytes(row.change.after.bytes)) }
            td.number { (pace(difference, &row.change)) }
            td.by { code { (row.source.name()) } }
        }
    }
}

fn change(change: &Change) -> Markup {
    parts::growth(change.before.bytes, change.after.bytes)
}

fn pace(difference: &Difference<'_>, change: &Change) -> String {
    let rate = difference.pace.bytes_per_second(change);
    rate.map(words::growth_per_second).unwrap_or_default()
}
