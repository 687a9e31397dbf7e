//! What is wrong with programs, and whose doing it is.

use super::{
    exposition::{Exposition, Kind, Labels},
    lines,
};
use crate::{
    model::{
        Frame, JAVASCRIPT,
        host::{LineView, View},
        verdict::{Confidence, Verdict, VerdictStack},
    },
    render::names,
};

/// Verdicts of one line that are told; of a kind the first.
const VERDICTS_MAX: usize = 4;

pub fn write(view: &View, out: &mut Exposition) {
    let each = || {
        lines::own(view).flat_map(|line| {
            let labels = lines::labels(line);
            let told = verdicts(line);
            told.map(move |verdict| (labels.and(&[("kind", verdict.kind.name())]), verdict))
        })
    };
    out.family(
        Kind::Gauge,
        "memtrace_verdict",
        "1 for each verdict of a program; kind tells which, healthy included.",
        each().map(|(labels, it)| {
            let confidence = confidence(it.confidence);
            (labels.and(&[("confidence", confidence)]), 1_u64)
        }),
    );
    out.family(
        Kind::Gauge,
        "memtrace_verdict_bytes",
        "What a verdict is about: leaked within the look, retained, in queues.",
        each().map(|(labels, it)| (labels, it.bytes)),
    );
    out.family(
        Kind::Gauge,
        "memtrace_verdict_growth_bytes_per_second",
        "How fast that grows.",
        each().map(|(labels, it)| (labels, it.bytes_per_second)),
    );
    out.family(
        Kind::Gauge,
        "memtrace_verdict_function_info",
        "1, with the function whose doing most of it is, and where its code stands.",
        each().filter_map(|(labels, it)| Some((with_function(&labels, &it.stacks)?, 1_u64))),
    );
    let of_spike =
        |line: &LineView| with_function(&lines::labels(line), &line.peak.as_ref()?.stacks);
    out.family(
        Kind::Gauge,
        "memtrace_line_spike_function_info",
        "1, with the function whose page faults made most of its highest spike, and where its code stands.",
        lines::own(view).filter_map(|it| Some((of_spike(it)?, 1_u64))),
    );
    let times = lines::own(view).filter_map(|it| Some((it, it.verdict_ms?)));
    out.family(
        Kind::Gauge,
        "memtrace_verdict_timestamp_seconds",
        "When a program was judged, since 1970.",
        times.map(|(line, ms)| (lines::labels(line), ms as f64 / 1000.0)),
    );
}

/// Each kind once: a second of the same would be the same series.
fn verdicts(line: &LineView) -> impl Iterator<Item = &Verdict> {
    let mut seen = std::collections::HashSet::new();
    let first = move |verdict: &&Verdict| seen.insert(verdict.kind);
    line.verdicts.iter().filter(first).take(VERDICTS_MAX)
}

/// With the function that is responsible for the first stack, and its place.
fn with_function(labels: &Labels, stacks: &[VerdictStack]) -> Option<Labels> {
    let frame = responsible(&stacks.first()?.frames)?;
    let (function, place) = (names::frame(frame), names::place(frame));
    Some(labels.and(&[("function", &function), ("place", &place)]))
}

/// The first function of a program's own: of its script where a runtime stands before that,
/// else the allocator's caller.
pub fn responsible(frames: &[Frame]) -> Option<&Frame> {
    let is_script = |frame: &&Frame| {
        let file = frame.file.as_deref().unwrap_or("node:");
        frame.module == JAVASCRIPT && !file.starts_with("node:")
    };
    frames.iter().find(is_script).or_else(|| frames.first())
}

/// As `report.json` writes it.
pub const fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}
