//! A timeline as a picture: areas upon each other, drawn here, so that no script is
//! needed. The areas stretch with the page; words stand beside them and do not.

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
                    @for tick in seconds_ticks(scale.seconds) {
                        span.end[tick > scale.seconds * 0.95] style={ "left:" (percent(tick / scale.seconds)) } { (short_seconds(tick)) }
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
    let lines = [
        (
            "resident",
            "line: resident set (/proc/PID/status)",
            &timeline.resident,
        ),
        (
            "line",
            "dashed: live, of the window's blocks",
            &timeline.live,
        ),
    ];
    let lines = lines.into_iter().filter_map(|(class, label, bytes)| {
        let ends = (*bytes.first()?, *bytes.last()?);
        Some(row(class, label, ends, bytes.iter().copied().max()?))
    });
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
            (words::counted(timeline.looks as u64, "look")) " at the places, straight lines between them. "
            @if timeline.layers.iter().any(|it| it.class == "sockets") {
                "Socket memory is the kernel's, beside the resident set."
            }
        }
        @if !timeline.events.is_empty() {
            ol.events {
                @for event in &timeline.events {
                    li { (words::seconds(event.seconds)) ": " (event.text) }
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
        seconds: &'a [f64],
        layers: Vec<(&'a str, &'a [u64])>,
        live: &'a [u64],
        resident: &'a [u64],
    }
    let layers = timeline.layers.iter();
    let data = Data {
        window: timeline.window,
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

fn seconds_ticks(window: f64) -> Vec<f64> {
    const STEPS: [f64; 17] = [
        0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0,
        21_600.0, 86_400.0,
    ];
    let step = STEPS.into_iter().find(|step| window / step <= 6.0);
    let step = step.unwrap_or(window / 5.0);
    let ticks = (0..=6_u32).map(|number| f64::from(number) * step);
    ticks.filter(|tick| *tick <= window).collect()
}

fn short_seconds(seconds: f64) -> String {
    match seconds {
        it if it < 1.0 && it > 0.0 => format!("{it:.1} s"),
        it if it < 60.0 => format!("{it:.0} s"),
        it if it < 3600.0 && it % 60.0 == 0.0 => format!("{:.0} min", it / 60.0),
        it if it < 86_400.0 && it % 3600.0 == 0.0 => format!("{:.0} h", it / 3600.0),
        it => words::seconds(it),
    }
}
