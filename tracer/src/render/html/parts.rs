//! What several sections are made of: figures, stacks, names of processes.

use maud::{Markup, html};

use crate::analyze::verdict::own_function;
use crate::model::{Frame, JAVASCRIPT, Report};
use crate::render::{names, words};

/// Frames of a stack that are listed, the innermost; all are in report.json.
const FRAMES: usize = 48;
/// Longest name in a list, in characters.
const NAME_MAX: usize = 240;
/// Callers in a stack's line.
const CALLERS: usize = 6;

/// Bytes as people read them, and exactly: as the element's value and on hovering.
pub fn bytes(bytes: u64) -> Markup {
    html! { data value=(bytes) title={ (words::count(bytes)) " bytes" } { (words::bytes(bytes)) } }
}

/// A number.
pub fn count(number: u64) -> Markup {
    html! { data value=(number) { (words::count(number)) } }
}

/// A change, with its sign; nothing where there is none.
pub fn growth(from: u64, to: u64) -> Markup {
    let change = i128::from(to) - i128::from(from);
    let change = change.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    html! { @if change != 0 { data value=(change) { (words::growth(change)) } } }
}

/// A name that the traced process chose, at most so long.
pub fn name(text: &str) -> String {
    let clean = names::sanitize(text);
    match clean.char_indices().nth(NAME_MAX) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean.into_owned(),
    }
}

/// The function that a reader looks for first: the script's own, else the first one that
/// is no runtime's, else the first.
pub fn responsible(frames: &[Frame]) -> Option<&Frame> {
    let is_script = |frame: &&Frame| frame.module == JAVASCRIPT && own_function(frame).is_some();
    let is_own = |frame: &&Frame| own_function(frame).is_some();
    (frames.iter().find(is_script))
        .or_else(|| frames.iter().find(is_own))
        .or_else(|| frames.first())
}

/// A frame: its function and, beside it, its place.
pub fn frame(frame: &Frame) -> Markup {
    html! {
        @if frame.approximate { (words::APPROXIMATE_MARK) }
        code { (name(&names::frame(frame))) } " "
        span.at { (name(&names::place(frame))) }
    }
}

/// The callers in a line.
pub fn callers(frames: &[Frame]) -> String {
    name(&names::callers(frames, CALLERS))
}

/// A stack as a list, innermost first.
pub fn stack(frames: &[Frame]) -> Markup {
    html! {
        ol.stack {
            @for frame in frames.iter().take(FRAMES) {
                li { (self::frame(frame)) }
            }
            @if frames.len() > FRAMES {
                li.more { "and " (words::counted((frames.len() - FRAMES) as u64, "frame")) " more, in report.json" }
            }
        }
    }
}

/// The responsible function, which unfolds to its stack.
pub fn folded_stack(frames: &[Frame]) -> Markup {
    html! {
        @match responsible(frames) {
            None => { span.place { (names::STACK_LOST) } }
            Some(function) => {
                details.fold {
                    summary { (frame(function)) }
                    (stack(frames))
                }
            }
        }
    }
}

/// In reports of several processes: of which one.
pub fn whose(report: &Report, process: u32) -> Option<String> {
    (report.processes.len() > 1).then(|| names::process_of(report, process))
}

/// A table in a box of its own, so that it scrolls and not the page.
pub fn scrolled(label: &str, table: Markup) -> Markup {
    html! { div.scroll tabindex="0" role="region" aria-label=(label) { (table) } }
}
