//! The heap of any allocator, told from the ledger: what is resident of its
//! mappings, less the live blocks on them.
//!
//! A mapping is an allocator's if it was made within one of its calls. Traced from
//! its start a process has no others; after an attach in mid-life the mappings
//! from before that hold a traced block are taken for its own too, and its blocks
//! from before are not known: an upper bound.

use std::collections::BTreeMap;

use crate::{
    collect::{
        mapped::{
            Mapped,
            intervals::{Interval, Origin},
            residency::{PAGE, Residency},
        },
        space::Space,
    },
    heap::PageState,
    model::{MappingKind, heap::PartlyUsed, trace_heap::Traced},
    probe::{Kernel, ProbeError},
};

/// Pages of all mappings of a process: 64 GiB.
const PAGES_MAX: u64 = 16 << 20;
/// Pages whose states are read at once.
const BATCH: usize = 1 << 15;
/// Pages that are told of one by one.
const PARTLY_USED_MAX: usize = 1 << 20;

/// The mappings that may be an allocator's, and what is in use on their pages.
pub struct Pages {
    space: u32,
    pid: u32,
    is_from_start: bool,
    /// By first address.
    intervals: BTreeMap<u64, Pieces>,
    live_bytes: u64,
}

struct Pieces {
    end: u64,
    is_known: bool,
    /// Bytes in use on each page, where a block is.
    used: Vec<u16>,
}

impl Pages {
    /// Of a process that lives and whose mappings are watched.
    pub fn of(space: &Space, is_from_start: bool) -> Option<Self> {
        let intervals = candidates(&space.mapped, is_from_start);
        let pages: u64 = (intervals.iter())
            .map(|it| (it.end - it.start) / PAGE)
            .sum();
        if pages > PAGES_MAX {
            return None;
        }
        let pieces = intervals.into_iter().map(|it| {
            let pieces = Pieces {
                end: it.end,
                is_known: it.about.origin == Origin::Allocator,
                used: Vec::new(),
            };
            (it.start, pieces)
        });
        Some(Self {
            space: space.id,
            pid: space.pid()?,
            is_from_start,
            intervals: pieces.collect(),
            live_bytes: 0,
        })
    }

    /// A live block.
    fn add(&mut self, address: u64, bytes: u64) {
        self.live_bytes = self.live_bytes.saturating_add(bytes);
        let Some((&start, pieces)) = self.intervals.range_mut(..=address).next_back() else {
            return;
        };
        let end = address.saturating_add(bytes).min(pieces.end);
        if address >= end {
            return;
        }
        if pieces.used.is_empty() {
            pieces.used = vec![0; ((pieces.end - start) / PAGE) as usize];
        }
        let mut at = address;
        while at < end {
            let next = ((at / PAGE + 1) * PAGE).min(end);
            if let Some(used) = pieces.used.get_mut(((at - start) / PAGE) as usize) {
                *used = used.saturating_add((next - at) as u16).min(PAGE as u16);
            }
            at = next;
        }
    }

    /// Weighs the pages.
    fn weigh(self) -> Option<(Traced, PartlyUsed)> {
        let mut residency = Residency::open(self.pid, true).ok()?;
        let mut traced = Traced {
            live_bytes: self.live_bytes,
            is_upper_bound: !self.is_from_start,
            ..Traced::default()
        };
        let mut partly_used = PartlyUsed::default();
        let mut states = vec![0; BATCH];
        for (start, pieces) in self.intervals {
            if !pieces.is_known && pieces.used.is_empty() {
                continue;
            }
            let pages = ((pieces.end - start) / PAGE) as usize;
            for first in (0..pages).step_by(BATCH) {
                let states = states.get_mut(..(pages - first).min(BATCH))?;
                residency.states(start + first as u64 * PAGE, states).ok()?;
                for (index, state) in (first..).zip(&*states) {
                    if *state != PageState::Resident as u8 {
                        continue;
                    }
                    let used = pieces.used.get(index).copied().unwrap_or(0);
                    traced.resident_bytes += PAGE;
                    if used == 0 {
                        traced.retained_bytes += PAGE;
                        continue;
                    }
                    traced.pinned_bytes += PAGE - u64::from(used);
                    if u64::from(used) < PAGE && partly_used.len() < PARTLY_USED_MAX {
                        // They come by address.
                        let _is_behind = partly_used.push(start / PAGE + index as u64, used);
                    }
                }
            }
        }
        Some((traced, partly_used))
    }
}

fn candidates(mapped: &Mapped, is_from_start: bool) -> Vec<Interval> {
    let is_it = |it: &Interval| {
        it.about.usable
            && it.about.kind == MappingKind::Anonymous
            && match it.about.origin {
                Origin::Allocator => true,
                Origin::Before | Origin::Unseen => !is_from_start,
                Origin::Site(_) => false,
            }
    };
    mapped.intervals().filter(is_it).collect()
}

/// What is told of each process, by its number. The ledger is to be quiet.
pub fn look(
    processes: Vec<Pages>,
    kernel: &Kernel,
) -> Result<BTreeMap<u32, (Traced, PartlyUsed)>, ProbeError> {
    let mut by_space: BTreeMap<u32, Pages> =
        processes.into_iter().map(|it| (it.space, it)).collect();
    kernel.blocks(|key, block| {
        if let Some(pages) = by_space.get_mut(&key.space) {
            pages.add(key.address, block.size);
        }
    })?;
    let weighed = by_space.into_iter();
    Ok(weighed
        .filter_map(|(space, pages)| Some((space, pages.weigh()?)))
        .collect())
}
