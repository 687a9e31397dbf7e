//! The whole of what a trace found.

use serde::{Deserialize, Serialize};

use super::{
    Counts, Loss, Mappings, Process, Site,
    growth::Growth,
    javascript_heap::JavascriptHeaps,
    trace_heap::Heaps,
    trace_sockets::Sockets,
    verdict::{Place, Verdict},
};

/// The schema this memtrace writes, and the newest it reads.
pub const SCHEMA: u32 = 1;

/// What the note of a trace begins with that memtrace itself ended.
pub const ENDED_EARLY: &str = "Ended early to spare the target";

/// What a trace found: `report.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the memtrace that traced.
    pub tool_version: String,
    /// How much of what happened was recorded.
    pub level: Level,
    /// How it was sampled; with `level: sampled` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// What tracing cost, of a trace under a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Where it was traced.
    pub host: Host,
    /// When it was traced.
    pub window: Window,
    /// Every program that was traced.
    pub processes: Vec<Process>,
    /// What kind of growth each process has; of each the first is the main one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<Verdict>,
    /// What the verdicts go by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// Sums over all sites.
    pub totals: Totals,
    /// Frees of blocks that the ledger never held: older than the window, or
    /// the allocator's own. Not loss. Counted until sampling began.
    #[serde(with = "super::wide")]
    pub unmatched_frees: u64,
    /// Largest live bytes first.
    pub sites: Vec<Site>,
    /// What was mapped, unless that was not watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mappings: Option<Mappings>,
    /// The heaps, unless they were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heap: Option<Heaps>,
    /// The JavaScript heaps, unless there are none or they were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub javascript: Option<JavascriptHeaps>,
    /// The sockets, unless they were not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sockets: Option<Sockets>,
    /// How each process grew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub growth: Vec<Growth>,
    /// What was lost, by cause; empty when nothing was.
    pub loss: Vec<Loss>,
    /// Allocators in the processes that were not traced, and why: what they hand
    /// out is missing in all figures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_covered: Vec<String>,
    /// What the reader must know beside the numbers, such as why the trace ended
    /// early. Sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How much of what happened was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Every call.
    Exact,
    /// A sample, scaled up: figures of blocks and bytes are estimates.
    Sampled,
}

/// How a sampled trace was sampled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// Why, as a sentence.
    pub reason: String,
    /// Seconds after the start of the window at which sampling began.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub since_seconds: f64,
    /// One block in so many was recorded at the end of the window.
    pub one_in: u32,
    /// Blocks of so many bytes and more were always recorded.
    #[serde(with = "super::wide")]
    pub always_bytes: u64,
    /// Allocations passed over.
    #[serde(with = "super::wide")]
    pub passed_over: u64,
    /// The slices of time in which it was recorded, of a trace under a budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<Slices>,
}

/// Slices of time in which allocations were recorded. Each block stands for those that
/// were allocated between two slices, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slices {
    /// How many.
    #[serde(with = "super::wide")]
    pub count: u64,
    /// Length of them all.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub seconds: f64,
    /// For how long frees were watched, within slices and between them.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub frees_seconds: f64,
    /// Live blocks that may have been freed while frees were not watched, each times
    /// its weight.
    #[serde(with = "super::wide")]
    pub unresolved_blocks: u64,
    /// Their requested bytes.
    #[serde(with = "super::wide")]
    pub unresolved_bytes: u64,
}

/// What a trace under a budget cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// What it was allowed to cost its targets: percent of one processor's time.
    pub percent: f64,
    /// What it cost them: hits of probes times what a trap costs on this machine, and
    /// the run time of the programs.
    pub spent_percent: f64,
    /// CPU time of memtrace itself, beside the targets' and not of the budget: percent
    /// of one processor.
    pub own_percent: f64,
}

/// Where it was traced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Release of the kernel, as `uname -r` says it.
    pub kernel: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Such as `x86_64`.
    pub processor: String,
}

/// When it was traced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// RFC 3339, UTC.
    pub start_utc: String,
    /// RFC 3339, UTC.
    pub end_utc: String,
    /// `CLOCK_MONOTONIC`, ns.
    #[serde(with = "super::wide")]
    pub start_monotonic_ns: u64,
    /// `CLOCK_MONOTONIC`, ns.
    #[serde(with = "super::wide")]
    pub end_monotonic_ns: u64,
    /// Length.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub seconds: f64,
    /// Whether the process was traced from its first allocation.
    pub from_start: bool,
}

/// Sums over all sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Blocks and requested bytes.
    #[serde(flatten)]
    pub counts: Counts,
    /// Live bytes with the allocator's headers and rounding.
    #[serde(with = "super::wide")]
    pub footprint_bytes: u64,
}
