//! Whose doing it is that a JavaScript heap grows: which functions allocate in it,
//! weighed as far as can be told by what stays.

use super::{Facts, facts::own_function, thresholds as limit, words};
use crate::{
    analyze::growth::grown,
    model::{
        Frame, JAVASCRIPT, MappingKind,
        javascript_heap::{JavascriptHeap, is_of_large_object, own_part},
        verdict::VerdictStack,
    },
};

impl<'a> Facts<'a> {
    fn javascript(&self) -> Option<&'a JavascriptHeap> {
        let heaps = self.report.javascript.iter().flat_map(|it| &it.processes);
        heaps.into_iter().find(|it| it.process == self.process.id)
    }

    /// By how much V8's own pages grew; `None` where they were not looked at.
    pub fn javascript_rise(&self) -> Option<u64> {
        let moments = &self.javascript()?.timeline;
        let series: Vec<(f64, u64)> = moments.iter().map(|it| (it.seconds, it.total())).collect();
        (series.len() > 2).then(|| grown(&series, self.seconds))
    }

    /// The functions that allocate in a heap that grows by `rise`, and how that is known.
    ///
    /// A large object has pages of its own: what of them is resident at the end has
    /// stayed. The other growth is shared out by who allocated, stayed or not.
    pub fn javascript_stacks(&self, rise: u64) -> (Vec<VerdictStack>, Option<String>) {
        // Pages that a collection maps tell nothing of who filled them.
        let mapped = self.mapped(|it| it.kind == MappingKind::Anonymous && is_own(&it.frames));
        let sampled = self.javascript().filter(|it| it.samples >= limit::SAMPLES);
        let Some(heap) = sampled else {
            return (self.stacks_of_mapped(&mapped), None);
        };
        let large: Vec<(&[Frame], u64)> = (mapped.iter().copied())
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
        let mut stacks: Vec<VerdictStack> = Vec::new();
        for (sites, part) in [(large, stayed), (small, rise.saturating_sub(stayed))] {
            let whole = sum(&sites).max(1) as f64;
            let share = part as f64 / rise.max(1) as f64;
            for (frames, bytes) in sites {
                let share = share * (bytes as f64 / whole);
                match stacks.iter_mut().find(|it| it.frames == frames) {
                    Some(known) => known.share += share,
                    None => stacks.push(VerdictStack {
                        share,
                        frames: frames.to_vec(),
                    }),
                }
            }
        }
        stacks.sort_by(|a, b| b.share.total_cmp(&a.share));
        stacks.truncate(super::facts::STACKS);
        let evidence = format!(
            "V8 allocated {} in all, sampled {} times, once an allocation buffer: the stacks are of those who allocate; what of it stays is known of large objects alone.",
            words::bytes(heap.allocated_bytes),
            heap.samples
        );
        (stacks, Some(evidence))
    }
}

/// Whether a function of the program's own is on it, not only node's.
fn is_own(frames: &[Frame]) -> bool {
    let mut scripts = frames.iter().filter(|frame| frame.module == JAVASCRIPT);
    scripts.any(|it| own_function(it).is_some())
}

fn sum(sites: &[(&[Frame], u64)]) -> u64 {
    sites.iter().map(|it| it.1).fold(0, u64::saturating_add)
}
