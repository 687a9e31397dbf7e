//! The places of one process over time, all at the same moments, so that they can stand
//! upon each other.

use std::collections::BTreeMap;

use super::events::{self, Event};
use crate::analyze::verdict::{Series, series};
use crate::model::{
    Process, Report,
    growth::{Growth, Resident},
    verdict::PlaceName,
};
use crate::render::words;

/// Moments that are drawn; of more, those with the most of each stretch.
const MOMENTS: usize = 240;

/// A place of the picture: its name, and the class that gives it its colour.
pub struct Layer {
    pub label: &'static str,
    pub class: &'static str,
    /// At each of the moments.
    pub bytes: Vec<u64>,
    /// At the first look at it, and the last.
    pub ends: (u64, u64),
    /// The most at any look.
    pub most: u64,
}

/// What is drawn.
pub struct Timeline {
    /// Length of the window.
    pub window: f64,
    pub seconds: Vec<f64>,
    /// The lowest first.
    pub layers: Vec<Layer>,
    /// What the ledger holds, at the same moments; empty: not known.
    pub live: Vec<u64>,
    /// The resident set as `/proc/PID/status` has it, which is asked for more often than
    /// heaps are looked at; empty: not known.
    pub resident: Vec<u64>,
    /// The resident set at the first look and at the last.
    pub resident_ends: (u64, u64),
    /// What the line of the resident set is.
    pub resident_label: &'static str,
    /// How it was come by, for people.
    pub how: String,
    pub events: Vec<Event>,
    /// The window's beginning on the wall clock, Unix ms; `None`: the axis tells the
    /// seconds since it.
    pub clock_ms: Option<u64>,
    /// Stretches of which nothing is known: from, to.
    pub gaps: Vec<(f64, f64)>,
}

/// Nothing, where nothing was looked at.
pub fn timeline(report: &Report, process: &Process) -> Option<Timeline> {
    let growth = report.growth.iter().find(|it| it.process == process.id);
    let mut parts = parts(report, process);
    parts.retain(|(_, _, series)| series.iter().any(|it| it.1 > 0));
    let line = |of: fn(&Resident) -> u64| growth.map(|it| line(it, of)).unwrap_or_default();
    let live = line(|it| it.live_bytes);
    let resident = line(|it| {
        let parts = [it.anonymous_bytes, it.file_bytes, it.shared_bytes];
        parts.into_iter().fold(0, u64::saturating_add)
    });
    let all = || parts.iter().map(|(_, _, series)| series);
    let looks = all().map(Vec::len).max().unwrap_or(0);
    if looks == 0 {
        return None;
    }
    let mut seconds: Vec<f64> = all().flatten().chain(&live).map(|it| it.0).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.dedup_by(|a, b| (*a - *b).abs() < 1e-3);
    let totals: Vec<u64> = (seconds.iter())
        .map(|second| {
            let places = all().map(|it| at(it, *second));
            let places = places.fold(0, u64::saturating_add);
            places.max(at(&resident, *second))
        })
        .collect();
    let seconds = thinned(&seconds, &totals);
    let layers = parts.iter().map(|(label, class, series)| Layer {
        label,
        class,
        bytes: seconds.iter().map(|it| at(series, *it)).collect(),
        ends: (
            series.first().map_or(0, |it| it.1),
            series.last().map_or(0, |it| it.1),
        ),
        most: series.iter().map(|it| it.1).max().unwrap_or(0),
    });
    let last = seconds.last().copied().unwrap_or(0.0);
    let resident = at_all(&resident, &seconds);
    let end = |it: Option<&u64>| it.copied().unwrap_or(0);
    Some(Timeline {
        window: report.window.seconds.clamp(0.0, 1e12).max(last),
        layers: layers.collect(),
        live: at_all(&live, &seconds),
        resident_ends: (end(resident.first()), end(resident.last())),
        resident,
        resident_label: "line: resident set (/proc/PID/status)",
        how: format!(
            "{} at the places, straight lines between them. ",
            words::counted(looks as u64, "look")
        ),
        clock_ms: None,
        gaps: Vec::new(),
        events: events::events(report, process, growth),
        seconds,
    })
}

/// Every place with its name and class, the lowest first.
fn parts(report: &Report, process: &Process) -> Vec<(&'static str, &'static str, Series)> {
    let mut places = series(report, process);
    for series in places.values_mut() {
        series.retain(|(second, _)| (0.0..1e12).contains(second));
        series.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let is_walked = places.contains_key(&PlaceName::AllocatorLive);
    let javascript = javascript(report, process);
    if let Some(other) = places.get_mut(&PlaceName::OtherAnonymous) {
        for (second, bytes) in other {
            *bytes = bytes.saturating_sub(at(&javascript, *second));
        }
    }
    let mut take = |name| places.remove(&name).unwrap_or_default();
    let growth = report.growth.iter().find(|it| it.process == process.id);
    let is_v8 = growth.is_some_and(|it| it.runtime.as_deref() == Some("V8"));
    let own = match (is_walked, is_v8 && javascript.is_empty()) {
        (true, true) => "other anonymous (the JS heap, stacks)",
        (true, false) => "other anonymous (stacks, own mappings)",
        (false, _) => "own memory (allocator and all other)",
    };
    vec![
        ("allocator, live", "live", take(PlaceName::AllocatorLive)),
        (
            "free on pinned pages (fragmentation)",
            "pinned",
            take(PlaceName::Pinned),
        ),
        (
            "free on whole pages (retention)",
            "retained",
            take(PlaceName::Retained),
        ),
        ("JavaScript heap", "js", javascript),
        (own, "other", take(PlaceName::OtherAnonymous)),
        ("files", "files", take(PlaceName::Files)),
        ("shared memory", "shared", take(PlaceName::Shared)),
        (
            "socket memory (the kernel's)",
            "sockets",
            take(PlaceName::Sockets),
        ),
    ]
}

/// What V8 names as its own, where the kernel keeps names of mappings.
fn javascript(report: &Report, process: &Process) -> Series {
    let heaps = report.heap.iter().flat_map(|heap| &heap.processes);
    let own = heaps.filter(|heap| heap.process == process.id);
    let mut series: Series = own
        .flat_map(|heap| &heap.timeline)
        .map(|moment| (moment.seconds, moment.split.javascript_bytes))
        .filter(|(second, _)| (0.0..1e12).contains(second))
        .collect();
    series.sort_by(|a, b| a.0.total_cmp(&b.0));
    if series.iter().all(|it| it.1 == 0) {
        series.clear();
    }
    series
}

fn line(growth: &Growth, of: fn(&Resident) -> u64) -> Series {
    let moments = growth.timeline.iter();
    let mut series: Series = moments
        .map(|moment| (moment.seconds, of(moment)))
        .filter(|(second, _)| (0.0..1e12).contains(second))
        .collect();
    series.sort_by(|a, b| a.0.total_cmp(&b.0));
    series
}

/// Nothing, where one look makes no line.
fn at_all(series: &Series, seconds: &[f64]) -> Vec<u64> {
    match series.len() {
        0 | 1 => Vec::new(),
        _ => seconds.iter().map(|it| at(series, *it)).collect(),
    }
}

/// At a moment between two looks: on the line between them.
fn at(series: &Series, second: f64) -> u64 {
    let after = series.partition_point(|it| it.0 < second);
    let next = series.get(after);
    let before = after.checked_sub(1).and_then(|it| series.get(it));
    match (before, next) {
        (Some(before), Some(next)) if next.0 > before.0 => {
            let part = (second - before.0) / (next.0 - before.0);
            let bytes = before.1 as f64 + (next.1 as f64 - before.1 as f64) * part;
            bytes.max(0.0) as u64
        }
        (_, Some(only)) | (Some(only), None) => only.1,
        (None, None) => 0,
    }
}

/// At most [`MOMENTS`]: the first, the last, and of each stretch the one with the most.
fn thinned(seconds: &[f64], totals: &[u64]) -> Vec<f64> {
    let stretch = seconds.len().div_ceil(MOMENTS).max(1);
    let mut kept: BTreeMap<usize, f64> = BTreeMap::new();
    for (number, some) in seconds.chunks(stretch).enumerate() {
        let of = |index: &usize| totals.get(number * stretch + index).copied().unwrap_or(0);
        if let Some(most) = (0..some.len()).max_by_key(of) {
            kept.extend(some.get(most).map(|it| (number * stretch + most, *it)));
        }
    }
    kept.extend(seconds.first().map(|it| (0, *it)));
    kept.extend(seconds.last().map(|it| (seconds.len() - 1, *it)));
    kept.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between two looks a place lies on the line between them, before and after all at
    /// the nearest one.
    #[test]
    fn interpolates() {
        let series = vec![(1.0, 100), (3.0, 300)];
        let values = [0.0, 1.0, 2.0, 3.0, 9.0].map(|second| at(&series, second));
        assert_eq!(values, [100, 100, 200, 300, 300]);
        assert_eq!(at(&Vec::new(), 1.0), 0);
    }

    /// However many moments there are, the ends and the peak are drawn.
    #[test]
    fn keeps_the_peak() {
        let seconds: Vec<f64> = (0..100_000).map(f64::from).collect();
        let mut totals = vec![1; seconds.len()];
        totals[77_777] = 9;
        let kept = thinned(&seconds, &totals);
        assert!(kept.len() <= MOMENTS + 2, "{}", kept.len());
        for second in [0.0, 77_777.0, 99_999.0] {
            assert!(kept.contains(&second), "{second}");
        }
    }
}
