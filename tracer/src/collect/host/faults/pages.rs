//! What kind of page a sampled fault brought: asked of `/proc/PID/pagemap` and
//! `/proc/kpageflags` (Documentation/admin-guide/mm/pagemap.rst) when samples are
//! taken, seconds later at most.
//!
//! A huge page comes with one fault, and weighs 512 times as much as another. How many came
//! is known of the whole host (`thp_fault_alloc` of `/proc/vmstat`): so huge pages are
//! never told that were not there, as pages that were made huge since would be.

use std::{collections::HashMap, fs::File, os::unix::fs::FileExt as _};

use tracer_common::fault::PERIOD;

use super::samples::Sample;

/// Of a word of pagemap.
const PRESENT: u64 = 1 << 63;
const FILE_OR_SHARED: u64 = 1 << 61;
const FRAME: u64 = (1 << 55) - 1;
/// Of a word of kpageflags.
const HUGE: u64 = 1 << 22;
const ZERO_PAGE: u64 = 1 << 24;

pub const PAGE_BYTES: u64 = 4096;
/// Of the processor's second level.
const HUGE_BYTES: u64 = 2 << 20;
/// Processes whose pagemap is opened at one time.
const FILES_MAX: usize = 256;

/// What a fault brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// A page of the process's own.
    Anonymous,
    /// The same, huge.
    Huge,
    /// Of a file, or shared.
    File,
    /// The page of zeroes, which is nobody's.
    Zero,
    /// It is gone, or may not be looked at.
    Unknown,
}

/// Looks at pages.
pub struct Pages {
    flags: Option<File>,
    /// Huge pages that came and were not told yet.
    untold_huge: u64,
    counted_huge: Option<u64>,
}

impl Pages {
    pub fn new() -> Self {
        Self {
            flags: File::open("/proc/kpageflags").ok(),
            untold_huge: 0,
            counted_huge: huge_faults(),
        }
    }

    /// Whether huge pages are told from others.
    pub const fn tells_huge(&self) -> bool {
        self.flags.is_some() && self.counted_huge.is_some()
    }

    /// The bytes that each sample stands for: of the process's own, and of files.
    pub fn weigh(&mut self, samples: &[Sample], processors: u64) -> Vec<[u64; 2]> {
        let mut files: HashMap<u32, Option<File>> = HashMap::new();
        let pages: Vec<Page> = (samples.iter())
            .map(|sample| {
                let pid = sample.program.pid;
                if files.len() >= FILES_MAX && !files.contains_key(&pid) {
                    return Page::Unknown;
                }
                let file = files
                    .entry(pid)
                    .or_insert_with(|| File::open(format!("/proc/{pid}/pagemap")).ok());
                (file.as_ref()).map_or(Page::Unknown, |file| self.look(file, sample.address))
            })
            .collect();
        let huge = (samples.iter().zip(&pages))
            .filter(|(_, page)| **page == Page::Huge)
            .map(|(sample, _)| sample.faults)
            .sum();
        let told = self.huge_to_tell(huge, processors);
        let weigh = |(sample, page): (&Sample, &Page)| {
            let small = sample.faults.saturating_mul(PAGE_BYTES);
            match page {
                Page::Anonymous | Page::Unknown => [small, 0],
                Page::File => [0, small],
                Page::Zero => [0, 0],
                Page::Huge if told == 0 => [small, 0],
                Page::Huge => {
                    let faults = u128::from(sample.faults) * u128::from(told) / u128::from(huge);
                    let faults = u64::try_from(faults).unwrap_or(u64::MAX);
                    [faults.saturating_mul(HUGE_BYTES), 0]
                }
            }
        };
        samples.iter().zip(&pages).map(weigh).collect()
    }

    fn look(&self, pagemap: &File, address: u64) -> Page {
        let Some(word) = word_at(pagemap, address / PAGE_BYTES) else {
            return Page::Unknown;
        };
        if word & PRESENT == 0 {
            return Page::Unknown;
        }
        // Without CAP_SYS_ADMIN the frame's number is told as 0.
        let frame = Some(word & FRAME).filter(|frame| *frame != 0);
        let flags = self.flags.as_ref().zip(frame);
        let flags = flags.and_then(|(flags, frame)| word_at(flags, frame));
        of_words(word, flags.unwrap_or(0))
    }

    /// Of so many huge faults as samples stand for those that were.
    fn huge_to_tell(&mut self, sampled: u64, processors: u64) -> u64 {
        let now = huge_faults();
        let came = now
            .zip(self.counted_huge)
            .map_or(0, |(now, before)| now.saturating_sub(before));
        self.counted_huge = now;
        // What no sample has met for long is not told at the next.
        let kept = self.untold_huge.min(4 * PERIOD * processors);
        self.untold_huge = kept.saturating_add(came);
        let told = sampled.min(self.untold_huge);
        self.untold_huge -= told;
        told
    }
}

fn of_words(pagemap: u64, flags: u64) -> Page {
    if flags & ZERO_PAGE != 0 {
        Page::Zero
    } else if pagemap & FILE_OR_SHARED != 0 {
        Page::File
    } else if flags & HUGE != 0 {
        Page::Huge
    } else {
        Page::Anonymous
    }
}

fn word_at(file: &File, index: u64) -> Option<u64> {
    let mut word = [0; 8];
    file.read_exact_at(&mut word, index.checked_mul(8)?).ok()?;
    Some(u64::from_ne_bytes(word))
}

/// How many huge pages came by faults since the start of the system.
fn huge_faults() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/vmstat").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("thp_fault_alloc "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page is told by what the kernel's documents say of its bits.
    #[test]
    fn pages_are_told_apart() {
        assert_eq!(of_words(PRESENT, 0), Page::Anonymous);
        assert_eq!(of_words(PRESENT, HUGE), Page::Huge);
        assert_eq!(of_words(PRESENT | FILE_OR_SHARED, HUGE), Page::File);
        assert_eq!(of_words(PRESENT, ZERO_PAGE), Page::Zero);
    }

    /// Never are more huge pages told than came, and what was not sampled is not kept for ever.
    #[test]
    fn huge_pages_are_bounded_by_those_that_came() {
        let mut pages = Pages {
            flags: None,
            untold_huge: 100,
            counted_huge: None,
        };
        assert_eq!(pages.huge_to_tell(61, 1), 61);
        assert_eq!(pages.huge_to_tell(61, 1), 39);
        assert_eq!(pages.huge_to_tell(61, 1), 0);
        pages.untold_huge = 1 << 40;
        assert_eq!(pages.huge_to_tell(u64::MAX, 1), 4 * PERIOD);
    }
}
