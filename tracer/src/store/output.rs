//! The directory a trace writes: `report.html`, `live.svg`, `leak.svg`, `live.folded`, `mappings.svg`,
//! `fragmentation.svg`, `sockets.svg`, `profile.pb.gz`, `report.json`,
//! `recording.memtrace`.
//!
//! memtrace runs as root and writes where users can: every file is made under
//! a temporary name in a directory held open, never through a symbolic link,
//! readable by its owner only, given to the user behind sudo, and renamed when
//! it is whole. The directory is made, and tried, before a trace begins.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::model::Report;
use crate::render::{flamegraph, folded, html, json, pprof};

use super::recording;

mod error;
mod owner;

pub use error::{OutputError, WriteErrors};
pub use owner::Owner;

/// Longest command name within the name of a directory.
const COMMAND_MAX: usize = 40;

const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

type Render = fn(&Report, &mut BufWriter<File>) -> io::Result<()>;

/// What a trace writes. The recording comes first: from it the others can be
/// made again, should there be no room for them.
const FILES: [(&str, Render); 10] = [
    ("recording.memtrace", |report, file| {
        recording::write(report, file)
    }),
    ("report.json", |report, file| json::write(report, file)),
    ("profile.pb.gz", |report, file| pprof::write(report, file)),
    ("live.folded", |report, file| folded::write(report, file)),
    ("sockets.svg", |report, file| {
        flamegraph::write_sockets(report, file)
    }),
    ("mappings.svg", |report, file| {
        flamegraph::write_mappings(report, file)
    }),
    ("fragmentation.svg", |report, file| {
        flamegraph::write_fragmentation(report, file)
    }),
    ("leak.svg", |report, file| {
        flamegraph::write_leak(report, file)
    }),
    ("live.svg", |report, file| flamegraph::write(report, file)),
    ("report.html", |report, file| html::write(report, file)),
];

/// A directory that outputs can be written to.
#[derive(Debug)]
pub struct OutputDir {
    path: PathBuf,
    directory: OwnedFd,
    owner: Option<Owner>,
    created: bool,
}

impl OutputDir {
    /// Makes the directory, or takes one that is there, and tries to write to
    /// it. Its parent must exist.
    ///
    /// `owner` is the user to whom the directory, if it is new, and the files
    /// are given; see [`Owner::behind_sudo`]. A directory that was there must
    /// belong to that user or to the one memtrace runs as.
    ///
    /// # Errors
    /// [`OutputError`], each with what to do.
    pub fn create(path: &Path, owner: Option<Owner>) -> Result<Self, OutputError> {
        let (directory, created) = open(path)?;
        let output = Self {
            path: path.to_owned(),
            directory,
            owner,
            created,
        };
        if let Err(error) = output.prepare() {
            output.discard();
            return Err(error);
        }
        Ok(output)
    }

    /// Where the outputs are, as given to [`Self::create`].
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory if [`Self::create`] made it and it is still
    /// empty: for a trace that never began.
    pub fn discard(self) {
        if self.created {
            // A directory left behind is no reason to complain of anything.
            let _ = fs::rmdir(&self.path);
        }
    }

    /// Writes all outputs and returns their paths, the page first. What fails does not keep
    /// the others from being tried; older outputs of the same names are
    /// replaced, each by a whole file or not at all.
    ///
    /// # Errors
    /// [`WriteErrors`] with the paths that were written all the same.
    pub fn write_all(&self, report: &Report) -> Result<Vec<PathBuf>, WriteErrors> {
        let mut written = Vec::new();
        let mut errors = Vec::new();
        for (name, render) in FILES {
            match self.write(name, |file| render(report, file)) {
                Ok(path) => written.push(path),
                Err(error) => errors.push(error),
            }
        }
        // For people, who want the page first.
        written.reverse();
        if errors.is_empty() {
            Ok(written)
        } else {
            Err(WriteErrors { written, errors })
        }
    }

    fn prepare(&self) -> Result<(), OutputError> {
        let failed = |errno: Errno| OutputError::from_io(&self.path, errno.into());
        let found = fs::fstat(&self.directory).map_err(failed)?.st_uid;
        let ours = found == rustix::process::geteuid().as_raw();
        if !ours && self.owner.is_none_or(|owner| owner.uid != found) {
            return Err(OutputError::NotOurs {
                path: self.path.clone(),
                uid: found,
            });
        }
        if self.created {
            fs::fchmod(&self.directory, Mode::RWXU).map_err(failed)?;
            self.give_away(&self.directory).map_err(failed)?;
        }
        let (probe, file) = self.temporary("probe").map_err(failed)?;
        drop(file);
        fs::unlinkat(&self.directory, &probe, AtFlags::empty()).map_err(failed)
    }

    /// Writes one output of any name, whole or not at all.
    ///
    /// # Errors
    /// [`OutputError`].
    pub fn write(
        &self,
        name: &str,
        render: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
    ) -> Result<PathBuf, OutputError> {
        let path = self.path.join(name);
        let (temporary, file) = self
            .temporary(name)
            .map_err(|errno| OutputError::from_io(&path, errno.into()))?;
        let whole = fill(file, render).and_then(|()| {
            Ok(fs::renameat(
                &self.directory,
                &temporary,
                &self.directory,
                name,
            )?)
        });
        // The rename lasts only once the directory is on disk too.
        if let Err(error) = whole.and_then(|()| Ok(fs::fsync(&self.directory)?)) {
            let _ = fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
            return Err(OutputError::from_io(&path, error));
        }
        Ok(path)
    }

    /// A new, empty file beside the others, and its name.
    fn temporary(&self, name: &str) -> rustix::io::Result<(String, File)> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mut attempt = 0;
        loop {
            let temporary = format!(".{name}.{}-{attempt}.part", std::process::id());
            match fs::openat(&self.directory, &temporary, flags, mode) {
                Ok(file) => {
                    let ready = fs::fchmod(&file, mode).and_then(|()| self.give_away(&file));
                    if let Err(errno) = ready {
                        let _ = fs::unlinkat(&self.directory, &temporary, AtFlags::empty());
                        return Err(errno);
                    }
                    return Ok((temporary, file.into()));
                }
                // Left by a process of this id that was killed.
                Err(Errno::EXIST) if attempt < 100 => attempt += 1,
                Err(errno) => return Err(errno),
            }
        }
    }

    fn give_away(&self, file: impl AsFd) -> rustix::io::Result<()> {
        match self.owner {
            Some(owner) => fs::fchown(
                file,
                Some(Uid::from_raw(owner.uid)),
                Some(Gid::from_raw(owner.gid)),
            ),
            None => Ok(()),
        }
    }
}

fn fill(file: File, render: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 16, file);
    render(&mut file)?;
    file.flush()?;
    file.get_ref().sync_all()
}

/// Opens the directory, made if it was not there; true if it was made.
fn open(path: &Path) -> Result<(OwnedFd, bool), OutputError> {
    let failed = |errno: Errno| OutputError::from_io(path, errno.into());
    let Some(name) = path.file_name() else {
        // `.`, `..`, `/`: a directory that is there, and no link.
        return Ok((
            fs::open(path, DIRECTORY_FLAGS, Mode::empty()).map_err(failed)?,
            false,
        ));
    };
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = fs::open(parent, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::NOENT | Errno::NOTDIR => OutputError::NoParent {
            path: path.to_owned(),
        },
        _ => failed(errno),
    })?;
    let created = match fs::mkdirat(&parent, name, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(errno) => return Err(failed(errno)),
    };
    match fs::openat(&parent, name, DIRECTORY_FLAGS, Mode::empty()) {
        Ok(directory) => Ok((directory, created)),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(no_directory(&parent, name, path)),
        Err(errno) => Err(failed(errno)),
    }
}

fn no_directory(parent: &OwnedFd, name: &OsStr, path: &Path) -> OutputError {
    let is_link = fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| fs::FileType::from_raw_mode(stat.st_mode).is_symlink());
    let path = path.to_owned();
    if is_link {
        OutputError::SymbolicLink { path }
    } else {
        OutputError::NotADirectory { path }
    }
}

/// The directory for a trace without `-o`: `memtrace-node-4242-20261120T195807Z`,
/// relative to the current directory.
///
/// `command` is the target's `argv[0]`, hostile; `start_utc` is RFC 3339.
#[must_use]
pub fn default_name(command: &str, pid: u32, start_utc: &str) -> PathBuf {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let command = command.rsplit('/').next().unwrap_or_default();
    let command: String = command.chars().take(COMMAND_MAX).map(plain).collect();
    let command = if command.is_empty() {
        "process"
    } else {
        &command
    };
    let whole_seconds = start_utc
        .split('.')
        .next()
        .unwrap_or_default()
        .trim_end_matches('Z');
    let time: String = whole_seconds
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    PathBuf::from(format!("memtrace-{command}-{pid}-{time}Z"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
