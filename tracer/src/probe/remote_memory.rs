//! Another process's memory, copied by the kernel straight into memory that is
//! shared with the child that looks into it: whoever has the right to read does
//! not look, and whoever looks has no right.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// `UIO_MAXIOV` (include/uapi/linux/uio.h): ranges of one call.
const RANGES_MAX: usize = 1024;

/// Memory that two processes have, for one to write and the other to read. They
/// take turns: nobody writes while the other's question is unanswered.
pub struct SharedMemory {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is owned by this alone within the process.
unsafe impl Send for SharedMemory {}

impl SharedMemory {
    /// New memory, and the file by which another process can map it.
    ///
    /// # Errors
    /// No memory, or no files.
    pub fn create(length: usize) -> io::Result<(OwnedFd, Self)> {
        let file = memfd_create("memtrace-window", MemfdFlags::CLOEXEC)?;
        ftruncate(&file, length as u64)?;
        let memory = Self::map(&file, length, ProtFlags::READ | ProtFlags::WRITE)?;
        Ok((file, memory))
    }

    /// Memory that another process made; to be read only.
    ///
    /// # Errors
    /// It is shorter, or cannot be mapped.
    pub fn open(file: impl AsFd, length: usize) -> io::Result<Self> {
        if rustix::fs::fstat(&file)?.st_size < length as i64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::map(&file, length, ProtFlags::READ)
    }

    fn map(file: impl AsFd, length: usize, protection: ProtFlags) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the kernel's choice touches no
        // other memory.
        let start = unsafe {
            mmap(
                std::ptr::null_mut(),
                length,
                protection,
                MapFlags::SHARED,
                file,
                0,
            )?
        };
        let start = NonNull::new(start.cast()).ok_or(rustix::io::Errno::FAULT)?;
        Ok(Self { start, length })
    }

    /// What is in it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: readable, `length` long, mapped as long as `self`. The other
        // process writes only while this one waits for its answer, see the type.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }

    /// The part `[start, start + length)`, to be written: by who created it.
    pub fn part_mut(&mut self, start: usize, length: usize) -> Option<&mut [u8]> {
        start
            .checked_add(length)
            .filter(|end| *end <= self.length)?;
        // SAFETY: within the mapping, which `create` made writable; the other
        // process reads only once it was answered.
        Some(unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr().add(start), length) })
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: this is the whole mapping, and no borrow of it outlives `self`.
        let _left = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// A range to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Address in the other process.
    pub from: u64,
    /// Offset in the target of the copy.
    pub to: usize,
    /// Bytes.
    pub length: usize,
}

/// Copies ranges out of a process's memory (`process_vm_readv`, Linux 3.2), in
/// their order; how many bytes. Where one cannot be read the copy ends, at a
/// page's boundary.
///
/// # Errors
/// The process is gone or may not be read, or the first byte cannot.
pub fn copy(pid: u32, ranges: &[Range], to: &mut [u8]) -> io::Result<usize> {
    let mut copied = 0;
    for ranges in ranges.chunks(RANGES_MAX) {
        let is_within = |it: &Range| {
            it.to
                .checked_add(it.length)
                .is_some_and(|end| end <= to.len())
        };
        if !ranges.iter().all(is_within) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let base = to.as_mut_ptr();
        let local: Vec<libc::iovec> = (ranges.iter())
            .map(|it| libc::iovec {
                // SAFETY: within `to`, as was just made sure.
                iov_base: unsafe { base.add(it.to) }.cast(),
                iov_len: it.length,
            })
            .collect();
        let remote: Vec<libc::iovec> = (ranges.iter())
            .map(|it| libc::iovec {
                iov_base: it.from as *mut libc::c_void,
                iov_len: it.length,
            })
            .collect();
        // SAFETY: the local ranges are within `to`, which is borrowed for this
        // call; the remote ones are only read, and checked by the kernel.
        let read = unsafe {
            libc::process_vm_readv(
                pid as libc::pid_t,
                local.as_ptr(),
                local.len() as libc::c_ulong,
                remote.as_ptr(),
                remote.len() as libc::c_ulong,
                0,
            )
        };
        let read = match usize::try_from(read) {
            Ok(read) => read,
            Err(_) if copied > 0 => return Ok(copied),
            Err(_) => return Err(io::Error::last_os_error()),
        };
        copied += read;
        if read < ranges.iter().map(|it| it.length).sum() {
            break;
        }
    }
    Ok(copied)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Ranges of this process arrive where they should, in order; what is not
    /// mapped ends the copy, and what does not fit is refused.
    #[test]
    fn copies_ranges() {
        let from: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let at = from.as_ptr() as u64;
        let range = |from, to, length| Range { from, to, length };
        let (_file, mut memory) = SharedMemory::create(8192).unwrap();
        let ranges = [range(at + 5, 100, 10), range(at + 9000, 0, 50)];
        let to = memory.part_mut(0, 8192).unwrap();
        assert_eq!(copy(std::process::id(), &ranges, to).unwrap(), 60);
        assert_eq!(memory.bytes()[100..110], from[5..15]);
        assert_eq!(memory.bytes()[..50], from[9000..9050]);
        let to = memory.part_mut(0, 8192).unwrap();
        let ranges = [range(at, 0, 10), range(4096, 10, 10)];
        assert_eq!(copy(std::process::id(), &ranges, to).unwrap(), 10);
        assert!(copy(std::process::id(), &[range(4096, 0, 1)], to).is_err());
        assert!(copy(std::process::id(), &[range(at, 8190, 3)], to).is_err());
        assert!(memory.part_mut(8000, 193).is_none());
    }
}
