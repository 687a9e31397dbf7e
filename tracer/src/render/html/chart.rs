//! A timeline as a picture: areas upon each other, drawn here, so that no script is
//! needed. The areas stretch with the page; words stand beside them and do not.

mod ticks;

use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};
use serde::Serialize;

use super::parts;
use super::timeline::Timeline;
use crate::render::words;

/// Units across and down.
const SIDE: f64 = 1000.0;
/// Lines across, at most.
const TICKS: u64 = 5;

pub fn chart(timeline: &Timeline, of: &str) -> Markup {
    let (sums, most) = sums(timeline);
    let step = bytes_step(most);
    let top = step.saturating_mul(most.div_ceil(step)).max(1);
    let scale = Scale {
        seconds: timeline.window.max(1e-3),
        bytes: top as f64,
    };
    let ticks: Vec<u64> = (0..=most.div_ceil(step))
        .map(|it| it.saturating_mul(step))
        .collect();
    html! {
        figure.timeline {
            div.plot {
                div.y aria-hidden="true" {
                    @for tick in &ticks {
                        span style={ "bottom:" (percent(*tick as f64 / scale.bytes)) } { (short_bytes(*tick)) }
                    }
                }
                div.area {
                    svg viewBox="0 0 1000 1000" preserveAspectRatio="none" role="img" aria-label=(description(timeline, of)) {
                        @for tick in &ticks {
                            line.grid x1="0" x2="1000" y1=(scale.y(*tick)) y2=(scale.y(*tick)) {}
                        }
                        @for (from, to) in &timeline.gaps {
                            rect.gap x=(scale.x(*from)) width=(scale.width(*from, *to)) y="0" height="1000" {}
                        }
                        @for (number, layer) in timeline.layers.iter().enumerate() {
                            path.{ "p-" (layer.class) } d=(scale.area(&timeline.seconds, &sums, number)) {}
                        }
                        @if !timeline.live.is_empty() {
                            path.live-line d=(scale.line(&timeline.seconds, &timeline.live)) {}
                        }
                        @if !timeline.resident.is_empty() {
                            path.resident-line d=(scale.line(&timeline.seconds, &timeline.resident)) {}
                        }
                        @for event in &timeline.events {
                            line.event x1=(scale.x(event.seconds)) x2=(scale.x(event.seconds)) y1="0" y2="1000" {}
                        }
                    }
                    @for (number, event) in timeline.events.iter().enumerate() {
                        span.mark style={ "left:" (percent(event.seconds / scale.seconds)) } title=(event.text) { (number + 1) }
                    }
                    div.cursor hidden {}
                }
                div.x aria-hidden="true" {
                    @for (tick, text) in ticks::across(scale.seconds, timeline.clock_ms) {
                        span.start[tick < scale.seconds * 0.03].end[tick > scale.seconds * 0.95] style={ "left:" (percent(tick / scale.seconds)) } { (text) }
                    }
                }
            }
            output.readout hidden {}
            figcaption { (legend(timeline)) }
            (data(timeline))
        }
    }
}

/// What stands below each layer's upper edge, moment by moment, and the most of all.
fn sums(timeline: &Timeline) -> (Vec<Vec<u64>>, u64) {
    let mut below = vec![0_u64; timeline.seconds.len()];
    let mut sums = vec![below.clone()];
    for layer in &timeline.layers {
        for (sum, bytes) in below.iter_mut().zip(&layer.bytes) {
            *sum = sum.saturating_add(*bytes);
        }
        sums.push(below.clone());
    }
    let lines = timeline.live.iter().chain(&timeline.resident);
    let most = below.iter().chain(lines).max().copied().unwrap_or(0);
    (sums, most.max(1))
}

struct Scale {
    seconds: f64,
    bytes: f64,
}

impl Scale {
    fn x(&self, second: f64) -> String {
        format!("{:.1}", (second / self.seconds).clamp(0.0, 1.0) * SIDE)
    }

    fn width(&self, from: f64, to: f64) -> String {
        let part = (to.min(self.seconds) - from.max(0.0)) / self.seconds;
        format!("{:.1}", part.clamp(0.0, 1.0) * SIDE)
    }

    fn y(&self, bytes: u64) -> String {
        format!(
            "{:.1}",
            (1.0 - bytes as f64 / self.bytes).clamp(0.0, 1.0) * SIDE
        )
    }

    /// From a layer's upper edge back along its lower one.
    fn area(&self, seconds: &[f64], sums: &[Vec<u64>], layer: usize) -> String {
        let (Some(below), Some(above)) = (sums.get(layer), sums.get(layer + 1)) else {
            return String::new();
        };
        let mut path = self.line(seconds, above);
        for (second, bytes) in seconds.iter().zip(below).rev() {
            let _infallible = write!(path, "L{} {}", self.x(*second), self.y(*bytes));
        }
        path.push('Z');
        path
    }

    fn line(&self, seconds: &[f64], bytes: &[u64]) -> String {
        let mut path = String::new();
        for (number, (second, bytes)) in seconds.iter().zip(bytes).enumerate() {
            let to = if number == 0 { 'M' } else { 'L' };
            let _infallible = write!(path, "{to}{} {}", self.x(*second), self.y(*bytes));
        }
        path
    }
}

/// The legend is a table of the same figures: nothing is told by colour alone. The topmost
/// area comes first.
fn legend(timeline: &Timeline) -> Markup {
    let layers = timeline.layers.iter().rev();
    let rows = layers.map(|it| row(it.class, it.label, it.ends, it.most));
    let most = |line: &[u64]| line.iter().max().copied().filter(|_| !line.is_empty());
    let resident = most(&timeline.resident).map(|most| {
        row(
            "resident",
            timeline.resident_label,
            timeline.resident_ends,
            most,
        )
    });
    let live = most(&timeline.live).and_then(|most| {
        let ends = (*timeline.live.first()?, *timeline.live.last()?);
        Some(row(
            "line",
            "dashed: live, of the window's blocks",
            ends,
            most,
        ))
    });
    let lines = resident.into_iter().chain(live);
    html! {
        (parts::scrolled("Places over time", html! {
            table.legend {
                thead { tr {
                    th scope="col" { "Place" }
                    th scope="col" { "End" } th scope="col" { "Change" }
                    th scope="col" { "Start" } th scope="col" { "Most" }
                } }
                tbody { @for row in rows.chain(lines) { (row) } }
            }
        }))
        p.hint {
            (timeline.how)
            @if !timeline.gaps.is_empty() { "Grey: nothing is known of that time. " }
            @if timeline.layers.iter().any(|it| it.class == "sockets") {
                "Socket memory is the kernel's, beside the resident set."
            }
        }
        @if !timeline.events.is_empty() {
            ol.events {
                @for event in &timeline.events {
                    li { (ticks::moment(event.seconds, timeline.clock_ms)) ": " (event.text) }
                }
            }
        }
    }
}

fn row(class: &str, label: &str, ends: (u64, u64), most: u64) -> Markup {
    html! {
        tr {
            th scope="row" { span.swatch.{ "s-" (class) } {} (label) }
            td { (parts::bytes(ends.1)) }
            td { (parts::growth(ends.0, ends.1)) }
            td { (parts::bytes(ends.0)) }
            td { (parts::bytes(most)) }
        }
    }
}

/// For the read-out: the figures as they are drawn. No text of the process is in it, and
/// no `<` could end the element.
fn data(timeline: &Timeline) -> Markup {
    #[derive(Serialize)]
    struct Data<'a> {
        window: f64,
        clock_ms: Option<u64>,
        seconds: &'a [f64],
        layers: Vec<(&'a str, &'a [u64])>,
        live: &'a [u64],
        resident: &'a [u64],
    }
    let layers = timeline.layers.iter();
    let data = Data {
        window: timeline.window,
        clock_ms: timeline.clock_ms,
        seconds: &timeline.seconds,
        layers: layers.map(|it| (it.label, it.bytes.as_slice())).collect(),
        live: &timeline.live,
        resident: &timeline.resident,
    };
    let json = serde_json::to_string(&data).unwrap_or_default();
    html! { script type="application/json" { (PreEscaped(json.replace('<', "\\u003c"))) } }
}

fn description(timeline: &Timeline, of: &str) -> String {
    let layers = timeline.layers.iter().rev().map(|it| {
        let (first, last) = it.ends;
        format!(
            "{} {} to {}",
            it.label,
            words::bytes(first),
            words::bytes(last)
        )
    });
    let layers: Vec<String> = layers.collect();
    let length = words::seconds(timeline.window);
    format!("Memory of {of} over {length}: {}", layers.join("; "))
}

fn percent(part: f64) -> String {
    format!("{:.2}%", part.clamp(0.0, 1.0) * 100.0)
}

/// The least power of two, or of 1024 times 1 to 512, of which few reach the top.
fn bytes_step(most: u64) -> u64 {
    let wanted = most.div_ceil(TICKS).max(1);
    wanted.checked_next_power_of_two().unwrap_or(1 << 63)
}

fn short_bytes(bytes: u64) -> String {
    if bytes == 0 {
        "0".to_owned()
    } else {
        words::bytes(bytes).replace(".0 ", " ")
    }
}
