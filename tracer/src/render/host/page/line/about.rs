//! A program in figures: now, and over a stretch of time.

use maud::{Markup, html};

use super::super::{past, shapes};
use crate::model::host::{Gauge, Interval, LineId, LineView, Peak, View};
use crate::render::{html::parts, names, words};

/// Under the heading.
pub fn facts(view: &View, line: Option<&LineView>) -> Vec<String> {
    let mut facts = vec![names::sanitize(&view.host_name).into_owned()];
    if let Some(line) = line {
        facts.push(parts::name(&line.group));
        let age = view.at_ms.saturating_sub(line.since_ms);
        facts.push(format!("runs for {}", words::seconds((age / 1000) as f64)));
        if line.restarts > 0 {
            facts.push(words::counted(u64::from(line.restarts), "restart"));
        }
    }
    facts
}

/// How it is now.
pub fn about(view: &View, line: Option<&LineView>) -> Markup {
    let Some(line) = line else {
        return html! { p.warning { "It does not run now, or has become too small to be watched. This is its past." } };
    };
    let (tone, word) = shapes::state(line);
    html! {
        dl.strip {
            div { dt { "State" } dd { span.state.(tone) { (word) } } }
            div { dt { "Resident" } dd { (parts::bytes(line.resident_bytes)) } }
            div { dt { "Most ever" } dd { (parts::bytes(line.peak_bytes)) } }
            @if line.bytes_per_second >= 1.0 { div { dt { "Troughs rise" } dd { (shapes::rate(line.bytes_per_second)) } } }
            @if line.swapped_bytes > 0 { div { dt { "Swapped" } dd { (parts::bytes(line.swapped_bytes)) } } }
            div { dt { "Sockets" } dd { (parts::bytes(shapes::sockets(line))) } }
            div { dt { "Connections" } dd { (parts::count(line.connections)) } }
        }
        @if let Some(at_ms) = line.verdict_ms {
            p.hint { "Last judged " (shapes::ago(at_ms, view.at_ms)) "." }
        }
    }
}

/// When it was at its largest, and by whom.
pub fn peak(peak: &Peak) -> Markup {
    html! {
        article.verdict.warning {
            p.kind {
                strong.badge { "Spike" } " "
                span.figure { (parts::bytes(peak.bytes)) } " "
                span.sure { "usually " (parts::bytes(peak.usual_bytes)) ", at " (shapes::time(peak.at_ms)) }
            }
            @if peak.stacks.is_empty() {
                p.meaning { "No page fault was sampled on the way there." }
            } @else {
                h4 { "Whose page faults brought it there" }
                ul.stacks {
                    @for stack in peak.stacks.iter().take(5) {
                        li {
                            span.share { (format!("{:.0}%", stack.share.clamp(0.0, 1.0) * 100.0)) } " "
                            (parts::folded_stack(&stack.frames))
                        }
                    }
                }
            }
        }
    }
}

/// What the picture does not show.
pub fn numbers(intervals: &[Interval], line: LineId) -> Markup {
    let parts = past::parts(intervals, line);
    let gauge = |of: fn(&crate::model::host::LineInterval) -> Gauge| {
        let mut sum = Gauge::default();
        parts.iter().for_each(|it| sum.add(&of(it.2)));
        sum
    };
    let rows = [
        ("Swapped", gauge(|it| it.swapped), true),
        ("Connections", gauge(|it| it.connections), false),
    ];
    let count = |of: fn(&crate::model::host::LineInterval) -> u32| {
        parts.iter().map(|it| u64::from(of(it.2))).sum::<u64>()
    };
    let (starts, ends) = (count(|it| it.starts), count(|it| it.ends));
    html! {
        @for (what, gauge, is_bytes) in rows {
            @if gauge.max > 0 {
                p.hint {
                    (what) ": "
                    @for (number, (name, value)) in [("last", gauge.last), ("least", gauge.min), ("mean", gauge.mean()), ("most", gauge.max)].into_iter().enumerate() {
                        @if number > 0 { ", " }
                        (name) " "
                        @if is_bytes { (parts::bytes(value)) } @else { (parts::count(value)) }
                    }
                    "."
                }
            }
        }
        @if starts + ends > 0 {
            p.hint { "Processes of it that began: " (parts::count(starts)) ", that ended: " (parts::count(ends)) "." }
        }
    }
}
