//! The page: who and when, then the sections in the order in which they are asked for.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{SCRIPT, STYLE, about, graphs, heap, mappings, policy, process, sites, sockets};
use crate::model::{Level, Report};
use crate::render::{loss, names, words};

/// The page, and its policy.
pub fn page(report: &Report, way_back: Option<&Markup>) -> (Markup, String) {
    let graphs = graphs::graphs(report);
    let scripts: Vec<&str> = graphs.scripts.iter().map(String::as_str).collect();
    let title = format!("memtrace: {}", names::processes(report));
    let body = html! {
        @if let Some(way_back) = way_back { (way_back) }
        (header(report))
        main {
            (process::processes(report))
            (graphs.section)
            (sites::section(report))
            (heap::section(report))
            (mappings::section(report))
            (sockets::section(report))
            (about::lost(report))
            (about::measured(report))
        }
        footer {
            p { "Written by memtrace " (names::sanitize(&report.tool_version))
                ". All figures are in report.json, which stands beside this page." }
        }
    };
    let policy = policy::policy(SCRIPT, &scripts);
    (document(&title, &scripts, &body), policy)
}

/// A page of this title. `scripts`: those of the frames in it.
pub fn document(title: &str, scripts: &[&str], body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy::policy(SCRIPT, scripts));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (body)
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn header(report: &Report) -> Markup {
    let window = &report.window;
    let level = match report.level {
        Level::Exact if loss::any(&report.loss) || !report.not_covered.is_empty() => "not complete",
        Level::Exact => "every call recorded",
        Level::Sampled => "sampled: estimates",
    };
    let facts = [
        words::seconds(window.seconds),
        words::utc(&window.start_utc),
        format!("Linux {}", names::sanitize(&report.host.kernel)),
        level.to_owned(),
    ];
    html! {
        header {
            h1 { span.tool { "memtrace" } " " (names::processes(report)) }
            p.facts { @for fact in &facts { span { (fact) } " " } }
            nav aria-label="Sections" {
                a href="#verdict" { "Verdict" } " "
                a href="#graphs" { "Flame graphs" } " "
                a href="#sites" { "Allocations" } " "
                @if report.heap.is_some() { a href="#heap" { "Heap" } " " }
                @if report.mappings.is_some() { a href="#mappings" { "Mappings" } " " }
                @if report.sockets.is_some() { a href="#sockets" { "Sockets" } " " }
                a href="#measured" { "How it was measured" }
            }
            (about::warning(report))
        }
    }
}
