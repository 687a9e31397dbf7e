//! A closer look: its whole report, with a way back to the host.

use maud::html;

use super::{Page, shapes};
use crate::model::{Report, host::CloserLook};
use crate::render::{html as report_page, names, words};

/// The page of one: `report.html`, and why it was made.
#[must_use]
pub fn look(look: &CloserLook, report: &Report) -> Page {
    let seconds = look.end_ms.saturating_sub(look.start_ms) as f64 / 1000.0;
    let address = shapes::look_address(&look.id);
    let way_back = html! {
        nav aria-label="Back" {
            a href="/" { "← The host" } " "
            a href=(shapes::address(look.line)) { "Its timeline" } " "
            a href={ (address) "/report.json" } download { "report.json" } " "
            a href={ (address) "/profile.pb.gz" } download { "pprof" }
        }
        p.hint {
            "Closer look at " (shapes::name(&look.name)) " (" (look.pid) "), "
            (shapes::time(look.start_ms)) ", " (words::seconds(seconds)) ": "
            (names::sanitize(&look.reason))
            @if look.cost.is_finite() { " It took " (format!("{:.2}%", look.cost * 100.0)) " of a processor." }
        }
    };
    let (html, policy) = report_page::page_with(report, &way_back);
    Page { html, policy }
}
