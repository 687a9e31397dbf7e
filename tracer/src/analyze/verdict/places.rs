//! The places of one process over time.

use std::collections::BTreeMap;

use super::super::growth::troughs;
use crate::model::{
    Process, Report,
    growth::BYTES_MAX,
    verdict::{Place, PlaceName},
};

/// Seconds and bytes.
pub type Series = Vec<(f64, u64)>;

/// The places of a process, moment by moment.
#[must_use]
pub fn series(report: &Report, process: &Process) -> BTreeMap<PlaceName, Series> {
    let mut places: BTreeMap<PlaceName, Series> = BTreeMap::new();
    let mut add = |name, seconds, bytes| {
        places.entry(name).or_default().push((seconds, bytes));
    };
    let heap = report.heap.iter().flat_map(|heap| &heap.processes);
    let walked = heap.filter(|heap| heap.process == process.id);
    for moment in walked.flat_map(|heap| &heap.timeline) {
        let split = &moment.split;
        let live = [split.live_bytes, split.overhead_bytes, split.unknown_bytes];
        let other = split.javascript_bytes.saturating_add(split.other_bytes);
        let live = live.into_iter().fold(0, u64::saturating_add);
        for (name, bytes) in [
            (PlaceName::AllocatorLive, live),
            (PlaceName::Retained, split.retained_bytes),
            (PlaceName::Pinned, split.pinned_bytes),
            (PlaceName::OtherAnonymous, other),
            (PlaceName::Files, split.file_bytes),
            (PlaceName::Shared, split.shared_bytes),
        ] {
            add(name, moment.seconds, bytes);
        }
    }
    if places.is_empty() {
        let mut add = |name, seconds, bytes| {
            let series: &mut Series = places.entry(name).or_default();
            series.push((seconds, bytes));
        };
        let growth = report.growth.iter().find(|it| it.process == process.id);
        for moment in growth.iter().flat_map(|growth| &growth.timeline) {
            add(
                PlaceName::OtherAnonymous,
                moment.seconds,
                moment.anonymous_bytes,
            );
            add(PlaceName::Files, moment.seconds, moment.file_bytes);
            add(PlaceName::Shared, moment.seconds, moment.shared_bytes);
        }
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
