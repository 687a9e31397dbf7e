//! A file mapped into memory, by the file worker only.

use std::fmt;
use std::os::fd::AsFd;
use std::ptr::NonNull;

use rustix::fs::Stat;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A whole file, read-only.
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

/// Which state of which file a mapping shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileState {
    device: u64,
    inode: u64,
    /// Length in bytes.
    pub length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl FileState {
    pub fn of(file: impl AsFd) -> rustix::io::Result<Self> {
        let stat: Stat = rustix::fs::fstat(file)?;
        Ok(Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            length: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        })
    }
}

impl Mapping {
    /// Maps the first `length` bytes.
    pub fn new(file: impl AsFd, length: u64) -> rustix::io::Result<Self> {
        let length = usize::try_from(length).map_err(|_| rustix::io::Errno::FBIG)?;
        if length == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                length,
            });
        }
        // SAFETY: a new mapping at an address of the kernel's choice touches no
        // other memory.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::PRIVATE,
                file,
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(rustix::io::Errno::FAULT)?;
        Ok(Self { start, length })
    }

    /// The file's bytes. If the file is cut short meanwhile, reading behind its
    /// new end is a SIGBUS.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable, `length` long and lives as long as
        // `self`. Its owner may write to the file while it is read: the bytes
        // then change under the parser. That is why this is done only in the
        // file worker, which has nothing to lose but its life.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: this is the whole mapping made in `new`, and no borrow of
            // its bytes outlives `self`. A failure leaves it mapped.
            let _left = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Mapping of {} bytes", self.length)
    }
}
