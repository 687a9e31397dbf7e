//! Small things that several parts of the page are made of.

use maud::{Markup, html};

use crate::model::{
    host::{LineId, LineView, LookId, State, View},
    utc,
    verdict::PlaceName,
};
use crate::render::{html::parts, html::verdict::tone, names, words};

/// Units of a sparkline.
const WIDE: f64 = 100.0;
const HIGH: f64 = 24.0;
/// A line that moves by less than this share of its size is drawn as nearly flat.
const FLAT: f64 = 0.1;
/// Characters of a short name: a container's id is 64 digits long.
const SHORT: usize = 28;

/// The course of a figure in a word's room.
pub fn sparkline(recent: &[u64]) -> Markup {
    let (Some(first), Some(last)) = (recent.first(), recent.last()) else {
        return html! {};
    };
    let least = recent.iter().min().copied().unwrap_or(0) as f64;
    let most = recent.iter().max().copied().unwrap_or(0) as f64;
    let span = (most - least).max(most * FLAT).max(1.0);
    let low = (f64::midpoint(least, most) - span / 2.0).max(0.0);
    let step = WIDE / (recent.len().saturating_sub(1)).max(1) as f64;
    let points = recent.iter().enumerate().map(|(number, bytes)| {
        let down = (1.0 - (*bytes as f64 - low) / span).clamp(0.0, 1.0);
        format!(
            "{:.1},{:.1}",
            number as f64 * step,
            1.0 + down * (HIGH - 2.0)
        )
    });
    let points: Vec<String> = points.collect();
    let said = format!("from {} to {}", words::bytes(*first), words::bytes(*last));
    html! {
        svg.spark viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label=(said) {
            polyline points=(points.join(" ")) {}
        }
    }
}

/// A program's name, as it stands in a link.
pub fn name(name: &str) -> String {
    match name.trim() {
        "" => "[without a name]".to_owned(),
        name => parts::name(name),
    }
}

/// Name and process.
pub fn who(line: &LineView) -> String {
    format!("{} ({})", name(&line.name), line.pid)
}

/// Where a line's page is.
pub fn address(line: LineId) -> String {
    format!("/line/{}", line.0)
}

/// Where a closer look is. Its name is of letters, digits and hyphens; of another nothing is there.
pub fn look_address(look: &LookId) -> String {
    let is_part = |it: &char| it.is_ascii_alphanumeric() || *it == '-';
    let name: String = look.0.chars().filter(is_part).collect();
    format!("/look/{name}")
}

/// The container's name, else the last part of a group's path, cut where it is a long number; all
/// of it stands where there is room.
pub fn short_group(view: &View, group: &str) -> String {
    let known = view.groups.iter().find(|it| it.group == group);
    match known.and_then(|it| it.container.as_deref()) {
        Some(container) => short(container),
        None => short(unit(names::basename(group))),
    }
}

/// A unit of systemd's, without what kind of one it is.
fn unit(name: &str) -> &str {
    let kinds = [".service", ".scope"];
    kinds
        .iter()
        .find_map(|it| name.strip_suffix(it))
        .unwrap_or(name)
}

/// A name that stands beside others.
pub fn short(name: &str) -> String {
    let clean = names::sanitize(name);
    match clean.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", clean.get(..end).unwrap_or_default()),
        None => clean.into_owned(),
    }
}

/// How it stands with a line: its colour, and the word.
pub fn state(line: &LineView) -> (&'static str, &'static str) {
    match line.state {
        State::New => ("unknown", "new"),
        State::Healthy => ("good", "healthy"),
        State::Grows => ("bad", "grows"),
        State::Looking => ("bad", "grows, being looked at"),
        State::Judged => match line.verdicts.first() {
            Some(verdict) => (tone(verdict.kind), words::kind(verdict.kind)),
            None => ("unknown", "judged"),
        },
    }
}

/// Whether somebody should look at it.
pub fn needs_attention(line: &LineView) -> bool {
    match line.state {
        State::New | State::Healthy => false,
        State::Grows | State::Looking => true,
        State::Judged => line.verdicts.iter().any(|it| it.kind.accuses()),
    }
}

/// Socket memory of a line.
pub fn sockets(line: &LineView) -> u64 {
    (line.places.get(&PlaceName::Sockets)).copied().unwrap_or(0)
}

/// A rate, where there is one.
pub fn rate(bytes_per_second: f64) -> Markup {
    html! {
        @if bytes_per_second.is_finite() && bytes_per_second.abs() >= 1.0 {
            data value=(bytes_per_second) title=(format!("{bytes_per_second:.0} bytes per second")) { (words::growth_per_time(bytes_per_second)) }
        }
    }
}

/// A moment for people, exact for machines.
pub fn time(at_ms: u64) -> Markup {
    let text = utc::rfc3339(at_ms);
    html! { time datetime=(text) { (words::utc(&text)) } }
}

/// How long ago that was.
pub fn ago(at_ms: u64, now_ms: u64) -> String {
    format!(
        "{} ago",
        words::seconds((now_ms.saturating_sub(at_ms) / 1000) as f64)
    )
}

/// A share as a bar; what it means stands beside it.
pub fn bar(part: u64, whole: u64) -> Markup {
    let share = match whole {
        0 => 0.0,
        whole => (part as f64 / whole as f64).clamp(0.0, 1.0),
    };
    let class = if share >= 0.9 { "full" } else { "" };
    html! { span.bar.(class) aria-hidden="true" { span style={ "width:" (format!("{:.1}%", share * 100.0)) } {} } }
}
