//! memtrace itself: what it takes, what it did not see, what it could not send.

use std::collections::BTreeMap;

use super::{
    Counts, PushCount,
    exposition::{Exposition, Kind, Labels, clean},
};
use crate::model::host::View;

/// Kinds of losses, and gaps, that are told one by one.
const MOST: usize = 50;

pub fn write(view: &View, counts: &Counts, out: &mut Exposition) {
    let own = &view.own;
    out.family(
        Kind::Gauge,
        "memtrace_build_info",
        "1, with memtrace's version.",
        [(
            Labels::new(&[("version", env!("CARGO_PKG_VERSION"))]),
            1_u64,
        )],
    );
    out.single(
        Kind::Gauge,
        "memtrace_last_look_timestamp_seconds",
        "When the host was last looked at, since 1970; 0: not yet.",
        view.at_ms as f64 / 1000.0,
    );
    out.single(
        Kind::Gauge,
        "memtrace_cpu_ratio",
        "What memtrace takes of one processor's time, over the last minutes.",
        own.cpu,
    );
    out.single(
        Kind::Gauge,
        "memtrace_probes_cpu_ratio",
        "What its probes take of the traced programs' time, of one processor's.",
        own.probes,
    );
    for (name, help, bytes) in [
        (
            "memtrace_resident_bytes",
            "memtrace's own resident set.",
            own.resident_bytes,
        ),
        (
            "memtrace_map_bytes",
            "Kernel memory of its BPF maps.",
            own.map_bytes,
        ),
        (
            "memtrace_history_bytes",
            "Its history on disk.",
            own.history_bytes,
        ),
    ] {
        out.single(Kind::Gauge, name, help, bytes);
    }
    gaps(view, out);
    losses(view, out);
    pushes(&counts.pushes, out);
}

fn gaps(view: &View, out: &mut Exposition) {
    out.single(
        Kind::Gauge,
        "memtrace_gaps",
        "What this kernel or these rights do not allow: how many things.",
        view.gaps.len(),
    );
    let mut gaps: Vec<_> = view.gaps.iter().take(MOST).map(|gap| clean(gap)).collect();
    gaps.sort();
    gaps.dedup();
    out.family(
        Kind::Gauge,
        "memtrace_gap_info",
        "1 for each of them, as `memtrace doctor` says it.",
        gaps.iter().map(|gap| (Labels::new(&[("gap", gap)]), 1_u64)),
    );
}

/// Those of one name after cutting are one; those beyond the bound are `other`.
fn losses(view: &View, out: &mut Exposition) {
    let mut told: BTreeMap<String, u64> = BTreeMap::new();
    for (number, (what, count)) in view.losses.iter().enumerate() {
        let what = match number < MOST {
            true => clean(what).into_owned(),
            false => "other".to_owned(),
        };
        let sum = told.entry(what).or_default();
        *sum = sum.saturating_add(*count);
    }
    out.family(
        Kind::Counter,
        "memtrace_losses_total",
        "What was not seen or kept since memtrace began, by what.",
        (told.iter()).map(|(what, count)| (Labels::new(&[("what", what)]), *count)),
    );
}

fn pushes(pushes: &[PushCount], out: &mut Exposition) {
    let mut each = |kind, name, help, value: fn(&PushCount) -> u64| {
        let labels = |it: &PushCount| Labels::new(&[("destination", it.destination)]);
        let samples = pushes.iter().map(|it| (labels(it), value(it)));
        out.family(kind, name, help, samples);
    };
    each(
        Kind::Counter,
        "memtrace_push_sent_total",
        "Messages that another system took.",
        |it| it.sent,
    );
    each(
        Kind::Counter,
        "memtrace_push_failures_total",
        "Attempts to send one that failed; most are made again.",
        |it| it.failures,
    );
    each(
        Kind::Counter,
        "memtrace_push_dropped_total",
        "Messages that were given up: refused, too old, or more than the queue holds.",
        |it| it.dropped,
    );
    each(
        Kind::Counter,
        "memtrace_push_dropped_bytes_total",
        "Bytes of these.",
        |it| it.dropped_bytes,
    );
    each(
        Kind::Gauge,
        "memtrace_push_waiting",
        "Messages that wait to be sent.",
        |it| it.waiting,
    );
}
