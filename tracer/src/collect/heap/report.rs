//! The report's part about heaps: what was seen, and whose doing it is.

use std::collections::{BTreeMap, HashMap};

use tracer_common::site::Site as KernelSite;

use super::Known;
use crate::{
    analyze::fragmentation::{self, Freed, Pinned},
    collect::footprint::glibc_chunk,
    model::{
        heap::{Heap, PartlyUsed},
        trace_heap::{LastLook, ProcessHeap, Traced},
    },
    probe::{Kernel, ProbeError},
};

/// What of a trace the shares are made from.
pub struct Ledger<'a> {
    pub kernel: &'a Kernel,
    pub sites: &'a [(u64, KernelSite)],
    /// By the kernel's key.
    pub site_ids: &'a HashMap<u64, String>,
    /// The most live bytes that a site was seen to have, by the kernel's key.
    pub peaks: &'a HashMap<u64, u64>,
}

/// What was seen of heaps as the trace ended, by process.
#[derive(Default)]
pub struct AtEnd {
    /// By walking.
    pub walked: HashMap<u32, PartlyUsed>,
    /// By the ledger.
    pub traced: BTreeMap<u32, (Traced, PartlyUsed)>,
}

/// The part, process by process.
pub fn of(
    mut known: BTreeMap<u32, Known>,
    mut end: AtEnd,
    ledger: &Ledger<'_>,
) -> Result<Vec<ProcessHeap>, ProbeError> {
    for process in end.traced.keys() {
        known.entry(*process).or_default();
    }
    let mut pinned: HashMap<u32, (Pinned, bool)> = HashMap::new();
    for (process, known) in &known {
        let walked = end.walked.get(process).zip(known.last.as_ref());
        let of_process = match (walked, end.traced.get(process)) {
            (Some((pages, heap)), _) => {
                let bytes = heap.walked.arenas.iter().map(|it| it.pages.pinned_bytes);
                (Pinned::new(pages, bytes.sum()), true)
            }
            (None, Some((traced, pages))) => (Pinned::new(pages, traced.pinned_bytes), false),
            (None, None) => continue,
        };
        pinned.insert(*process, of_process);
    }
    ledger.kernel.blocks(|key, block| {
        if let Some((pinned, is_walked)) = pinned.get_mut(&key.space) {
            let weight = u64::from(block.weight);
            let bytes = match is_walked {
                // A chunk's own bytes begin with its size.
                true => {
                    let start = key.address.saturating_sub(8);
                    start..start.saturating_add(glibc_chunk(block.size))
                }
                false => key.address..key.address.saturating_add(block.size),
            };
            pinned.add(bytes, block.site, weight);
        }
    })?;
    let name = |site| ledger.site_ids.get(&site).cloned();
    let processes = known.into_iter().map(|(process, known)| {
        let traced = end.traced.remove(&process).map(|(traced, _)| traced);
        let walked = known.last.as_ref().map(|heap| heap.split.retained_bytes);
        let retained = walked.or(traced.map(|it| it.retained_bytes));
        let retained =
            retained.map(|bytes| fragmentation::retained(bytes, &freed_in(process, ledger), name));
        ProcessHeap {
            process,
            timeline: known.timeline(),
            pinned: pinned.remove(&process).map(|(it, _)| it.shares(name)),
            mappable_bytes: retained
                .as_ref()
                .map(|(_, bytes)| *bytes)
                .filter(|_| walked.is_some()),
            retained: retained.map(|(shares, _)| shares),
            last: known.last.map(last_look),
            traced,
            not_walked: known.why_not,
        }
    });
    let is_told =
        |it: &ProcessHeap| it.last.is_some() || it.traced.is_some() || it.not_walked.is_some();
    Ok(processes.filter(is_told).collect())
}

fn freed_in(process: u32, ledger: &Ledger<'_>) -> Vec<Freed> {
    let own = (ledger.sites.iter()).filter(|(_, site)| site.identity.space == process);
    let freed = own.map(|(key, site)| Freed {
        site: *key,
        freed_bytes: site.freed_bytes,
        fallen_bytes: (ledger.peaks.get(key).copied().unwrap_or(0))
            .saturating_sub(site.allocated_bytes.saturating_sub(site.freed_bytes)),
        mean_bytes: site.allocated_bytes / site.allocated_blocks.max(1),
    });
    freed.collect()
}

fn last_look(heap: Heap) -> LastLook {
    let mut walked = heap.walked;
    // Of use to who shares the resident set out, and many.
    walked.spans.clear();
    LastLook {
        walked,
        cost: heap.cost,
    }
}
