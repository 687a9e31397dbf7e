//! A verdict as a card: what, how much, whose code, what to do; then why, and how sure.

use maud::{Markup, html};

use super::parts;
use crate::model::verdict::{Kind, Verdict, VerdictStack};
use crate::render::{names, words};

/// Stacks of each.
const STACKS: usize = 5;

/// One verdict.
pub fn card(verdict: &Verdict) -> Markup {
    let stacks = together(&verdict.stacks);
    let rate = verdict.bytes_per_second;
    html! {
        article.verdict.(tone(verdict.kind)) {
            p.kind {
                strong.badge { (words::kind(verdict.kind)) } " "
                @if verdict.bytes > 0 {
                    span.figure { (parts::bytes(verdict.bytes)) } " "
                    @if rate >= 1.0 {
                        span.figure.rate { data value=(rate) { (words::growth_per_second(rate)) } } " "
                    }
                }
                span.sure { (words::sure(verdict.confidence).0) }
            }
            p.summary { (names::sanitize(&verdict.summary)) }
            p.meaning { (words::meaning(verdict.kind)) }
            @if !stacks.is_empty() {
                h4 { "Whose code" }
                ul.stacks {
                    @for (share, stack) in &stacks {
                        li {
                            details.fold {
                                summary {
                                    span.share { (format!("{:.0}%", share * 100.0)) } " "
                                    @if let Some(frame) = parts::responsible(&stack.frames) { (parts::frame(frame)) }
                                    span.callers { (parts::callers(&stack.frames)) }
                                }
                                (parts::stack(&stack.frames))
                            }
                        }
                    }
                }
            }
            (sentences("What to do", &verdict.advice))
            (sentences("Why", &verdict.evidence))
            (sentences("Unless", &verdict.would_change))
            p.meaning { "How sure: " (words::sure(verdict.confidence).0) ", " (words::sure(verdict.confidence).1) "." }
        }
    }
}

/// Stacks that look the same in a line are one; shares add up.
fn together(stacks: &[VerdictStack]) -> Vec<(f64, &VerdictStack)> {
    let mut told: Vec<(String, f64, &VerdictStack)> = Vec::new();
    for stack in stacks.iter().filter(|it| !it.frames.is_empty()) {
        let line = parts::callers(&stack.frames);
        match told.iter_mut().find(|it| it.0 == line) {
            Some(same) => same.1 += stack.share,
            None => told.push((line, stack.share, stack)),
        }
    }
    told.sort_by(|a, b| b.1.total_cmp(&a.1));
    let told = told.into_iter().take(STACKS);
    told.map(|(_, share, stack)| (share, stack)).collect()
}

fn sentences(heading: &str, sentences: &[String]) -> Markup {
    html! {
        @if !sentences.is_empty() {
            h4 { (heading) }
            ul { @for sentence in sentences { li { (names::sanitize(sentence)) } } }
        }
    }
}

/// Its colour, which only repeats what the word says.
pub const fn tone(kind: Kind) -> &'static str {
    match kind {
        Kind::Healthy => "good",
        Kind::NotEnoughData => "unknown",
        Kind::Retention | Kind::Fragmentation => "warning",
        _ => "bad",
    }
}

/// Whether it says that something is wrong.
pub const fn accuses(kind: Kind) -> bool {
    !matches!(kind, Kind::Healthy | Kind::NotEnoughData)
}
