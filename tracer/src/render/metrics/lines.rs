//! Programs: a line each, and the sum of those beyond the bound.

use std::collections::BTreeMap;

use super::{
    LINES_MAX,
    exposition::{Exposition, Kind, Labels},
};
use crate::model::{
    host::{LineView, State, View},
    verdict::PlaceName,
};

/// The labels that all series of a line have. The pid is not among them: each restart would
/// make new series.
pub fn labels(line: &LineView) -> Labels {
    let id = id(line);
    let labels = [
        ("line", &*id),
        ("program", &line.name),
        ("group", &line.group),
    ];
    Labels::new(&labels)
}

fn id(line: &LineView) -> String {
    format!("{:016x}", line.line.0)
}

/// Lines with series of their own: those that a view begins with, which are the ones to worry
/// about, and then the largest. Each id once: a second of the same would be the same series.
pub fn own(view: &View) -> impl Iterator<Item = &LineView> {
    let mut seen = std::collections::HashSet::new();
    let lines = view.lines.iter().take(LINES_MAX);
    lines.filter(move |line| seen.insert(line.line))
}

/// What the others hold. Their restarts are no sum that only goes up: lines come and go.
#[derive(Default)]
struct Other {
    lines: u64,
    resident: u64,
    swapped: u64,
    connections: u64,
    places: BTreeMap<PlaceName, u64>,
}

impl Other {
    fn of(view: &View) -> Self {
        let mut other = Self::default();
        let add = |sum: &mut u64, value: u64| *sum = sum.saturating_add(value);
        for line in view.lines.iter().skip(LINES_MAX) {
            other.lines += 1;
            add(&mut other.resident, line.resident_bytes);
            add(&mut other.swapped, line.swapped_bytes);
            add(&mut other.connections, line.connections);
            for (place, bytes) in &line.places {
                add(other.places.entry(*place).or_default(), *bytes);
            }
        }
        other
    }
}

pub fn write(view: &View, out: &mut Exposition) {
    let other = Other::of(view);
    let rest = |value: u64| {
        let labels = Labels::new(&[("line", "other"), ("program", "other"), ("group", "")]);
        (other.lines > 0).then_some((labels, value))
    };
    let each = |value: fn(&LineView) -> u64| own(view).map(move |it| (labels(it), value(it)));
    out.family(
        Kind::Gauge,
        "memtrace_line_resident_bytes",
        "Resident set of a program: anonymous, files and shared together.",
        each(|it| it.resident_bytes).chain(rest(other.resident)),
    );
    places(view, &other, out);
    out.family(
        Kind::Gauge,
        "memtrace_line_swapped_bytes",
        "Swapped out of a program.",
        each(|it| it.swapped_bytes).chain(rest(other.swapped)),
    );
    out.family(
        Kind::Gauge,
        "memtrace_line_connections",
        "TCP connections of a program.",
        each(|it| it.connections).chain(rest(other.connections)),
    );
    out.family(
        Kind::Counter,
        "memtrace_line_restarts_total",
        "How often a program began again since memtrace knows it.",
        each(|it| it.restarts.into()),
    );
    out.family(
        Kind::Gauge,
        "memtrace_line_peak_resident_bytes",
        "The most that was ever resident of its process (VmHWM).",
        each(|it| it.peak_bytes),
    );
    out.family(
        Kind::Gauge,
        "memtrace_line_growth_bytes_per_second",
        "How fast the troughs of its memory rise; 0: they do not.",
        own(view).map(|it| (labels(it), it.bytes_per_second)),
    );
    spikes(view, out);
    out.family(
        Kind::Gauge,
        "memtrace_line_start_time_seconds",
        "When its process began, since 1970.",
        own(view).map(|it| (labels(it), it.since_ms as f64 / 1000.0)),
    );
    states(view, out);
    counts(view, &other, out);
}

fn places(view: &View, other: &Other, out: &mut Exposition) {
    let place = |labels: &Labels, name: PlaceName, bytes: u64| {
        (labels.and(&[("place", place(name))]), bytes)
    };
    let own = own(view).flat_map(|line| {
        let labels = labels(line);
        let places = line.places.iter();
        places.map(move |(name, bytes)| place(&labels, *name, *bytes))
    });
    let rest = Labels::new(&[("line", "other"), ("program", "other"), ("group", "")]);
    let rest = (other.places.iter()).map(|(name, bytes)| place(&rest, *name, *bytes));
    out.family(
        Kind::Gauge,
        "memtrace_line_place_bytes",
        "Memory of a program by place; sockets are the kernel's and not in its resident set.",
        own.chain(rest),
    );
}

fn spikes(view: &View, out: &mut Exposition) {
    let peaks = || own(view).filter_map(|it| Some((it, it.peak.as_ref()?)));
    out.family(
        Kind::Gauge,
        "memtrace_line_spike_bytes",
        "Resident at its highest spike.",
        peaks().map(|(line, peak)| (labels(line), peak.bytes)),
    );
    out.family(
        Kind::Gauge,
        "memtrace_line_spike_timestamp_seconds",
        "When its highest spike was, since 1970.",
        peaks().map(|(line, peak)| (labels(line), peak.at_ms as f64 / 1000.0)),
    );
}

fn states(view: &View, out: &mut Exposition) {
    let all = [
        (State::New, "new"),
        (State::Healthy, "healthy"),
        (State::Grows, "grows"),
        (State::Looking, "looking"),
        (State::Judged, "judged"),
    ];
    let states = own(view).flat_map(|line| {
        let labels = labels(line);
        all.map(move |(state, name)| {
            let is = u64::from(line.state == state);
            (labels.and(&[("state", name)]), is)
        })
    });
    out.family(
        Kind::Gauge,
        "memtrace_line_state",
        "How it stands with a program: 1 for the state that it is in.",
        states,
    );
}

fn counts(view: &View, other: &Other, out: &mut Exposition) {
    let single = |out: &mut Exposition, name, help, value: u64| {
        out.single(Kind::Gauge, name, help, value);
    };
    single(
        out,
        "memtrace_lines",
        "Programs of some size.",
        view.lines.len() as u64,
    );
    single(
        out,
        "memtrace_lines_left_out",
        "Programs without series of their own; they are summed as line=\"other\".",
        other.lines,
    );
    single(
        out,
        "memtrace_small_processes",
        "Processes too small for a line, or beyond the bound.",
        view.other_processes,
    );
    single(
        out,
        "memtrace_small_processes_resident_bytes",
        "Resident sets of these.",
        view.other_bytes,
    );
}

/// As the history and `report.json` write it.
const fn place(name: PlaceName) -> &'static str {
    match name {
        PlaceName::AllocatorLive => "allocator_live",
        PlaceName::Retained => "retained",
        PlaceName::Pinned => "pinned",
        PlaceName::OtherAnonymous => "other_anonymous",
        PlaceName::Files => "files",
        PlaceName::Shared => "shared",
        PlaceName::Sockets => "sockets",
    }
}
