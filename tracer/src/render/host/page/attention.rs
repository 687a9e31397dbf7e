//! Those who grow or have a verdict: whose, how much, which code.

use maud::{Markup, html};

use super::shapes::{self, needs_attention};
use crate::model::{
    Frame,
    host::{LineView, Peak, State, View},
    verdict::Verdict,
};
use crate::render::{html::parts, names, words};

/// Cards at most; the table below has all.
const CARDS: usize = 20;
/// Frames of the code responsible.
const FRAMES: usize = 3;

pub fn section(view: &View) -> Markup {
    let all: Vec<&LineView> = (view.lines.iter())
        .filter(|it| needs_attention(it))
        .collect();
    let rest = all.len().saturating_sub(CARDS);
    html! {
        section #attention data-part aria-label="What needs attention" {
            @for line in all.iter().take(CARDS) { (card(view, line)) }
            @if rest > 0 { p { "and " (words::counted(rest as u64, "other program")) ", in the table below" } }
        }
    }
}

fn card(view: &View, line: &LineView) -> Markup {
    let (tone, word) = shapes::state(line);
    let verdict = line.verdicts.iter().find(|it| it.kind.accuses());
    html! {
        article.verdict.(tone) {
            h2.who {
                a.row href=(shapes::address(line.line)) { (shapes::name(&line.name)) }
                " " span.place { "pid " (line.pid) " · " (shapes::short_group(view, &line.group)) }
            }
            div.card {
                div {
                    p.kind {
                        strong.badge { (word) } " "
                        span.figure { (parts::bytes(line.resident_bytes)) } " "
                        @if line.bytes_per_second >= 1.0 { span.figure.rate { (shapes::rate(line.bytes_per_second)) } }
                    }
                    @match verdict {
                        Some(verdict) => (judged(line, verdict)),
                        None => p.summary { (waiting(line)) },
                    }
                }
                (shapes::sparkline(&line.recent))
            }
            @if let Some(peak) = &line.peak { (spike(peak)) }
            p.ways {
                a href=(shapes::address(line.line)) { "Timeline and flame graph" }
                @if let Some(look) = line.looks.first() {
                    " " a href=(shapes::look_address(look)) { "Closer look" }
                }
                @if let Some(at_ms) = line.verdict_ms {
                    " " span.place { "verdict of " (shapes::ago(at_ms, view.at_ms)) }
                }
            }
        }
    }
}

fn waiting(line: &LineView) -> String {
    let rate = words::growth_per_time(line.bytes_per_second);
    match line.state {
        State::Looking => {
            format!("Its troughs rise by {rate}. It is being traced: a verdict is due in minutes.")
        }
        _ => format!("Its troughs rise by {rate}. A closer look is due."),
    }
}

fn judged(line: &LineView, verdict: &Verdict) -> Markup {
    html! {
        p.summary { (names::sanitize(&verdict.summary)) }
        @if let Some(stack) = verdict.stacks.iter().find(|it| !it.frames.is_empty()) {
            (code(stack.share, &stack.frames))
        }
        @if let Some(advice) = verdict.advice.first() { p.meaning { (names::sanitize(advice)) } }
        @let others = line.verdicts.iter().filter(|it| it.kind.accuses()).skip(1);
        @let others: Vec<&str> = others.map(|it| words::kind(it.kind)).collect();
        @if !others.is_empty() { p.meaning { "Also: " (others.join(", ")) } }
    }
}

/// The responsible function with its callers, and the whole stack on demand.
fn code(share: f64, frames: &[Frame]) -> Markup {
    let own = parts::responsible(frames);
    let from = own.and_then(|own| frames.iter().position(|it| std::ptr::eq(it, own)));
    let shown = frames.iter().skip(from.unwrap_or(0)).take(FRAMES);
    html! {
        details.fold {
            summary {
                span.share { (format!("{:.0}%", share.clamp(0.0, 1.0) * 100.0)) } " "
                @for (number, frame) in shown.enumerate() {
                    @if number > 0 { span.callers { "called by " (parts::frame(frame)) } }
                    @else { span.own { (parts::frame(frame)) } }
                }
            }
            (parts::stack(frames))
        }
    }
}

fn spike(peak: &Peak) -> Markup {
    html! {
        p.meaning {
            "Highest: " (parts::bytes(peak.bytes)) " at " (shapes::time(peak.at_ms))
            ", usually " (parts::bytes(peak.usual_bytes))
            @if let Some(frame) = peak.stacks.first().and_then(|it| parts::responsible(&it.frames)) {
                ", brought there by " (parts::frame(frame))
            }
        }
    }
}
