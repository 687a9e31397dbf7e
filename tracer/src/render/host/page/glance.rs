//! The host at a glance.

use maud::{Markup, html};

use super::{Page, attention, document::Document, groups, happenings, headline, own, programs};
use super::{headline::Headline, shapes};
use crate::model::{
    host::{HostMemory, View},
    utc,
};
use crate::render::{html::parts, names, words};

/// The page at `/`. `now_ms` is the server's clock, which tells how old the view is.
#[must_use]
pub fn glance(view: &View, now_ms: u64) -> Page {
    let headline = headline::headline(view);
    let main = html! {
        section #headline data-part { (told(&headline)) (headline::warnings(view, now_ms)) (memory(&view.host)) }
        (attention::section(view))
        (programs::section(view))
        (groups::section(view))
        (happenings::section(view))
        (own::section(view))
    };
    let mark = match headline.number {
        0 => String::new(),
        number => format!("({number}) "),
    };
    let host = names::sanitize(&view.host_name);
    Document::new(&view.host_name, main)
        .titled(format!("{mark}memtrace: {host}"))
        .facts(facts(view))
        .live(Some(view.at_ms))
        .into_page()
}

fn facts(view: &View) -> Vec<String> {
    let mut facts = Vec::new();
    if view.at_ms > 0 {
        facts.push(words::utc(&utc::rfc3339(view.at_ms)));
    }
    facts.push(words::counted(view.lines.len() as u64, "program"));
    if view.other_processes > 0 {
        facts.push(format!(
            "{} small processes with {}",
            words::count(view.other_processes),
            words::bytes(view.other_bytes)
        ));
    }
    facts
}

fn told(headline: &Headline) -> Markup {
    html! { p.headline.(headline.tone) { (headline.text) } }
}

/// The host's memory in a row of figures.
fn memory(host: &HostMemory) -> Markup {
    if host.total_bytes == 0 {
        return html! {};
    }
    let used = host.total_bytes.saturating_sub(host.available.last);
    html! {
        dl.strip {
            div {
                dt { "In use" }
                dd { (parts::bytes(used)) " of " (parts::bytes(host.total_bytes)) (shapes::bar(used, host.total_bytes)) }
            }
            div { dt { "Processes' own" } dd { (parts::bytes(host.anonymous.last)) } }
            div { dt { "Kernel, slab" } dd { (parts::bytes(host.slab.last)) } }
            div { dt { "Sockets" } dd { (parts::bytes(host.sockets.last)) } }
            div { dt { "Swapped" } dd { (parts::bytes(host.swapped.last)) } }
            @if host.stalled_us > 0 {
                div { dt { "Waited for memory" } dd { (words::seconds(host.stalled_us as f64 / 1e6)) } }
            }
        }
    }
}
