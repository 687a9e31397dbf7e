//! What stands on each page of a region: two bytes a page, whatever chunks are
//! on it, so that a heap of any number of chunks takes the same memory.

use super::memory::{Lost, Memory, PAGE, PageState, STATES_MAX};

/// Most pages of all regions together: 48 GiB of addresses in 24 MiB. What is
/// beyond is not walked, and said.
pub const PAGES_MAX: usize = 12 << 20;

const FULL: u16 = PAGE as u16;
const UNKNOWN: u16 = 0xfffd;
const SWAPPED: u16 = 0xfffe;
const ABSENT: u16 = 0xffff;

/// The pages of `[start, end)`.
pub struct Pages {
    start: u64,
    /// Bytes in use on a page, or one of the numbers above.
    used: Vec<u16>,
}

/// What is on one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// It is not resident.
    Absent,
    /// It is in swap.
    Swapped,
    /// It is resident, and what is on it could not be told.
    Unknown,
    /// It is resident, and of its bytes so many are in use.
    Used(u16),
}

impl Pages {
    /// Asks for the states of a region's pages; nothing is in use yet.
    pub fn new<M: Memory>(memory: &mut M, start: u64, end: u64) -> Result<Self, Lost> {
        let start = start & !(PAGE - 1);
        let count = end.saturating_sub(start).div_ceil(PAGE) as usize;
        let mut used = Vec::with_capacity(count);
        let mut states = Vec::with_capacity(count.min(STATES_MAX));
        while used.len() < count {
            states.clear();
            let at = start + used.len() as u64 * PAGE;
            memory.states(at, (count - used.len()).min(STATES_MAX), &mut states)?;
            if states.is_empty() {
                return Err(Lost);
            }
            used.extend(states.iter().map(|state| match state {
                PageState::Absent => ABSENT,
                PageState::Swapped => SWAPPED,
                PageState::Resident => 0,
            }));
        }
        Ok(Self { start, used })
    }

    /// First address.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// First address behind the last page.
    pub fn end(&self) -> u64 {
        self.start + self.used.len() as u64 * PAGE
    }

    fn index(&self, address: u64) -> usize {
        (address.saturating_sub(self.start) / PAGE) as usize
    }

    /// Counts `[start, end)` as in use.
    pub fn take(&mut self, start: u64, end: u64) {
        let (first, last) = (self.index(start), self.index(end - 1));
        if first == last {
            // Most chunks.
            if let Some(used) = self.used.get_mut(first)
                && *used <= FULL
            {
                *used = (*used + (end - start) as u16).min(FULL);
            }
            return;
        }
        self.change(start, end, |used, bytes| (used + bytes).min(FULL));
    }

    /// Counts `[start, end)` as free again.
    pub fn give_back(&mut self, start: u64, end: u64) {
        self.change(start, end, u16::saturating_sub);
    }

    fn change(&mut self, start: u64, end: u64, change: impl Fn(u16, u16) -> u16) {
        let mut at = start;
        while at < end {
            let until = end.min((at / PAGE + 1) * PAGE);
            let index = self.index(at);
            let Some(used) = self.used.get_mut(index) else {
                return;
            };
            if *used <= FULL {
                *used = change(*used, (until - at) as u16);
            }
            at = until;
        }
    }

    /// What is on the pages of `[start, end)`, in part or whole, is not known.
    pub fn lose(&mut self, start: u64, end: u64) {
        let range = self.index(start)..self.index(end.saturating_sub(1)) + 1;
        let range = range.start.min(self.used.len())..range.end.min(self.used.len());
        for used in self.used.get_mut(range).unwrap_or_default() {
            if *used <= FULL {
                *used = UNKNOWN;
            }
        }
    }

    /// What the page at an address holds, to be put back by [`Self::rewind`].
    pub fn mark(&self, address: u64) -> u16 {
        self.used
            .get(self.index(address))
            .copied()
            .unwrap_or(ABSENT)
    }

    /// Takes back what was counted from the page of an address on, up to another.
    pub fn rewind(&mut self, address: u64, mark: u16, end: u64) {
        let (first, behind) = (self.index(address), self.index(end) + 1);
        let range = (first + 1).min(self.used.len())..behind.min(self.used.len());
        for used in self.used.get_mut(range).unwrap_or_default() {
            if *used <= FULL {
                *used = 0;
            }
        }
        if let Some(used) = self.used.get_mut(first) {
            *used = mark;
        }
    }

    /// Resident bytes of the whole pages within `[start, end)`.
    pub fn resident_within(&self, start: u64, end: u64) -> u64 {
        let first = self.index(start.saturating_add(PAGE - 1));
        let behind = self.index(end).min(self.used.len());
        let pages = self.used.get(first..behind).unwrap_or_default();
        pages.iter().filter(|used| **used < SWAPPED).count() as u64 * PAGE
    }

    /// Every page, by address.
    pub fn iter(&self) -> impl Iterator<Item = Page> {
        self.used.iter().map(|used| match *used {
            ABSENT => Page::Absent,
            SWAPPED => Page::Swapped,
            UNKNOWN => Page::Unknown,
            used => Page::Used(used),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct States(Vec<PageState>);

    impl Memory for States {
        fn states(
            &mut self,
            start: u64,
            pages: usize,
            to: &mut Vec<PageState>,
        ) -> Result<(), Lost> {
            let first = (start / PAGE) as usize;
            to.extend_from_slice(&self.0[first..first + pages]);
            Ok(())
        }
        fn show(&mut self, _: u64, _: usize) -> Result<(), Lost> {
            Err(Lost)
        }
        fn shown(&self) -> (&[u8], &[u8]) {
            (&[], &[])
        }
        fn read(&mut self, _: u64, _: &mut [u8]) -> Result<bool, Lost> {
            Err(Lost)
        }
    }

    const PAGES: usize = 12;

    proptest! {
        /// Ranges that are taken and partly given back leave on each page what
        /// counting every byte leaves, and absent pages stay absent.
        #[test]
        fn as_byte_by_byte(
            states in prop::collection::vec(0..3u8, PAGES),
            ranges in prop::collection::vec((0..PAGES as u64 * PAGE - 1, 1..9000u64), 0..8),
        ) {
            let states: Vec<PageState> = states.into_iter().map(PageState::from_number).collect();
            let mut pages = Pages::new(&mut States(states.clone()), 0, PAGES as u64 * PAGE).unwrap();
            let mut bytes = vec![false; PAGES * PAGE as usize];
            for (number, (start, length)) in ranges.into_iter().enumerate() {
                let end = (start + length).min(PAGES as u64 * PAGE);
                let range = &mut bytes[start as usize..end as usize];
                if number % 3 == 2 && range.iter().all(|it| *it) {
                    range.fill(false);
                    pages.give_back(start, end);
                } else if range.iter().all(|it| !*it) {
                    range.fill(true);
                    pages.take(start, end);
                }
            }
            for ((page, state), bytes) in pages.iter().zip(states).zip(bytes.chunks(PAGE as usize)) {
                let used = bytes.iter().filter(|it| **it).count() as u16;
                prop_assert_eq!(page, match state {
                    PageState::Absent => Page::Absent,
                    PageState::Swapped => Page::Swapped,
                    PageState::Resident => Page::Used(used),
                });
            }
        }
    }

    /// Rewinding leaves what was counted before the mark, and only that.
    #[test]
    fn rewinds() {
        let mut pages = Pages::new(&mut States(vec![PageState::Resident; 4]), 0, 4 * PAGE).unwrap();
        pages.take(100, 4096 + 50);
        let mark = pages.mark(4096 + 50);
        pages.take(4096 + 50, 3 * 4096);
        pages.rewind(4096 + 50, mark, 4 * 4096);
        let left: Vec<Page> = pages.iter().collect();
        assert_eq!(left, [3996, 50, 0, 0].map(Page::Used));
        pages.lose(8192, 8193);
        assert_eq!(pages.iter().nth(2), Some(Page::Unknown));
        assert_eq!(pages.resident_within(1, 4 * 4096), 3 * 4096);
    }
}
