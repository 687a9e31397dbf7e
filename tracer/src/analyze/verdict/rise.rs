//! Places beside the allocator whose troughs rise: a language's heap, mappings,
//! files and shared memory.

use super::{Facts, facts::own_function, thresholds as limit, words};
use crate::{
    analyze::growth::{grown, troughs},
    model::{
        JAVASCRIPT, MappingKind, MappingSite,
        verdict::{Confidence, Kind, PlaceName, Verdict},
    },
};

pub fn judge(facts: &Facts<'_>, found: &[Verdict]) -> Vec<Verdict> {
    let leaks = found.iter().filter(|it| it.kind == Kind::Leak);
    let leaked = leaks.map(|it| it.bytes).fold(0, u64::saturating_add);
    let of = |(place, rise)| match place {
        PlaceName::Files => mapped(facts, rise, "pages of files"),
        PlaceName::Shared => mapped(facts, rise, "shared memory"),
        _ => anonymous(facts, rise),
    };
    risen(facts, leaked).into_iter().map(of).collect()
}

/// The places beside the allocator that rise steadily, by how much. `leaked`: what of it
/// is known to be leaked blocks, where the two cannot be told apart.
pub fn risen(facts: &Facts<'_>, leaked: u64) -> Vec<(PlaceName, u64)> {
    let enough = limit::at_least(limit::RISE_BYTES, limit::RISE_PART, facts.resident);
    let rise = |place| {
        let rise = grown(facts.series(place), facts.seconds);
        if place != PlaceName::OtherAnonymous || facts.is_walked() {
            return rise;
        }
        // The allocator's is in it, too: what the ledger knows of.
        let live: Vec<(f64, u64)> = facts
            .growth
            .timeline
            .iter()
            .map(|it| (it.seconds, it.live_bytes))
            .collect();
        rise.saturating_sub(grown(&live, facts.seconds).max(leaked))
    };
    let places = [
        PlaceName::OtherAnonymous,
        PlaceName::Files,
        PlaceName::Shared,
    ];
    let risen = places.into_iter().map(|place| (place, rise(place)));
    risen
        .filter(|(place, rise)| *rise >= enough && is_steady(facts, *place))
        .collect()
}

fn anonymous(facts: &Facts<'_>, rise: u64) -> Verdict {
    let pool = facts.mapped(|site| site.pool.is_some());
    let in_pool = pool
        .iter()
        .map(|it| it.extent.resident_bytes)
        .fold(0, u64::saturating_add);
    let rate = rate(facts, rise);
    let of = |kind, what: &str| {
        let summary = format!(
            "{what}: {} more, {}.",
            words::bytes(rise),
            words::rate(rate)
        );
        facts.verdict(kind, Confidence::Medium, rise, summary)
    };
    let mut verdict = if facts.has_runtime("V8") {
        let mut verdict = of(Kind::JsHeap, "The JS heap grows");
        // Pages that a collection maps tell nothing of who filled them.
        let is_script = |it: &MappingSite| {
            let mut scripts = it.frames.iter().filter(|frame| frame.module == JAVASCRIPT);
            it.kind == MappingKind::Anonymous && scripts.any(|it| own_function(it).is_some())
        };
        verdict.stacks = facts.stacks_of_mapped(&facts.mapped(is_script));
        verdict.advice = vec![
            "These functions made the heap grow; a heap snapshot tells what keeps the objects. --max-old-space-size bounds it.".to_owned(),
        ];
        verdict
    } else if in_pool >= rise / 2 {
        let name = pool
            .first()
            .and_then(|it| it.pool.clone())
            .unwrap_or_default();
        let mut verdict = of(
            Kind::Leak,
            &format!("Leak of small objects: {name} arenas grow"),
        );
        verdict.stacks = facts.stacks_of_mapped(&pool);
        verdict.advice = vec![format!(
            "{name} hands out parts of what it maps: the stacks are of those who came when it was full. tracemalloc tells the objects."
        )];
        verdict
    } else {
        let mut verdict = of(Kind::Mapping, "Mappings grow");
        verdict.stacks =
            facts.stacks_of_mapped(&facts.mapped(|it| it.kind == MappingKind::Anonymous));
        verdict.advice = vec!["Unmap what these stacks map.".to_owned()];
        verdict
    };
    verdict.bytes_per_second = rate;
    verdict.evidence = facts.drifts();
    verdict.would_change = vec![
        "A collector that has not run within the window: its heap falls when it does.".to_owned(),
    ];
    verdict
}

fn mapped(facts: &Facts<'_>, rise: u64, what: &str) -> Verdict {
    let rate = rate(facts, rise);
    let summary = format!(
        "Mappings grow: {} more {what}, {}.",
        words::bytes(rise),
        words::rate(rate)
    );
    let mut verdict = facts.verdict(Kind::Mapping, Confidence::Medium, rise, summary);
    verdict.bytes_per_second = rate;
    verdict.stacks = facts.stacks_of_mapped(&facts.mapped(|it| it.kind != MappingKind::Anonymous));
    verdict.evidence = facts.drifts();
    verdict.advice = vec![
        "Pages of files go when the kernel wants them; shared memory stays until it is removed."
            .to_owned(),
    ];
    verdict
}

fn rate(facts: &Facts<'_>, rise: u64) -> f64 {
    rise as f64 / facts.seconds.max(0.1)
}

/// Whether it rose in the second half about as it did in the first: what warms up
/// comes to an end.
pub fn is_steady(facts: &Facts<'_>, place: PlaceName) -> bool {
    let series = facts.series(place);
    let Some((first, last)) = series.first().zip(series.last()) else {
        return false;
    };
    let middle = f64::midpoint(first.0, last.0);
    let part = |is_late: bool| -> Vec<(f64, u64)> {
        series
            .iter()
            .filter(|it| (it.0 >= middle) == is_late)
            .copied()
            .collect()
    };
    let rise = |points: &[(f64, u64)]| {
        let (first, last) = troughs(points);
        last.saturating_sub(first) as f64
    };
    rise(&part(true)) >= limit::STEADY * rise(&part(false))
}
