//! The closer looks at a program, and what the newest saw of its heap and sockets.

use maud::{Markup, html};

use super::{super::shapes, LineSources};
use crate::model::{Level, host::CloserLook};
use crate::render::{
    html::{heap, sockets, verdict},
    names, words,
};

const ROWS: usize = 30;

pub fn section(sources: &LineSources<'_>) -> Markup {
    html! {
        section #looks aria-labelledby="looks-heading" {
            h2 #looks-heading { "Closer looks" }
            @if sources.looks.is_empty() {
                p.absent { "None is kept. memtrace traces a program by itself when its troughs rise." }
            }
            ul.happenings {
                @for look in sources.looks.iter().take(ROWS) { (row(look)) }
            }
        }
        @if let (Some(look), Some(report)) = (sources.looks.first(), sources.report) {
            p.hint {
                "What follows is of the closer look at " (shapes::time(look.start_ms)) ": "
                a href=(shapes::look_address(&look.id)) { "all of it" } "."
            }
            @if report.sockets.is_some() { (sockets::section(report)) }
            @if report.heap.is_some() { (heap::section(report)) }
        }
    }
}

fn row(look: &CloserLook) -> Markup {
    let seconds = look.end_ms.saturating_sub(look.start_ms) as f64 / 1000.0;
    let level = match look.level {
        Level::Exact => "every call",
        Level::Sampled => "sampled",
    };
    html! {
        li.plain {
            a href=(shapes::look_address(&look.id)) { (shapes::time(look.start_ms)) }
            " " span.place { (words::seconds(seconds)) ", " (level) }
            @for it in look.verdicts.iter().take(3) {
                " " span.state.(verdict::tone(it.kind)) { (words::kind(it.kind)) }
            }
            @if let Some(first) = look.verdicts.first() { " " (names::sanitize(&first.summary)) }
            span.place { (names::sanitize(&look.reason)) }
        }
    }
}
