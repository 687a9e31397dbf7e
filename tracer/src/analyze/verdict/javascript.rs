//! Whose doing it is that a JavaScript heap grows: which functions allocate in it,
//! weighed as far as can be told by what stays.

use std::collections::HashMap;

use super::{Facts, facts::own_function, rise::COLLECTOR, thresholds as limit, words};
use crate::model::{
    Frame, JAVASCRIPT, MappingKind, MappingSite,
    javascript_heap::{HeapMoment, JavascriptHeap, is_of_large_object, own_part},
    verdict::{Confidence, Kind, Verdict, VerdictStack},
};

impl<'a> Facts<'a> {
    fn javascript(&self) -> Option<&'a JavascriptHeap> {
        let heaps = self.report.javascript.iter().flat_map(|it| &it.processes);
        heaps.into_iter().find(|it| it.process == self.process.id)
    }

    /// What of V8's heap was resident; `None` where it was not looked at.
    pub fn javascript_series(&self) -> Option<Vec<(f64, u64)>> {
        let moments = &self.javascript()?.timeline;
        let series = moments.iter().map(|it| (it.seconds, it.total()));
        (moments.len() > 2).then(|| series.collect())
    }

    /// That its heap grows by `rise`, and which functions allocate.
    pub fn javascript_verdict(&self, rise: u64) -> Verdict {
        let mut verdict = self.rises(Kind::JsHeap, "The JS heap grows", "", rise);
        let (stacks, how) = self.javascript_stacks(rise);
        verdict.stacks = stacks;
        verdict.evidence.extend(how);
        verdict.would_change = vec![COLLECTOR.to_owned()];
        verdict.advice = vec![
            "These functions allocate in the heap that grows; a heap snapshot tells what keeps the objects. --max-old-space-size bounds it.".to_owned(),
        ];
        verdict
    }

    /// The functions that allocate in a heap that grows by `rise`, and how that is known.
    fn javascript_stacks(&self, rise: u64) -> (Vec<VerdictStack>, Option<String>) {
        let Some((heap, shares)) = self.javascript_shares(rise) else {
            return (self.stacks_of_mapped(&self.javascript_mappings()), None);
        };
        let stack = |(frames, share): (&[Frame], f64)| VerdictStack {
            share,
            frames: frames.to_vec(),
        };
        let evidence = format!(
            "V8's heap: {} resident at the start, {} at the end. It allocated {} meanwhile, sampled {} times, once an allocation buffer: the stacks are of those who allocate; what of it stays is known of large objects alone.",
            resident_at(heap.timeline.first()),
            resident_at(heap.timeline.last()),
            words::bytes(heap.allocated_bytes),
            heap.samples
        );
        let stacks = shares.into_iter().take(super::facts::STACKS).map(stack);
        (stacks.collect(), Some(evidence))
    }

    /// What V8 mapped with a function of the program's own on the stack: pages that a
    /// collection maps tell nothing of who filled them.
    pub fn javascript_mappings(&self) -> Vec<&'a MappingSite> {
        self.mapped(|it| it.kind == MappingKind::Anonymous && is_own(&it.frames))
    }

    /// Which part of a heap's growth by `rise` each function has, 0 to 1, largest first;
    /// `None` where too little was sampled.
    ///
    /// A large object has pages of its own: what of them is resident at the end has
    /// stayed. The other growth is shared out by who allocated, stayed or not.
    pub fn javascript_shares(
        &self,
        rise: u64,
    ) -> Option<(&'a JavascriptHeap, JavascriptShares<'a>)> {
        let heap = self
            .javascript()
            .filter(|it| it.samples >= limit::SAMPLES)?;
        let large: Vec<(&[Frame], u64)> = (self.javascript_mappings().into_iter())
            .filter(|it| is_of_large_object(&it.frames))
            .map(|it| (own_part(&it.frames), it.extent.resident_bytes))
            .collect();
        let stayed = sum(&large).min(rise);
        let small: Vec<(&[Frame], u64)> = (heap.sites.iter())
            .filter(|it| {
                is_own(&it.frames) && (large.is_empty() || !is_of_large_object(&it.frames))
            })
            .map(|it| (own_part(&it.frames), it.estimated_bytes))
            .collect();
        let mut shares: HashMap<&[Frame], f64> = HashMap::new();
        for (sites, part) in [(large, stayed), (small, rise.saturating_sub(stayed))] {
            // Numbers of a hostile recording add up to more than 64 bits.
            let whole = sites.iter().map(|it| it.1 as f64).sum::<f64>().max(1.0);
            let share = part as f64 / rise.max(1) as f64;
            for (frames, bytes) in sites {
                let share = share * (bytes as f64 / whole);
                *shares.entry(frames).or_default() += share;
            }
        }
        let name = |frames: &[Frame]| {
            let names = (frames.iter()).map(|it| (it.function.clone(), it.line, it.offset));
            names.collect::<Vec<_>>()
        };
        let mut shares: JavascriptShares<'_> = shares.into_iter().collect();
        shares.sort_by(|a, b| {
            let by_share = b.1.total_cmp(&a.1);
            by_share.then_with(|| name(a.0).cmp(&name(b.0)))
        });
        Some((heap, shares))
    }
}

/// Stacks from the innermost JavaScript function on, and their parts of a whole.
pub type JavascriptShares<'a> = Vec<(&'a [Frame], f64)>;

/// V8 keeps records of its pages in blocks of the allocator's: where the heap grows they
/// grow with it, and are no leak of their own.
pub fn step_back(found: &mut [Verdict]) {
    if !found.iter().any(|it| it.kind == Kind::JsHeap) {
        return;
    }
    let leaks = found.iter_mut().filter(|it| it.kind == Kind::Leak);
    for leak in leaks.filter(|it| it.stacks.iter().all(|it| is_of_v8(&it.frames))) {
        leak.confidence = Confidence::Low;
        let why = "They are V8's own records of its pages, which grow with the JS heap.";
        leak.evidence.insert(0, why.to_owned());
    }
}

/// Whether V8 itself allocated: what it keeps for a program (array buffers) node allocates.
fn is_of_v8(frames: &[Frame]) -> bool {
    let mut names = frames.iter().filter_map(|it| it.function.as_deref());
    names
        .find(|name| !name.starts_with("operator new"))
        .is_some_and(|name| name.starts_with("v8::internal::"))
}

fn resident_at(moment: Option<&HeapMoment>) -> String {
    words::bytes(moment.map_or(0, HeapMoment::total))
}

/// Whether a function of the program's own is on it, not only node's.
fn is_own(frames: &[Frame]) -> bool {
    let mut scripts = frames.iter().filter(|frame| frame.module == JAVASCRIPT);
    scripts.any(|it| own_function(it).is_some())
}

fn sum(sites: &[(&[Frame], u64)]) -> u64 {
    sites.iter().map(|it| it.1).fold(0, u64::saturating_add)
}
