//! The present, as the page and the metrics show it.

use std::cmp::Reverse;

use super::line::{Line, Now};
use crate::model::{
    host::{LineView, State},
    verdict::PlaceName,
};

/// Looks shown of each line.
const RECENT: usize = 60;
/// Recordings named of each line.
const LOOKS: usize = 20;

/// One line.
#[must_use]
pub fn line(line: &Line, now: Now) -> LineView {
    let mut places: std::collections::BTreeMap<PlaceName, u64> = [
        (PlaceName::OtherAnonymous, line.status.anonymous),
        (PlaceName::Files, line.status.files),
        (PlaceName::Shared, line.status.shared),
    ]
    .into();
    if let Some(sockets) = line.sockets {
        places.insert(PlaceName::Sockets, sockets.bytes);
    }
    let recent: Vec<u64> = line.memory.fine().collect();
    let first = recent.len().saturating_sub(RECENT);
    let of_memory = |it: &(crate::analyze::host::Quantity, crate::analyze::host::Trend)| {
        it.0 != crate::analyze::host::Quantity::Connections
    };
    LineView {
        line: line.id,
        name: line.who.name.clone(),
        group: line.who.group.clone(),
        pid: line.pid,
        since_ms: now.utc_of(line.start_time),
        restarts: line.restarts,
        resident_bytes: line.status.resident,
        peak_bytes: line.status.peak,
        swapped_bytes: line.status.swapped,
        places,
        connections: line.sockets.map_or(0, |it| it.connections),
        recent: recent.into_iter().skip(first).collect(),
        bytes_per_second: (line.trend.filter(of_memory)).map_or(0.0, |(_, it)| it.per_second),
        state: line.state(),
        verdicts: line.verdicts().to_vec(),
        verdict_ms: line.judged.at_ms,
        looks: line.judged.looks.iter().take(LOOKS).cloned().collect(),
        peak: line.peak.clone(),
    }
}

/// Those who grow or are judged first, then by size.
pub fn sort(lines: &mut [LineView]) {
    let is_first =
        |it: &LineView| matches!(it.state, State::Grows | State::Looking | State::Judged);
    lines.sort_by_key(|it| (!is_first(it), Reverse(it.resident_bytes), it.line));
}
