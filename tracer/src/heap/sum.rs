//! Sums: from a region's pages and counts to what is told of the heap.

use super::{
    arena::Arena,
    memory::PAGE,
    occupancy::Counter,
    pages::{Page, Pages},
    region::{Region, SIZES, Tally},
};
use crate::model::heap as model;

/// A region that was walked.
pub struct Walked {
    pub arena: usize,
    pub region: Region,
    pub pages: Pages,
    pub tally: Tally,
}

/// An arena, still without what was counted.
pub fn described(arena: &Arena) -> model::Arena {
    model::Arena {
        address: arena.address,
        is_main: arena.is_main,
        system_bytes: arena.system_bytes,
        ..model::Arena::default()
    }
}

/// The region that holds an address.
pub fn holder(walked: &mut [Walked], address: u64) -> Option<&mut Walked> {
    let index = walked.partition_point(|it| it.tally.end <= address);
    walked
        .get_mut(index)
        .filter(|it| it.region.first_chunk <= address)
}

/// Tells of a region's pages that are partly in use, `most` in all.
pub fn tell_partly_used(walked: &Walked, to: &mut model::PartlyUsed, most: usize) {
    let first = walked.pages.start() / PAGE;
    for (page, state) in (first..).zip(walked.pages.iter()) {
        if let Page::Used(used @ 1..) = state
            && u64::from(used) < PAGE
            && to.len() < most
        {
            // Regions come by address.
            let _is_behind = to.push(page, used);
        }
    }
}

/// The sums of a region's pages, which are put into the picture too.
pub fn fold(walked: &Walked, counter: &mut Counter) -> model::Pages {
    let mut sums = model::Pages::default();
    let pages = walked
        .tally
        .end
        .saturating_sub(walked.pages.start())
        .div_ceil(PAGE);
    for page in walked.pages.iter().take(pages as usize) {
        counter.add(page);
        match page {
            Page::Absent => sums.absent_bytes += PAGE,
            Page::Swapped => sums.swapped_bytes += PAGE,
            Page::Unknown => sums.unknown_bytes += PAGE,
            Page::Used(0) => sums.empty_bytes += PAGE,
            Page::Used(used) => {
                let used = u64::from(used);
                sums.used_bytes += used;
                sums.pinned_bytes += PAGE - used;
                sums.pinning_pages += u64::from(used < PAGE);
            }
        }
    }
    sums.resident_bytes =
        sums.unknown_bytes + sums.empty_bytes + sums.used_bytes + sums.pinned_bytes;
    sums
}

/// Adds what concerns the whole heap.
pub fn add(all: &mut Tally, tally: &Tally) {
    all.retries += tally.retries;
    all.breaks += tally.breaks;
    all.wrong_footers += tally.wrong_footers;
    all.adjacent_free += tally.adjacent_free;
    all.misplaced += tally.misplaced;
    all.free_by_size.resize(SIZES, 0);
    for (bytes, more) in all.free_by_size.iter_mut().zip(&tally.free_by_size) {
        *bytes += more;
    }
    for run in &tally.runs {
        all.keep(*run);
    }
}
