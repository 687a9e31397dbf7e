//! Whose page faults made a program larger: the flame graph of any stretch of time, its largest
//! stacks, and the difference between two.

use std::io;

use maud::{Markup, html};

use super::{
    past::{self, Covered, Faulted},
    range::Range,
};
use crate::model::{
    Frame,
    host::{Interval, LineId},
    utc,
};
use crate::render::{
    flamegraph,
    html::{
        embed::{self, Thinned},
        parts,
    },
    names, words,
};

/// Stacks in the list.
const STACKS: usize = 8;

/// A section, and the scripts of its frames.
#[derive(Default)]
pub struct Graph {
    pub section: Markup,
    pub scripts: Vec<String>,
}

/// What came in within a stretch of time.
pub fn graph(name: &str, intervals: &[Interval], line: LineId, range: Range) -> Graph {
    let stacks = past::stacks(intervals, line);
    let drawn: Vec<(&[Frame], u64)> = stacks.iter().map(|it| (it.frames, it.bytes)).collect();
    let total = drawn.iter().fold(0_u64, |sum, it| sum.saturating_add(it.1));
    let samples = (stacks.iter()).fold(0_u64, |sum, it| sum.saturating_add(it.samples));
    let when = past::covered(intervals).map_or_else(|| told(range), known);
    let told = format!(
        "{when} · estimated from {} · what was given back is not taken off",
        words::counted(samples, "page fault")
    );
    let picture = drawn_as("What came in, by stack", |to| {
        flamegraph::write_faulted(name, &told, &drawn, to)
    });
    let section = html! {
        section #faults aria-labelledby="faults-heading" {
            h2 #faults-heading { "Which code made it larger" }
            @if stacks.is_empty() {
                p.absent { "No page fault of it was sampled in this time: it touched little new memory, or page faults are not sampled here (see “memtrace itself” on the first page)." }
            } @else {
                p.hint { (when) ". Memory that it came to have, by the stack that touched it first: " (words::bytes(total)) ", estimated from " (words::counted(samples, "sampled page fault")) ". What it gave back meanwhile is not taken off." }
                (list(&stacks, total))
                (picture.section)
            }
        }
    };
    Graph {
        section,
        scripts: picture.scripts,
    }
}

fn list(stacks: &[Faulted<'_>], total: u64) -> Markup {
    html! {
        ul.stacks {
            @for stack in stacks.iter().take(STACKS) {
                li {
                    details.fold {
                        summary {
                            span.share { (words::share(stack.bytes, total)) } " "
                            (parts::bytes(stack.bytes)) " "
                            @match parts::responsible(stack.frames) {
                                Some(frame) => (parts::frame(frame)),
                                None => span.place { (names::STACK_LOST) },
                            }
                            span.callers { (parts::callers(stack.frames)) }
                        }
                        (parts::stack(stack.frames))
                    }
                }
            }
        }
    }
}

/// Two stretches beside each other, both as if as much were known of them as of the later one.
pub fn difference(
    name: &str,
    line: LineId,
    (before, before_range): (&[Interval], Range),
    (after, range): (&[Interval], Range),
) -> Graph {
    let (Some(known_before), Some(known_after)) = (past::covered(before), past::covered(after))
    else {
        let absent = if before.is_empty() {
            before_range
        } else {
            range
        };
        return Graph {
            section: html! { p.absent { "The history has nothing of " (told(absent)) "." } },
            scripts: Vec::new(),
        };
    };
    let scale = known_after.ms as f64 / known_before.ms.max(1) as f64;
    let is_scaled = known_before.ms != known_after.ms;
    let before = past::stacks(before, line);
    let before: Vec<(&[Frame], u64)> = (before.iter())
        .map(|it| (it.frames, (it.bytes as f64 * scale) as u64))
        .collect();
    let after = past::stacks(after, line);
    let after: Vec<(&[Frame], u64)> = after.iter().map(|it| (it.frames, it.bytes)).collect();
    let scaled = if is_scaled { " (scaled)" } else { "" };
    let told = format!(
        "red: more than in {}{scaled} · blue: less · width: {}",
        told(known_before.range),
        told(known_after.range)
    );
    let picture = drawn_as("The difference", |to| {
        flamegraph::write_faulted_difference(name, &told, &before, &after, to)
    });
    let section = html! {
        p { strong { (known(known_after)) } ", compared with " strong { (known(known_before)) } ":" }
        @if is_scaled { p.hint { "Not as much is known of one as of the other: what came in before is scaled by " (format!("{scale:.2}")) "." } }
        (picture.section)
    };
    Graph {
        section,
        scripts: picture.scripts,
    }
}

fn drawn_as(title: &str, draw: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Graph {
    let mut svg = Vec::new();
    let outcome = draw(&mut svg);
    let svg = String::from_utf8_lossy(&svg);
    match (outcome, embed::empty(&svg)) {
        (Err(error), _) => Graph {
            section: html! { p.warning { "It cannot be drawn: " (error.to_string()) } },
            scripts: Vec::new(),
        },
        (Ok(()), Some(why)) => Graph {
            section: html! { p.absent { (why) } },
            scripts: Vec::new(),
        },
        (Ok(()), None) => {
            let thinned = Thinned::of(&svg);
            Graph {
                section: html! {
                    @if let Some(text) = thinned.text("/api/intervals") { p.hint { (text) } }
                    (embed::frame(title, &thinned.svg, true))
                },
                scripts: embed::script(&svg).into_iter().collect(),
            }
        }
    }
}

/// A stretch, and how much of it is known, where that is not all.
fn known(covered: Covered) -> String {
    let told = told(covered.range);
    let missing = covered.range.ms().saturating_sub(covered.ms);
    match missing {
        ..=2_000 => told,
        missing => format!(
            "{told}, without {} of which nothing is known",
            words::seconds(missing as f64 / 1000.0)
        ),
    }
}

/// A stretch of time in words.
pub fn told(range: Range) -> String {
    let [from, to] = [range.from_ms, range.to_ms].map(|it| words::utc(&utc::rfc3339(it)));
    let (day, _) = from.split_once(' ').unwrap_or((&from, ""));
    let to = to.strip_prefix(day).map_or(to.as_str(), str::trim_start);
    format!("{} – {to}", from.trim_end_matches(" UTC"))
}
