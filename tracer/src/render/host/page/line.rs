//! One program: its history, what was found, which code.

mod about;
mod choose;
mod looks;

use maud::html;

use super::{
    Page,
    document::Document,
    faults::{self, Graph},
    history,
    range::Range,
    shapes,
};
use crate::model::{
    Report,
    host::{CloserLook, Interval, LineId, LineView, View},
};
use crate::render::{
    html::{chart, verdict},
    names,
};

/// What the page of a program is made from.
#[derive(Clone, Copy, Debug)]
pub struct LineSources<'a> {
    /// The present.
    pub view: &'a View,
    /// Which.
    pub line: LineId,
    /// What is asked for.
    pub range: Range,
    /// Whether it ends now.
    pub goes_on: bool,
    /// Its history.
    pub intervals: &'a [Interval],
    /// With what to compare, and its history.
    pub before: Option<(Range, &'a [Interval])>,
    /// Closer looks at it that are kept, newest first.
    pub looks: &'a [CloserLook],
    /// The recording of the newest.
    pub report: Option<&'a Report>,
    /// What could not be read, in sentences.
    pub troubles: &'a [String],
}

impl LineSources<'_> {
    fn present(&self) -> Option<&LineView> {
        self.view.lines.iter().find(|it| it.line == self.line)
    }

    /// Its name and process, as far back as they are known.
    fn name(&self) -> Option<String> {
        if let Some(line) = self.present() {
            return Some(shapes::who(line));
        }
        let mut parts = self.intervals.iter().rev().flat_map(|it| &it.lines);
        let part = parts.find(|it| it.line == self.line);
        let part = part.map(|it| format!("{} ({})", shapes::name(&it.name), it.pid));
        let look = self.looks.first();
        part.or_else(|| look.map(|it| format!("{} ({})", shapes::name(&it.name), it.pid)))
    }
}

/// The page at `/line/ID`; `None`: nothing is known of such a one, now or then.
#[must_use]
pub fn line(sources: &LineSources<'_>) -> Option<Page> {
    let name = sources.name()?;
    let timeline = history::timeline(sources.intervals, sources.line, sources.range);
    let graph = faults::graph(&name, sources.intervals, sources.line, sources.range);
    let difference = sources
        .before
        .map_or_else(Graph::default, |(range, before)| {
            let after = (sources.intervals, sources.range);
            faults::difference(&name, sources.line, (before, range), after)
        });
    let main = html! {
        @for trouble in sources.troubles { p.warning { (names::sanitize(trouble)) } }
        section #about data-part { (about::about(sources.view, sources.present())) }
        @if let Some(line) = sources.present() {
            section #verdicts data-part aria-label="Verdicts" {
                @for it in &line.verdicts { (verdict::card(it)) }
                @if let Some(peak) = &line.peak { (about::peak(peak)) }
            }
        }
        section aria-labelledby="timeline-heading" {
            h2 #timeline-heading { "Where its memory stood" }
            (choose::stretch(sources))
            div #timeline data-part {
                @match &timeline {
                    Some(timeline) => (chart::chart(timeline, &name)),
                    None => p.absent { "The history has nothing of it in this time." },
                }
                (about::numbers(sources.intervals, sources.line))
            }
        }
        (graph.section)
        section #compare aria-labelledby="compare-heading" {
            h2 #compare-heading { "Compared with another time" }
            (choose::comparison(sources))
            (difference.section)
        }
        (looks::section(sources))
    };
    let scripts = graph.scripts.into_iter().chain(difference.scripts);
    let page = Document::new(&name, main)
        .titled(format!("{name} · memtrace: {}", sources.view.host_name))
        .facts(about::facts(sources.view, sources.present()))
        .live(sources.goes_on.then_some(sources.view.at_ms))
        .frames(scripts.collect())
        .into_page();
    Some(page)
}
