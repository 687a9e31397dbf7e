//! What memtrace itself takes, cannot see, and has lost.

use maud::{Markup, html};

use crate::model::host::{OwnCost, View};
use crate::render::{html::parts, names};

const ROWS: usize = 60;

pub fn section(view: &View) -> Markup {
    html! {
        section #own data-part aria-labelledby="own-heading" {
            h2 #own-heading { "memtrace itself" }
            (cost(&view.own))
            @if !view.gaps.is_empty() {
                h3 { "Not to be seen here" }
                ul { @for gap in view.gaps.iter().take(ROWS) { li { (names::sanitize(gap)) } } }
            }
            @if view.losses.is_empty() {
                p.hint { "Nothing was lost since it began." }
            } @else {
                h3 { "Not seen or not kept since it began" }
                ul { @for (what, times) in view.losses.iter().take(ROWS) {
                    li { (names::sanitize(what)) ": " (parts::count(*times)) }
                } }
            }
        }
    }
}

fn cost(own: &OwnCost) -> Markup {
    html! {
        dl.strip {
            div { dt { "Processor" } dd { (share(own.cpu)) " of one" } }
            div { dt { "Taken of the traced" } dd { (share(own.probes)) " of one" } }
            div { dt { "Resident" } dd { (parts::bytes(own.resident_bytes)) } }
            div { dt { "BPF maps" } dd { (parts::bytes(own.map_bytes)) } }
            div { dt { "History on disk" } dd { (parts::bytes(own.history_bytes)) } }
        }
    }
}

fn share(part: f64) -> String {
    match part {
        it if !it.is_finite() || it < 0.0 => "?".to_owned(),
        it if it > 0.0 && it < 0.0005 => "<0.1%".to_owned(),
        it => format!("{:.1}%", it * 100.0),
    }
}
