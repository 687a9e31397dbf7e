//! The page: who and when, then the sections in the order in which they are asked for.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{about, graphs, heap, mappings, policy, process, sites, sockets};
use crate::model::{Level, Report};
use crate::render::{loss, names, words};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

pub fn page(report: &Report) -> Markup {
    let graphs = graphs::graphs(report);
    let scripts: Vec<&str> = graphs.scripts.iter().map(String::as_str).collect();
    let policy = policy::policy(SCRIPT, &scripts);
    let title = format!("memtrace: {}", names::processes(report));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
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
