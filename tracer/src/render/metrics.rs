//! A host's [`View`] as metrics, in Prometheus' text format 0.0.4 or OpenMetrics 1.0
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>,
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>).
//!
//! Names follow Prometheus' conventions: `memtrace_`, base units (bytes, seconds), `_total`
//! for counters. How many series there can be is bounded: [`LINES_MAX`] lines and [`GROUPS_MAX`]
//! groups; what more lines hold is summed as `line="other"`, and how many those are is a metric.
//! Labels are programs, cgroups and functions, cleaned and cut; never arguments, which may hold
//! secrets. A line that goes takes its series with it: Prometheus marks them as stale.
//!
//! The crate prometheus-client keeps registries of counters that live; this is made anew of a
//! view each time, so that the format is written here.

use std::collections::BTreeMap;

mod exposition;
mod groups;
mod host;
mod lines;
mod own;
mod verdicts;

use exposition::Exposition;
pub use exposition::Format;

use crate::model::host::{Event, Happening, View};

/// Lines with series of their own.
pub const LINES_MAX: usize = 100;

/// Groups with series of their own.
pub const GROUPS_MAX: usize = 100;

/// What has to be counted over many views, since a view tells of the present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events since memtrace began, by [`kind`].
    pub events: BTreeMap<&'static str, u64>,
    /// What was pushed to other systems.
    pub pushes: Vec<PushCount>,
}

/// What became of what is pushed to one other system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushCount {
    /// `pyroscope`, `otlp` or `webhook`.
    pub destination: &'static str,
    /// Taken by it.
    pub sent: u64,
    /// Attempts that failed; most are made again.
    pub failures: u64,
    /// Given up, and never sent.
    pub dropped: u64,
    /// Bytes of these.
    pub dropped_bytes: u64,
    /// Waiting to be sent.
    pub waiting: u64,
}

/// The kind of an event, as the label `what` of `memtrace_events_total`.
#[must_use]
pub const fn kind(event: &Event) -> &'static str {
    match event.what {
        Happening::Restarted { .. } => "restarted",
        Happening::OutOfMemory { .. } => "out_of_memory",
        Happening::Spike { .. } => "spike",
        Happening::Grows { .. } => "grows",
        Happening::LookBegan => "look_began",
        Happening::LookEnded { .. } => "look_ended",
        Happening::Gap { .. } => "gap",
    }
}

/// All kinds of events: each has its counter from the start, so that the first one is an increase.
pub const KINDS: [&str; 7] = [
    "restarted",
    "out_of_memory",
    "spike",
    "grows",
    "look_began",
    "look_ended",
    "gap",
];

/// All metrics.
#[must_use]
pub fn render(view: &View, counts: &Counts, format: Format) -> String {
    let mut out = Exposition::new(format);
    host::write(view, counts, &mut out);
    lines::write(view, &mut out);
    verdicts::write(view, &mut out);
    groups::write(view, &mut out);
    own::write(view, counts, &mut out);
    out.finish()
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
