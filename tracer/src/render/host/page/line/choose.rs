//! Which stretch of time to see, and with what to compare it: plain links and forms.

use maud::{Markup, html};

use super::{super::range::Range, LineSources};
use crate::model::utc;
use crate::render::html::parts;

const LENGTHS: [(&str, &str, u64); 6] = [
    ("15m", "15 min", 900_000),
    ("1h", "1 h", 3_600_000),
    ("6h", "6 h", 21_600_000),
    ("1d", "1 day", 86_400_000),
    ("7d", "7 days", 604_800_000),
    ("31d", "31 days", 2_678_400_000),
];

/// Links to other stretches, and a form for any.
pub fn stretch(sources: &LineSources<'_>) -> Markup {
    let range = sources.range;
    let is_shown = |ms: u64| sources.goes_on && range.ms() == ms;
    html! {
        nav.stretch aria-label="Stretch of time" {
            a href=(address(range.before(), None)) rel="prev" { "← before" } " "
            @for (last, text, ms) in LENGTHS {
                a href={ "?last=" (last) } aria-current=[is_shown(ms).then_some("true")] { (text) } " "
            }
            @if !sources.goes_on && range.to_ms < sources.view.at_ms {
                a href=(address(range.after(), None)) rel="next" { "after →" }
            }
        }
        form.stretch method="get" #stretch data-from=(range.from_ms) data-to=(range.to_ms) {
            (field("from", "From", range.from_ms))
            (field("to", "to", range.to_ms))
            button { "Show" }
            span.place { "UTC" }
            span.place.scripted hidden { "or drag across the picture" }
        }
    }
}

/// What to compare with: usually as long a stretch, just before.
pub fn comparison(sources: &LineSources<'_>) -> Markup {
    let range = sources.range;
    let before = sources.before.map_or_else(|| range.before(), |it| it.0);
    let day = 86_400_000;
    let yesterday = Range {
        from_ms: range.from_ms.saturating_sub(day),
        to_ms: range.to_ms.saturating_sub(day),
    };
    html! {
        nav.stretch aria-label="Compare with" {
            a href={ (address(range, Some(range.before()))) "#compare" } { "with as long before" } " "
            a href={ (address(range, Some(yesterday))) "#compare" } { "with the day before" }
        }
        form.stretch method="get" action="#compare" {
            input type="hidden" name="from" value=(range.from_ms);
            input type="hidden" name="to" value=(range.to_ms);
            (field("before_from", "With", before.from_ms))
            (field("before_to", "to", before.to_ms))
            button { "Compare" }
            span.place { "UTC" }
        }
    }
}

fn field(name: &str, label: &str, at_ms: u64) -> Markup {
    let text = utc::rfc3339(at_ms);
    let value = text.get(..19).unwrap_or_default();
    html! { label { (parts::name(label)) " " input type="datetime-local" step="1" name=(name) value=(value); } " " }
}

fn address(range: Range, before: Option<Range>) -> String {
    let mut address = format!("?from={}&to={}", range.from_ms, range.to_ms);
    if let Some(before) = before {
        address = format!(
            "{address}&before_from={}&before_to={}",
            before.from_ms, before.to_ms
        );
    }
    address
}
