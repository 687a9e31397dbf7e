//! The places of one process over time.

use std::collections::BTreeMap;

use super::{super::growth::troughs, thresholds as limit};
use crate::model::{
    Process, Report,
    growth::{BYTES_MAX, Growth},
    trace_heap::Moment,
    verdict::{Place, PlaceName},
};

/// Seconds and bytes.
pub type Series = Vec<(f64, u64)>;

/// Whether looks at the heap span the time in which the process was seen: one that came
/// late may have been looked at once.
fn is_throughout(walked: &[&Moment], growth: &Growth) -> bool {
    let span = |first: Option<f64>, last: Option<f64>| match (first, last) {
        (Some(first), Some(last)) => last - first,
        _ => 0.0,
    };
    let seen = &growth.timeline;
    let seen = span(
        seen.first().map(|it| it.seconds),
        seen.last().map(|it| it.seconds),
    );
    let looked = span(
        walked.first().map(|it| it.seconds),
        walked.last().map(|it| it.seconds),
    );
    !walked.is_empty() && looked >= seen * limit::WALKED_PART
}

/// The walks that found the heap. One missed it, or most of it, if the ledger alone knows of more
/// live bytes than it found, and what it did not take for the allocator's was larger than at other
/// times by about as much: of a large block that moves just then, its new place is not known yet.
/// (Blocks that nobody has touched are live and nowhere: then nothing was larger.)
fn those_that_found<'a>(walked: &'a [Moment], growth: &Growth) -> Vec<&'a Moment> {
    let least = walked.iter().map(other).min().unwrap_or(0);
    let found = |moment: &&Moment| {
        let missing = known_at(moment.seconds, growth).saturating_sub(allocated(moment));
        let larger = other(moment).saturating_sub(least);
        missing <= limit::RISE_BYTES || larger < missing / 2
    };
    walked.iter().filter(found).collect()
}

/// What the ledger knew to be live then, at least.
fn known_at(seconds: f64, growth: &Growth) -> u64 {
    let moments = &growth.timeline;
    let behind = moments.partition_point(|it| it.seconds < seconds);
    let around = moments.iter().skip(behind.saturating_sub(1)).take(2);
    around.map(|it| it.live_bytes).min().unwrap_or(0)
}

fn allocated(moment: &Moment) -> u64 {
    let split = &moment.split;
    let live = [split.live_bytes, split.overhead_bytes, split.unknown_bytes];
    live.into_iter().fold(0, u64::saturating_add)
}

const fn other(moment: &Moment) -> u64 {
    let split = &moment.split;
    split.javascript_bytes.saturating_add(split.other_bytes)
}

/// The places of a process, moment by moment.
#[must_use]
pub fn series(report: &Report, process: &Process) -> BTreeMap<PlaceName, Series> {
    let mut places: BTreeMap<PlaceName, Series> = BTreeMap::new();
    let mut add = |name, seconds, bytes| {
        places.entry(name).or_default().push((seconds, bytes));
    };
    let growth = report.growth.iter().find(|it| it.process == process.id);
    let mut heaps = report.heap.iter().flat_map(|heap| &heap.processes);
    let heap = heaps.find(|heap| heap.process == process.id);
    let walked = heap.map_or(&[][..], |heap| heap.timeline.as_slice());
    let walked = match growth {
        Some(growth) => those_that_found(walked, growth),
        None => walked.iter().collect(),
    };
    // What was seen once tells nothing of time.
    let is_throughout = growth.is_none_or(|growth| is_throughout(&walked, growth));
    let walked = if is_throughout { walked } else { Vec::new() };
    for moment in &walked {
        let split = &moment.split;
        add(PlaceName::AllocatorLive, moment.seconds, allocated(moment));
        add(PlaceName::Retained, moment.seconds, split.retained_bytes);
        add(PlaceName::Pinned, moment.seconds, split.pinned_bytes);
        add(PlaceName::OtherAnonymous, moment.seconds, other(moment));
    }
    for moment in growth.iter().flat_map(|growth| &growth.timeline) {
        if walked.is_empty() {
            let anonymous = moment.anonymous_bytes;
            add(PlaceName::OtherAnonymous, moment.seconds, anonymous);
        }
        add(PlaceName::Files, moment.seconds, moment.file_bytes);
        add(PlaceName::Shared, moment.seconds, moment.shared_bytes);
    }
    if report.processes.len() == 1
        && let Some(sockets) = &report.sockets
    {
        let moments = sockets.timeline.iter().map(|moment| {
            let queues = [
                moment.receive_bytes,
                moment.send_bytes,
                moment.accept_queue_bytes,
                moment.orphan_bytes,
            ];
            (
                moment.seconds,
                queues.into_iter().fold(0, u64::saturating_add),
            )
        });
        places.insert(PlaceName::Sockets, moments.collect());
    }
    places
}

/// What each place of each process did.
#[must_use]
pub fn places(report: &Report) -> Vec<Place> {
    let of = |process: &Process| {
        let id = process.id;
        let places = series(report, process).into_iter();
        places
            .filter(|(_, moments)| !moments.is_empty())
            .map(move |(name, moments)| {
                let (first, last) = troughs(&moments);
                Place {
                    process: id,
                    name,
                    start_bytes: moments.first().map_or(0, |it| it.1).min(BYTES_MAX),
                    end_bytes: moments.last().map_or(0, |it| it.1).min(BYTES_MAX),
                    first_trough_bytes: first.min(BYTES_MAX),
                    last_trough_bytes: last.min(BYTES_MAX),
                }
            })
    };
    report.processes.iter().flat_map(of).collect()
}
