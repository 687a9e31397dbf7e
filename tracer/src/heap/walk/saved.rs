//! Going back to where a window was opened, when what was in it did not fit.

use super::Walker;
use crate::heap::{memory::PAGE, region::Tally};

/// Where the walk was when a window was opened.
pub(super) struct Saved {
    tally: Tally,
    at: u64,
    previous: Option<(u64, u64)>,
    run: Option<u64>,
    next_fast: usize,
    fences: u32,
    candidates: usize,
    page: (u64, u16),
}

impl Walker<'_> {
    pub(super) fn save(&self) -> Saved {
        // The chunk in front is taken when the one behind it is seen.
        let first = self.previous.map_or(self.at, |(address, _)| address);
        Saved {
            tally: self.tally.clone(),
            at: self.at,
            previous: self.previous,
            run: self.run,
            next_fast: self.next_fast,
            fences: self.fences,
            candidates: self.candidates.len(),
            page: (first, self.pages.mark(first)),
        }
    }

    pub(super) fn restore(&mut self, saved: &Saved, furthest: u64) {
        let retries = self.tally.retries;
        self.tally = saved.tally.clone();
        self.tally.retries = retries;
        self.at = saved.at;
        self.previous = saved.previous;
        self.run = saved.run;
        self.next_fast = saved.next_fast;
        self.fences = saved.fences;
        self.candidates.truncate(saved.candidates);
        let (address, mark) = saved.page;
        self.pages.rewind(address, mark, furthest + PAGE);
    }
}
