//! Opening files of a target, by the path under which the target sees them.
//!
//! The target may put anything there: a link out of its root, a FIFO that
//! never opens, a device whose opening does something. Nothing but a regular
//! file is ever opened. What is in the file is not looked at here.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
use thiserror::Error;

use super::MAX_FILE_BYTES;

/// Renames along the path make the kernel ask for another try.
const MAX_TRIES: usize = 8;

/// Why a target's file was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The process is gone, or its root is closed to us.
    #[error("cannot reach the root directory of process {pid}")]
    NoRoot {
        /// The process.
        pid: u32,
        /// The system's answer.
        source: io::Error,
    },
    /// The path leads nowhere, or out of bounds.
    #[error("cannot open {path:?} of the process")]
    Unopenable {
        /// As the process sees it.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// There is something else than a regular file.
    #[error("{path:?} of the process is {kind}, not a regular file")]
    NotRegular {
        /// As the process sees it.
        path: PathBuf,
        /// Such as `a FIFO`.
        kind: &'static str,
    },
    /// The file is longer than is ever parsed.
    #[error("{path:?} of the process is {bytes} bytes long, more than {MAX_FILE_BYTES}")]
    TooLarge {
        /// As the process sees it.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Someone else than the process's user wrote the file.
    #[error("{path:?} belongs to user {owner}, not to the process's user {expected}")]
    ForeignOwner {
        /// As the process sees it.
        path: PathBuf,
        /// Owner of the file.
        owner: u32,
        /// The process's user.
        expected: u32,
    },
}

/// Opens an object that the process has at this path.
///
/// The path is resolved within the process's root directory: symbolic links on
/// the way stay inside, and a symbolic link at its end is refused. Hold a pidfd
/// and check it afterwards: the number may have passed to another process.
///
/// # Errors
/// See [`OpenError`].
pub fn open_in_root(pid: u32, path: &Path) -> Result<File, OpenError> {
    let (file, _owner, bytes) = open_regular(pid, path)?;
    if bytes > MAX_FILE_BYTES {
        return Err(OpenError::TooLarge {
            path: path.to_owned(),
            bytes,
        });
    }
    Ok(file)
}

/// Opens the perf map of a process, `/tmp/perf-NSPID.map` within its root.
///
/// Everyone may write to `/tmp`: a map is believed only if it belongs to
/// `user`, the process's effective user, or to root. Its length is not limited
/// here: the first [`super::perf_map::MAX_BYTES`] are read, and more is told.
///
/// # Errors
/// See [`OpenError`]; most processes have no perf map ([`OpenError::is_missing`]).
pub fn open_perf_map(pid: u32, namespace_pid: u32, user: u32) -> Result<File, OpenError> {
    let path = PathBuf::from(format!("/tmp/perf-{namespace_pid}.map"));
    let (file, owner, _bytes) = open_regular(pid, &path)?;
    if owner != user && owner != 0 {
        return Err(OpenError::ForeignOwner {
            path,
            owner,
            expected: user,
        });
    }
    Ok(file)
}

impl OpenError {
    /// Nothing is at that path.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unopenable { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The file, its owner and its length.
fn open_regular(pid: u32, path: &Path) -> Result<(File, u32, u64), OpenError> {
    let unopenable = |source: Errno| OpenError::Unopenable {
        path: path.to_owned(),
        source: source.into(),
    };
    let root = openat(
        CWD,
        format!("/proc/{pid}/root"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|source| OpenError::NoRoot {
        pid,
        source: source.into(),
    })?;
    // A place in the file system first, without opening what is there.
    let mut tries = 0;
    let place = loop {
        tries += 1;
        match openat2(
            &root,
            path,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        ) {
            Err(Errno::AGAIN) if tries < MAX_TRIES => {}
            result => break result.map_err(unopenable)?,
        }
    };
    let stat = fstat(&place).map_err(unopenable)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind != FileType::RegularFile {
        return Err(OpenError::NotRegular {
            path: path.to_owned(),
            kind: kind_name(kind),
        });
    }
    // The same file, through our own descriptor. Not to wait for a lease that
    // the target may hold on it: O_NONBLOCK.
    let file = openat(
        CWD,
        format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&place)),
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(unopenable)?;
    let bytes = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    Ok((file.into(), stat.st_uid, bytes))
}

fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a FIFO",
        FileType::Symlink => "a symbolic link",
        FileType::Directory => "a directory",
        FileType::Socket => "a socket",
        FileType::CharacterDevice => "a character device",
        FileType::BlockDevice => "a block device",
        _ => "something unknown",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
