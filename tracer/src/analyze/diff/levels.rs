//! How much a group of processes held, place by place.

use std::collections::BTreeMap;

use crate::{
    analyze::{growth::troughs, verdict::places},
    model::{Process, Report, growth::Resident, verdict::PlaceName},
};

/// The least that the average process of a group held in the last third of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    /// In each place that is known of all of them.
    pub places: BTreeMap<PlaceName, u64>,
    /// Of what only the process can give back: anonymous, shared, swapped.
    pub own: u64,
    /// Of all that was resident.
    pub resident: u64,
}

/// Those of a group.
pub fn levels(report: &Report, group: &[&Process]) -> Levels {
    let own = |id: u32| group.iter().any(|it| it.id == id);
    let known: Vec<_> = match report.places.is_empty() {
        true => places(report),
        false => report.places.clone(),
    };
    let mut sums: BTreeMap<PlaceName, (u64, u64)> = BTreeMap::new();
    for place in known.iter().filter(|it| own(it.process)) {
        let (sum, count) = sums.entry(place.name).or_default();
        *sum = sum.saturating_add(place.last_trough_bytes);
        *count += 1;
    }
    let growth: Vec<_> = report.growth.iter().filter(|it| own(it.process)).collect();
    let least = |of: fn(&Resident) -> u64| {
        let sum = growth.iter().map(|it| {
            let points: Vec<_> = it.timeline.iter().map(|it| (it.seconds, of(it))).collect();
            troughs(&points).1
        });
        sum.fold(0, u64::saturating_add) / growth.len().max(1) as u64
    };
    let processes = group.len() as u64;
    let complete = sums
        .into_iter()
        .filter(|(_, (_, count))| *count == processes);
    Levels {
        places: complete
            .map(|(name, (sum, count))| (name, sum / count.max(1)))
            .collect(),
        own: least(|it| sum([it.anonymous_bytes, it.shared_bytes, it.swapped_bytes])),
        resident: least(|it| sum([it.anonymous_bytes, it.shared_bytes, it.file_bytes])),
    }
}

fn sum(parts: [u64; 3]) -> u64 {
    parts.into_iter().fold(0, u64::saturating_add)
}
