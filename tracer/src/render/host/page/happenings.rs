//! What happened.

use maud::{Markup, html};

use super::shapes;
use crate::model::host::{Event, Happening, LineId, View};
use crate::render::host::happened::sentence;

/// Of the view's, the newest.
const EVENTS: usize = 40;
/// What is shown around one.
const BEFORE_MS: u64 = 15 * 60_000;
const AFTER_MS: u64 = 5 * 60_000;

pub fn section(view: &View) -> Markup {
    html! {
        section #events data-part aria-labelledby="events-heading" {
            h2 #events-heading { "What happened" }
            @if view.events.is_empty() { p.absent { "Nothing worth telling." } }
            @else { (list(view, view.events.iter().take(EVENTS))) }
        }
    }
}

/// Events with who they happened to.
fn list<'a>(view: &View, events: impl Iterator<Item = &'a Event>) -> Markup {
    html! {
        ul.happenings {
            @for event in events {
                li.(tone(&event.what)) {
                    span.when {
                        @match event.line {
                            Some(line) => a href=(around(line, event.at_ms)) title="the minutes around it" { (shapes::time(event.at_ms)) },
                            None => (shapes::time(event.at_ms)),
                        }
                    } " "
                    @if let Some(line) = event.line {
                        a href=(shapes::address(line)) { (of(view, line)) } " "
                    }
                    (sentence(&event.what))
                    @if let Happening::LookEnded { look: Some(look), .. } = &event.what {
                        " " a href=(shapes::look_address(look)) { "Closer look" }
                    }
                }
            }
        }
    }
}

/// The last minutes before, and what came of it.
fn around(line: LineId, at_ms: u64) -> String {
    let (from, to) = (
        at_ms.saturating_sub(BEFORE_MS),
        at_ms.saturating_add(AFTER_MS),
    );
    format!("{}?from={from}&to={to}", shapes::address(line))
}

fn of(view: &View, line: LineId) -> String {
    match view.lines.iter().find(|it| it.line == line) {
        Some(line) => shapes::who(line),
        None => "a program that is gone".to_owned(),
    }
}

const fn tone(what: &Happening) -> &'static str {
    match what {
        Happening::OutOfMemory { .. } => "bad",
        Happening::Spike { .. } | Happening::Grows { .. } | Happening::Gap { .. } => "warn",
        _ => "plain",
    }
}
