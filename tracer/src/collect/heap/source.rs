//! The parent's side of a walk: copies what is asked for, resident pages only.

use std::io;

use super::protocol::{Question, Reply, SMALL, STATES, WINDOW, WINDOW_STATES};
use crate::{
    collect::mapped::residency::{PAGE, Residency},
    heap::{PageState, image::Image, memory::READ_MAX},
    probe::remote_memory::{Range, SharedMemory, copy},
};

/// A process whose memory is asked for.
pub struct Source {
    pid: u32,
    residency: Residency,
    shared: SharedMemory,
    ranges: Vec<Range>,
    /// Bytes that were copied so far.
    pub copied_bytes: u64,
    /// What was shown is kept here, where it is to be recorded.
    pub recording: Option<Image>,
}

impl Source {
    /// Opens its page tables.
    pub fn open(pid: u32, shared: SharedMemory) -> io::Result<Self> {
        Ok(Self {
            pid,
            residency: Residency::open(pid, true)?,
            shared,
            ranges: Vec::new(),
            copied_bytes: 0,
            recording: None,
        })
    }

    /// Answers a question; what was asked for stands in the shared memory then.
    pub fn answer(&mut self, question: Question) -> Reply {
        let answered = match question {
            Question::States(start, pages) => self.states(STATES, start, pages as usize),
            Question::Show(start, bytes) => self.show(start, bytes as usize),
            Question::Read(start, bytes) => return self.read(start, bytes as usize),
            Question::Done => Ok(()),
        };
        self.record(question);
        match answered {
            Ok(()) => Reply::Here,
            Err(_gone) => Reply::Lost,
        }
    }

    /// Keeps the pages that were asked for.
    fn record(&mut self, question: Question) {
        let Some(recording) = &mut self.recording else {
            return;
        };
        let (shared, page) = (self.shared.bytes(), PAGE as usize);
        let (start, states, shown) = match question {
            Question::Show(start, bytes) => {
                let pages = (bytes as usize).div_ceil(page);
                (
                    start,
                    shared.get(WINDOW_STATES..WINDOW_STATES + pages),
                    true,
                )
            }
            Question::States(start, pages) => {
                (start, shared.get(STATES..STATES + pages as usize), false)
            }
            _ => return,
        };
        for (index, state) in states.unwrap_or_default().iter().enumerate() {
            let at = start + (index * page) as u64;
            let bytes = shared.get(WINDOW + index * page..WINDOW + (index + 1) * page);
            match PageState::from_number(*state) {
                PageState::Resident if shown => recording.put(at, bytes),
                // Its bytes do not matter, or come later.
                PageState::Resident => recording.touch(at),
                PageState::Swapped => recording.put(at, None),
                PageState::Absent => {}
            }
        }
    }

    fn states(&mut self, place: usize, start: u64, pages: usize) -> io::Result<()> {
        match self.shared.part_mut(place, pages) {
            Some(states) => self.residency.states(start, states),
            None => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn show(&mut self, start: u64, bytes: usize) -> io::Result<()> {
        let page = PAGE as usize;
        let pages = bytes.div_ceil(page);
        self.states(WINDOW_STATES, start, pages)?;
        // States and ranges are of this process's making; the worker reads them.
        let states = self.shared.part_mut(WINDOW_STATES, pages);
        let mut states = states.unwrap_or_default().to_vec();
        let mut first = 0;
        while first < pages {
            self.ranges.clear();
            runs(&states, first, |run, length| {
                self.ranges.push(Range {
                    from: start + (run * page) as u64,
                    to: WINDOW + run * page,
                    length: (length * page).min(bytes - run * page),
                });
            });
            let Some(to) = self.shared.part_mut(0, WINDOW_STATES) else {
                break;
            };
            let copied = match copy(self.pid, &self.ranges, to) {
                Ok(copied) => copied,
                Err(error) if error.raw_os_error() == Some(libc::EFAULT) => 0,
                Err(error) => return Err(error),
            };
            self.copied_bytes += copied as u64;
            // The page that ended the copy went meanwhile.
            let Some(gone) = page_behind(&self.ranges, copied, page) else {
                break;
            };
            first = gone + 1;
            if let Some(state) = states.get_mut(gone) {
                *state = PageState::Absent as u8;
            }
        }
        if let Some(shown) = self.shared.part_mut(WINDOW_STATES, pages) {
            shown.copy_from_slice(&states);
        }
        Ok(())
    }

    fn read(&mut self, start: u64, bytes: usize) -> Reply {
        let end = start + bytes as u64;
        let first = start & !(PAGE - 1);
        let mut states = [0; READ_MAX / PAGE as usize + 1];
        let pages = (end - first).div_ceil(PAGE) as usize;
        let Some(states) = states.get_mut(..pages) else {
            return Reply::NotResident;
        };
        if self.residency.states(first, states).is_err() {
            return Reply::Lost;
        }
        if states
            .iter()
            .any(|state| *state != PageState::Resident as u8)
        {
            return Reply::NotResident;
        }
        let range = Range {
            from: start,
            to: 0,
            length: bytes,
        };
        match self
            .shared
            .part_mut(SMALL, bytes)
            .map(|to| copy(self.pid, &[range], to))
        {
            Some(Ok(copied)) if copied == bytes => {
                self.copied_bytes += copied as u64;
                Reply::Here
            }
            Some(Err(error)) if error.raw_os_error() == Some(libc::ESRCH) => Reply::Lost,
            _ => Reply::NotResident,
        }
    }
}

/// Tells of each run of resident pages from a page on.
fn runs(states: &[u8], first: usize, mut tell: impl FnMut(usize, usize)) {
    let mut at = first;
    let is_resident = |state: &u8| *state == PageState::Resident as u8;
    while let Some(run) = states
        .get(at..)
        .and_then(|it| it.iter().position(is_resident))
    {
        let start = at + run;
        let rest = states.get(start..).unwrap_or_default();
        let length = rest.iter().take_while(|state| is_resident(state)).count();
        tell(start, length);
        at = start + length;
    }
}

/// The page of the window at which a copy of so many bytes ended, if it did
/// before its end.
fn page_behind(ranges: &[Range], copied: usize, page: usize) -> Option<usize> {
    let mut left = copied;
    for range in ranges {
        if left < range.length {
            return Some((range.to + left) / page);
        }
        left -= range.length;
    }
    None
}
