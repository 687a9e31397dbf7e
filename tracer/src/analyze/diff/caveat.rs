//! What keeps two recordings from being compared like with like.

use std::collections::HashMap;

use crate::model::{Level, Report};

/// One of the two recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The first.
    Before,
    /// The second.
    After,
}

/// Something to know before the figures are read.
#[derive(Clone, Debug, PartialEq)]
pub enum Caveat {
    /// The second recording is the older one.
    Reversed,
    /// They were traced at the same time, in part.
    Overlap,
    /// The windows' lengths, s, differ by more than a twentieth.
    Lengths {
        /// Of the first.
        before: f64,
        /// Of the second.
        after: f64,
    },
    /// Only this one was traced from the first allocation.
    FromStart(Side),
    /// Figures of this one are estimates.
    Sampled(Side),
    /// Calls of this one were lost: their bytes, where they are known.
    Lost {
        /// Which.
        side: Side,
        /// How many.
        calls: u64,
        /// Of those whose bytes are known.
        bytes: u64,
    },
    /// So many allocators of this one were not traced.
    NotCovered(Side, usize),
    /// So many notes of this one are to be read.
    Notes(Side, usize),
    /// Each is of one process, but of these two programs.
    OtherProgram(String, String),
    /// These modules changed: their sites are not matched. Paths, sorted.
    OtherBuilds(Vec<String>),
    /// So many live bytes of each are of sites that the other has not: new or gone, or
    /// with another id because a program or a script's path changed.
    Unmatched {
        /// Of the first.
        before: u64,
        /// Of the second.
        after: u64,
    },
    /// Only this one has mappings: they are not compared.
    MappingsOf(Side),
}

/// Modules that are named one by one.
const MODULES_MAX: usize = 5;

pub fn caveats(before: &Report, after: &Report) -> Vec<Caveat> {
    let mut caveats = windows(before, after);
    for (side, report) in [(Side::Before, before), (Side::After, after)] {
        caveats.extend(completeness(side, report));
    }
    if let ([one], [other]) = (before.processes.as_slice(), after.processes.as_slice())
        && one.program() != other.program()
    {
        let [one, other] = [one, other].map(|it| it.program().to_owned());
        caveats.push(Caveat::OtherProgram(one, other));
    }
    let rebuilt = rebuilt(before, after);
    if !rebuilt.is_empty() {
        caveats.push(Caveat::OtherBuilds(rebuilt));
    }
    match (&before.mappings, &after.mappings) {
        (Some(_), None) => caveats.push(Caveat::MappingsOf(Side::Before)),
        (None, Some(_)) => caveats.push(Caveat::MappingsOf(Side::After)),
        _ => {}
    }
    caveats
}

fn windows(before: &Report, after: &Report) -> Vec<Caveat> {
    let (one, other) = (&before.window, &after.window);
    let mut caveats = Vec::new();
    let starts = [one, other].map(|it| crate::model::utc::nanos(&it.start_utc));
    if let [Some(one), Some(other)] = starts
        && other < one
    {
        caveats.push(Caveat::Reversed);
    }
    let same_window = one == other;
    if before.host.boot_id == after.host.boot_id
        && !same_window
        && one.start_monotonic_ns < other.end_monotonic_ns
        && other.start_monotonic_ns < one.end_monotonic_ns
    {
        caveats.push(Caveat::Overlap);
    }
    let (short, long) = (
        one.seconds.min(other.seconds),
        one.seconds.max(other.seconds),
    );
    if short < long * 0.95 {
        caveats.push(Caveat::Lengths {
            before: one.seconds,
            after: other.seconds,
        });
    }
    match (one.from_start, other.from_start) {
        (true, false) => caveats.push(Caveat::FromStart(Side::Before)),
        (false, true) => caveats.push(Caveat::FromStart(Side::After)),
        _ => {}
    }
    caveats
}

fn completeness(side: Side, report: &Report) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    if report.level == Level::Sampled {
        caveats.push(Caveat::Sampled(side));
    }
    let sum = |sum: u64, more: u64| sum.saturating_add(more);
    let calls = report.loss.iter().map(|loss| loss.calls).fold(0, sum);
    if calls > 0 {
        let bytes = report.loss.iter().filter_map(|loss| loss.bytes);
        let bytes = bytes.fold(0, sum);
        caveats.push(Caveat::Lost { side, calls, bytes });
    }
    if !report.not_covered.is_empty() {
        caveats.push(Caveat::NotCovered(side, report.not_covered.len()));
    }
    if !report.notes.is_empty() {
        caveats.push(Caveat::Notes(side, report.notes.len()));
    }
    caveats
}

/// Modules whose build id is another in each of the two.
fn rebuilt(before: &Report, after: &Report) -> Vec<String> {
    let old = build_ids(before);
    let new = build_ids(after);
    let mut modules: Vec<String> = (new.iter())
        .filter(|(module, id)| old.get(*module).is_some_and(|old| old != *id))
        .map(|(module, _)| (*module).to_owned())
        .collect();
    modules.sort_unstable();
    modules.truncate(MODULES_MAX);
    modules
}

fn build_ids(report: &Report) -> HashMap<&str, &str> {
    let frames = report.sites.iter().flat_map(|site| &site.frames);
    let ids = frames.filter_map(|it| Some((it.module.as_str(), it.build_id.as_deref()?)));
    ids.collect()
}
