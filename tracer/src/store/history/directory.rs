//! The directory, held open: every file is opened beneath it by a plain name, never through
//! a symbolic link, and read and written by its owner only.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{self, AtFlags, Dir, FlockOperation, Mode, OFlags};

use super::{HistoryError, name::SegmentName};

const LOCK: &str = "lock";
/// Others must not write.
const OTHERS_WRITE: u32 = 0o022;
/// Larger files are none of ours: segments end long before, see [`super::writer`].
const READ_MAX: u64 = 256 << 20;

/// See the module.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens it, made if it is to be written and is not there.
    pub fn open(path: &Path, to_write: bool) -> Result<Self, HistoryError> {
        let failed = |source: io::Error| HistoryError::Files {
            path: path.to_owned(),
            source,
        };
        if to_write {
            match fs::mkdir(path, Mode::RWXU) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno.into())),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = fs::open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        let stat = fs::fstat(&fd).map_err(|errno| failed(errno.into()))?;
        let me = rustix::process::geteuid().as_raw();
        let is_ours = stat.st_uid == me || (!to_write && stat.st_uid == 0);
        if !is_ours || stat.st_mode & OTHERS_WRITE != 0 {
            return Err(HistoryError::NotSafe(path.to_owned()));
        }
        if to_write {
            fs::fchmod(&fd, Mode::RWXU).map_err(|errno| failed(errno.into()))?;
        }
        let path = path.to_owned();
        Ok(Self { fd, path })
    }

    /// An error about it.
    pub fn failed(&self, source: io::Error) -> HistoryError {
        HistoryError::Files {
            path: self.path.clone(),
            source,
        }
    }

    /// The one writer's, until it is dropped; or the process id of who has it, as it told.
    pub fn lock(&self) -> Result<File, HistoryError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = fs::openat(&self.fd, LOCK, flags, Mode::RUSR | Mode::WUSR);
        let mut file = File::from(file.map_err(|errno| self.failed(errno.into()))?);
        match fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                let _ = (&mut file).take(20).read_to_string(&mut holder);
                return Err(HistoryError::Locked {
                    path: self.path.clone(),
                    pid: holder.trim().parse().ok(),
                });
            }
            Err(errno) => return Err(self.failed(errno.into())),
        }
        // Only for who wants to know; a full disk is no reason not to begin.
        let _ = file.set_len(0);
        let _ = file.write_all(format!("{}\n", std::process::id()).as_bytes());
        Ok(file)
    }

    /// Names of all files.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Names of all segments, also of those that are replaced.
    pub fn segments(&self) -> io::Result<Vec<SegmentName>> {
        let names = self.names()?;
        Ok(names
            .iter()
            .filter_map(|it| SegmentName::parse(it))
            .collect())
    }

    /// Opens a regular file to read.
    pub fn open_file(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDONLY)
    }

    /// Opens a regular file to go on writing it.
    pub fn open_to_write(&self, name: &str) -> io::Result<File> {
        self.open_with(name, OFlags::RDWR)
    }

    fn open_with(&self, name: &str, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(fs::openat(&self.fd, name, flags, Mode::empty())?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::ErrorKind::InvalidInput.into())
        }
    }

    /// A new file; it must not be there.
    pub fn create(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        Ok(fs::openat(&self.fd, name, flags, mode)?.into())
    }

    /// A file that is to be renamed once it is whole: whatever a crash left is replaced.
    pub fn create_anew(&self, name: &str) -> io::Result<File> {
        match self.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.create(name),
        }
    }

    /// Gives a file its name for good, also after a power cut.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::renameat(&self.fd, from, &self.fd, to)?;
        Ok(fs::fsync(&self.fd)?)
    }

    /// Takes a file in from elsewhere on this file system.
    pub fn take_in(&self, from: &Path, to: &str) -> io::Result<()> {
        Ok(fs::renameat(fs::CWD, from, &self.fd, to)?)
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        Ok(fs::unlinkat(&self.fd, name, AtFlags::empty())?)
    }

    /// Length of a file; 0 where it is not there.
    pub fn length(&self, name: &str) -> u64 {
        let stat = fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0))
    }
}

/// All of a file, as long as it is now.
pub fn read_all(file: &File) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.size();
    if length > READ_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let mut have = 0;
    while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, have as u64) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// The first bytes of a file, or all of a shorter one.
pub fn read_start(file: &File, count: usize) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.metadata()?.size()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; count.min(length)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The last bytes of a file, or fewer.
pub fn read_end(file: &File, count: usize) -> io::Result<Vec<u8>> {
    let length = file.metadata()?.size();
    let from = length.saturating_sub(count as u64);
    let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
    file.read_exact_at(&mut bytes, from)?;
    Ok(bytes)
}
