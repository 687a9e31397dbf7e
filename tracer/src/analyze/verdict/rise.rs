//! Places beside the allocator whose troughs rise: a language's heap, mappings,
//! files and shared memory.

use super::{Facts, thresholds as limit, words};
use crate::{
    analyze::growth::{grown, halves, steepest_part},
    model::{
        MappingKind, MappingSite,
        verdict::{Confidence, Kind, PlaceName, Verdict},
    },
};

/// What else would explain that a heap grows.
pub const COLLECTOR: &str =
    "A collector that has not run within the window: its heap falls when it does.";

/// What may rise beside the allocator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rising {
    /// V8's heap.
    JavascriptHeap,
    /// A place; of other anonymous memory what is not V8's.
    Place(PlaceName),
}

pub fn judge(facts: &Facts<'_>, found: &[Verdict]) -> Vec<Verdict> {
    let leaks = found.iter().filter(|it| it.kind == Kind::Leak);
    let leaked = leaks.map(|it| it.bytes).fold(0, u64::saturating_add);
    let of = |(what, rise)| match what {
        Rising::JavascriptHeap => facts.javascript_verdict(rise),
        Rising::Place(PlaceName::Files) => mapped(facts, rise, " pages of files"),
        Rising::Place(PlaceName::Shared) => mapped(facts, rise, " shared memory"),
        Rising::Place(_) => anonymous(facts, rise),
    };
    let mut verdicts: Vec<Verdict> = risen(facts, leaked).into_iter().map(of).collect();
    // What is not explained is only told where nothing else is.
    if !found.is_empty() || verdicts.len() > 1 {
        verdicts.retain(|it| it.kind != Kind::NotEnoughData);
    }
    verdicts
}

/// What rises steadily beside the allocator, by how much. `leaked`: what of it is known to
/// be leaked blocks, where the two cannot be told apart.
pub fn risen(facts: &Facts<'_>, leaked: u64) -> Vec<(Rising, u64)> {
    let enough = limit::at_least(limit::RISE_BYTES, limit::RISE_PART, facts.resident);
    let series = facts.series(PlaceName::OtherAnonymous);
    let mut other = grown(series, facts.seconds);
    if !facts.is_walked() {
        // The allocator's is in it, too: what the ledger knows of.
        let live: Vec<(f64, u64)> = (facts.growth.timeline.iter())
            .map(|it| (it.seconds, it.live_bytes))
            .collect();
        other = other.saturating_sub(grown(&live, facts.seconds).max(leaked));
    }
    // The resident set is looked at more often than what it is made of: what rises while the whole
    // does not was caught now at the foot of a tooth, now at its top.
    let resident: Vec<(f64, u64)> = (facts.growth.timeline.iter())
        .map(|it| {
            let bytes = it.anonymous_bytes.saturating_add(it.swapped_bytes);
            (it.seconds, bytes)
        })
        .collect();
    let anonymous = grown(&resident, facts.seconds);
    let is_of_whole = |rise: u64| resident.len() < 2 || anonymous >= rise / 2;
    let mut risen = Vec::new();
    // V8's own pages are known from more looks.
    let javascript = facts.javascript_series();
    if let Some(series) = &javascript {
        let rise = grown(series, facts.seconds);
        if rise >= enough && is_steady(series) && is_of_whole(rise) {
            risen.push((Rising::JavascriptHeap, rise));
        }
        other = other.saturating_sub(rise);
    }
    let what = match facts.has_runtime("V8") && javascript.is_none() {
        true => Rising::JavascriptHeap,
        false => Rising::Place(PlaceName::OtherAnonymous),
    };
    // A collected heap has teeth, and may come to its height by one of them.
    let has_teeth = facts.growth.runtime.is_some();
    let came_at_once = is_step(series) || (other >= anonymous / 2 && is_step(&resident));
    let is_gradual = is_steady(series) && (has_teeth || !came_at_once);
    if other >= enough && is_gradual && is_of_whole(other) {
        risen.push((what, other));
    }
    for place in [PlaceName::Files, PlaceName::Shared] {
        let series = facts.series(place);
        let rise = grown(series, facts.seconds);
        if rise >= enough && is_steady(series) && !is_step(series) {
            risen.push((Rising::Place(place), rise));
        }
    }
    risen
}

fn anonymous(facts: &Facts<'_>, rise: u64) -> Verdict {
    let pool = facts.mapped(|site| site.pool.is_some());
    let in_pool = resident(&pool);
    let of = |kind, what: &str| facts.rises(kind, what, "", rise);
    let mut verdict = if in_pool >= rise / 2 {
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
        let sites = facts.mapped(|it| it.kind == MappingKind::Anonymous);
        if !facts.is_walked() && resident(&sites) < rise / 2 {
            return unexplained(facts, rise);
        }
        let mut verdict = of(Kind::Mapping, "Mappings grow");
        verdict.stacks = facts.stacks_of_mapped(&sites);
        verdict.advice = vec!["Unmap what these stacks map.".to_owned()];
        verdict
    };
    verdict.would_change = vec![COLLECTOR.to_owned()];
    verdict
}

fn resident(sites: &[&MappingSite]) -> u64 {
    let bytes = sites.iter().map(|it| it.extent.resident_bytes);
    bytes.fold(0, u64::saturating_add)
}

/// Neither live blocks nor mappings are so much more: free pages of a heap that cannot be
/// looked into, or what was mapped before.
fn unexplained(facts: &Facts<'_>, rise: u64) -> Verdict {
    let summary = format!(
        "Not enough data: {} more are resident than live blocks and mappings explain, and the heap was not walked throughout.",
        words::bytes(rise)
    );
    let mut verdict = facts.verdict(Kind::NotEnoughData, Confidence::Low, rise, summary);
    verdict.bytes_per_second = rise as f64 / facts.seconds.max(0.1);
    verdict.evidence = facts.drifts();
    verdict
}

fn mapped(facts: &Facts<'_>, rise: u64, more: &str) -> Verdict {
    let mut verdict = facts.rises(Kind::Mapping, "Mappings grow", more, rise);
    verdict.stacks = facts.stacks_of_mapped(&facts.mapped(|it| it.kind != MappingKind::Anonymous));
    verdict.advice = vec![
        "Pages of files go when the kernel wants them; shared memory stays until it is removed."
            .to_owned(),
    ];
    verdict
}

/// Whether it came all at once.
fn is_step(series: &[(f64, u64)]) -> bool {
    steepest_part(series) > limit::STEP
}

/// Whether it rose in the second half about as it did in the first: what warms up
/// comes to an end.
pub fn is_steady(series: &[(f64, u64)]) -> bool {
    let [early, late] = halves(series);
    !series.is_empty() && late as f64 >= limit::STEADY * early as f64
}
