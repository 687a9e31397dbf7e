//! How many bytes of a range are resident, as `Rss` in `/proc/PID/smaps` counts
//! (fs/proc/task_mmu.c): pages with a page frame, the zero pages not among them.
//!
//! Linux 6.7 and later: the `PAGEMAP_SCAN` ioctl, which passes over holes and
//! knows the zero pages. Before, `/proc/PID/pagemap` page by page, with
//! `/proc/kpageflags` for what may be a zero page.

use std::{collections::HashMap, fs::File, io, os::unix::fs::FileExt as _};

use crate::{
    heap::PageState,
    probe::pagemap_scan::{self, Kind, Region},
};

/// Bytes of a page: x86-64's.
pub const PAGE: u64 = 4096;
/// Pages read at once.
const BATCH: usize = 1 << 15;
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
const FILE_OR_SHARED: u64 = 1 << 61;
const EXCLUSIVE: u64 = 1 << 56;
const FRAME: u64 = (1 << 55) - 1;
/// `KPF_ZERO_PAGE` (include/uapi/linux/kernel-page-flags.h).
const ZERO_PAGE: u64 = 1 << 24;
/// More different frames than this are not zero pages.
const FRAMES_KNOWN: usize = 1 << 16;

/// A process's page tables.
pub struct Residency {
    pagemap: File,
    kernel_flags: Option<File>,
    can_scan: bool,
    /// Whether a frame is a zero page.
    zero: HashMap<u64, bool>,
}

impl Residency {
    /// Opens a process's page tables; `may_scan` is for tests of the older way.
    pub fn open(pid: u32, may_scan: bool) -> io::Result<Self> {
        Ok(Self {
            pagemap: File::open(format!("/proc/{pid}/pagemap"))?,
            kernel_flags: File::open("/proc/kpageflags").ok(),
            can_scan: may_scan,
            zero: HashMap::new(),
        })
    }

    /// Resident bytes in `[start, end)`.
    pub fn bytes(&mut self, start: u64, end: u64) -> io::Result<u64> {
        if self.can_scan {
            match self.scan(start, end) {
                Err(error) if is_unsupported(&error) => self.can_scan = false,
                result => return result,
            }
        }
        self.read(start, end)
    }

    fn scan(&self, start: u64, end: u64) -> io::Result<u64> {
        let mut regions = [Region::default(); 512];
        let (mut at, mut bytes) = (start, 0);
        while at < end {
            let found = pagemap_scan::resident(&self.pagemap, at, end, &mut regions)?;
            bytes += (regions.iter().take(found.regions))
                .map(|region| region.end.saturating_sub(region.start))
                .sum::<u64>();
            if found.walked_to <= at {
                break;
            }
            at = found.walked_to;
        }
        Ok(bytes)
    }

    /// The states of the pages from `start` on, as numbers of [`PageState`]; pages
    /// of nothing are absent.
    pub fn states(&mut self, start: u64, states: &mut [u8]) -> io::Result<()> {
        states.fill(PageState::Absent as u8);
        if self.can_scan {
            match self.scan_states(start, states) {
                Err(error) if is_unsupported(&error) => self.can_scan = false,
                result => return result,
            }
        }
        self.read_states(start, states)
    }

    fn scan_states(&self, start: u64, states: &mut [u8]) -> io::Result<()> {
        let mut regions = [Region::default(); 512];
        let end = start + states.len() as u64 * PAGE;
        let mut at = start;
        while at < end {
            let found = pagemap_scan::states(&self.pagemap, at, end, &mut regions)?;
            for region in regions.iter().take(found.regions) {
                let state = match region.kind() {
                    Kind::Resident => PageState::Resident,
                    Kind::Zero => PageState::Absent,
                    Kind::Swapped => PageState::Swapped,
                };
                let page = |address: u64| (address.saturating_sub(start) / PAGE) as usize;
                let pages = states.get_mut(page(region.start)..page(region.end));
                pages.unwrap_or_default().fill(state as u8);
            }
            if found.walked_to <= at {
                break;
            }
            at = found.walked_to;
        }
        Ok(())
    }

    fn read_states(&mut self, start: u64, states: &mut [u8]) -> io::Result<()> {
        let mut buffer = vec![0; states.len() * 8];
        let read = self.pagemap.read_at(&mut buffer, start / PAGE * 8)? / 8;
        let (entries, _) = buffer.as_chunks::<8>();
        for (entry, state) in entries.iter().take(read).zip(states) {
            let entry = u64::from_ne_bytes(*entry);
            if entry & PRESENT != 0 && !self.is_zero(entry) {
                *state = PageState::Resident as u8;
            } else if entry & SWAPPED != 0 {
                *state = PageState::Swapped as u8;
            }
        }
        Ok(())
    }

    fn read(&mut self, start: u64, end: u64) -> io::Result<u64> {
        let mut buffer = vec![0; BATCH * 8];
        let (mut page, last) = (start / PAGE, end.div_ceil(PAGE));
        let mut resident = 0;
        while page < last {
            let wanted = usize::try_from(last - page).unwrap_or(BATCH).min(BATCH) * 8;
            let read = self.pagemap.read_at(&mut buffer[..wanted], page * 8)? / 8;
            if read == 0 {
                break;
            }
            let (entries, _) = buffer[..read * 8].as_chunks::<8>();
            for entry in entries {
                let entry = u64::from_ne_bytes(*entry);
                resident += u64::from(entry & PRESENT != 0 && !self.is_zero(entry));
            }
            page += read as u64;
        }
        Ok(resident * PAGE)
    }

    /// A zero page belongs to no process: neither a file's, nor exclusive.
    fn is_zero(&mut self, entry: u64) -> bool {
        if entry & (FILE_OR_SHARED | EXCLUSIVE) != 0 {
            return false;
        }
        let frame = entry & FRAME;
        if let Some(known) = self.zero.get(&frame) {
            return *known;
        }
        let mut flags = [0; 8];
        let is_zero = self.kernel_flags.as_ref().is_some_and(|file| {
            file.read_exact_at(&mut flags, frame * 8).is_ok()
                && u64::from_ne_bytes(flags) & ZERO_PAGE != 0
        });
        if self.zero.len() < FRAMES_KNOWN {
            self.zero.insert(frame, is_zero);
        }
        is_zero
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOTTY | libc::EINVAL | libc::ENOSYS)
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::ptr::null_mut;

    use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

    use super::*;

    /// Pages that were written count, those that were only read do not, and
    /// both ways to ask the kernel say so.
    #[test]
    fn written_pages_are_resident() {
        const PAGES: usize = 2000;
        let flags = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping of our own.
        let start = unsafe {
            mmap_anonymous(null_mut(), PAGES * PAGE as usize, flags, MapFlags::PRIVATE).unwrap()
        };
        let mut written = 0;
        for page in (0..PAGES).step_by(3) {
            // SAFETY: within the mapping.
            let at = unsafe { start.cast::<u8>().add(page * PAGE as usize) };
            if page % 2 == 0 {
                // SAFETY: within the mapping.
                unsafe { at.write_volatile(1) };
                written += PAGE;
            } else {
                // SAFETY: within the mapping; makes the zero page appear.
                assert_eq!(unsafe { at.read_volatile() }, 0);
            }
        }
        let end = start as u64 + PAGES as u64 * PAGE;
        for may_scan in [true, false] {
            let mut residency = Residency::open(std::process::id(), may_scan).unwrap();
            assert_eq!(residency.bytes(start as u64, end).unwrap(), written);
            let mut states = vec![9; PAGES];
            residency.states(start as u64, &mut states).unwrap();
            for (page, state) in states.into_iter().enumerate() {
                assert_eq!(state, u8::from(page % 3 == 0 && page % 2 == 0), "{page}");
            }
        }
    }
}
