//! Free memory that stays resident: pinned by live blocks (fragmentation), or on whole
//! pages that the allocator keeps (retention).

use super::{Facts, thresholds as limit, words};
use crate::model::verdict::{Confidence, Kind, PlaceName, Verdict};

pub fn judge(facts: &Facts<'_>) -> Option<Verdict> {
    // Troughs: a peak that has just been freed is on its way, not kept.
    let (first_retained, retained) = facts.troughs(PlaceName::Retained);
    let (first_pinned, pinned) = facts.troughs(PlaceName::Pinned);
    let free = retained.saturating_add(pinned);
    if free < limit::at_least(limit::FREE_BYTES, limit::FREE_PART, facts.resident) {
        return None;
    }
    let is_pinned = pinned as f64 >= free as f64 * limit::PINNED_PART;
    let first = first_retained.saturating_add(first_pinned);
    let grown = free.saturating_sub(first);
    let (kind, what) = match is_pinned {
        true => (Kind::Fragmentation, "Fragmentation"),
        false => (Kind::Retention, "Retention"),
    };
    let summary = format!(
        "{what}: {} are free and stay resident, {} of the resident set; {} of them on pages that live blocks pin.",
        words::bytes(free),
        words::share(free, facts.resident),
        words::bytes(pinned)
    );
    let mut verdict = facts.verdict(kind, Confidence::High, free, summary);
    verdict.bytes_per_second = grown as f64 / facts.seconds.max(0.1);
    let moments = facts.heap.and_then(|heap| heap.timeline.last());
    verdict.evidence = vec![format!(
        "Live blocks hold {}; free on whole pages {}, on pinned pages {}.",
        words::bytes(facts.troughs(PlaceName::AllocatorLive).1),
        words::bytes(retained),
        words::bytes(pinned)
    )];
    verdict.evidence.extend(moments.map(|moment| {
        format!(
            "malloc_trim(0) would return {} (predicted).",
            words::bytes(moment.trimmable_bytes)
        )
    }));
    verdict.would_change = vec![
        "Memory that is wanted again soon is no loss: look whether the peak comes back.".to_owned(),
    ];
    let heap = facts.heap;
    if is_pinned {
        verdict.advice = vec![
            "Trimming will not help: another allocator (jemalloc, with background_thread:true), or lifetimes kept apart: these stacks pin the pages.".to_owned(),
        ];
        verdict.stacks = facts.stacks_of_shares(heap.and_then(|it| it.pinned.as_ref()));
    } else {
        verdict.advice = vec![
            "MALLOC_ARENA_MAX=2 and MALLOC_MMAP_THRESHOLD_=65536, malloc_trim after peaks, or jemalloc with background_thread:true.".to_owned(),
        ];
        verdict.stacks = facts.stacks_of_shares(heap.and_then(|it| it.retained.as_ref()));
    }
    Some(verdict)
}
