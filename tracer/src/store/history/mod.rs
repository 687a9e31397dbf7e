//! The history of a host on disk: segments of intervals, and closer looks with their
//! recordings, bounded in size and age.
//!
//! What is appended is there for every reader at once, and after a `kill -9`; old segments
//! become coarser ([`compaction`]); [`bounds`] tells what goes when there is too much.
//! docs/history.md tells the format, and what is lost when.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    model::{
        Report,
        host::{CloserLook, Interval, LookId},
    },
    store::recording::RecordingError,
};

mod bounds;
mod clock;
mod codec;
mod compaction;
mod directory;
mod frame;
mod looks;
mod name;
mod opening;
mod segment;
mod segment_file;
mod stacks;
mod stream;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
mod writer;

pub use stream::Intervals;

use directory::Directory;
use segment::{Reader, Within};
use writer::Writer;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes on disk, recordings of closer looks included: beyond it the oldest go.
    pub bytes: u64,
    /// What is older goes.
    pub age: Duration,
}

/// What went wrong since the history was opened, and what went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Intervals that could not be written.
    pub dropped: u64,
    /// Segments and closer looks that went, for the bounds or because the disk was full.
    pub evicted: u64,
    /// Bytes that a crash had left behind the last whole interval, cut off at opening.
    pub torn_bytes: u64,
    /// Stretches of damage found at opening, in segments that were not complete.
    pub damaged: u64,
    /// Pieces of housekeeping that failed (compacting, completing, removing), and are tried again.
    pub failed: u64,
}

/// Why the history cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// A file or directory.
    #[error("the history in {} cannot be used", path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Others could have written it, or could read what is to be written.
    #[error(
        "the history in {} is not safe: its directory must belong to root (or who runs \
         memtrace), and nobody else may write to it", .0.display()
    )]
    NotSafe(PathBuf),
    /// There is one writer.
    #[error(
        "the history in {} is being written by another memtrace{}; end it, or give \
         another directory", path.display(), pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who writes it, if that is known.
        pid: Option<u32>,
    },
    /// It was opened with [`History::read`].
    #[error("the history was opened to be read")]
    ReadOnly,
    /// Written by a newer memtrace.
    #[error(
        "the history was written by a newer memtrace; use that version, or give another directory"
    )]
    Newer,
    /// Nothing of that name is kept.
    #[error("there is no recording of the closer look {}; it may have been too old to keep", .0.0)]
    NoLook(LookId),
    /// It is kept, but damaged.
    #[error("the recording of the closer look {} cannot be read", look.0)]
    Recording {
        /// Which.
        look: LookId,
        /// Why.
        source: Box<RecordingError>,
    },
}

/// The history of one host. One daemon writes; many may read.
#[derive(Debug)]
pub struct History {
    directory: Arc<Directory>,
    writer: Option<Mutex<Writer>>,
}

impl History {
    /// Opens it to write, made if it is not there, and mends what a crash left:
    /// see [`Self::counts`].
    ///
    /// # Errors
    /// [`HistoryError`]; of its parent directory nothing is made.
    pub fn open(directory: &Path, bounds: Bounds) -> Result<Self, HistoryError> {
        let directory = Arc::new(Directory::open(directory, true)?);
        let writer = Writer::open(Arc::clone(&directory), bounds)?;
        Ok(Self {
            directory,
            writer: Some(Mutex::new(writer)),
        })
    }

    /// Opens it to read only, beside a daemon or without one.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn read(directory: &Path) -> Result<Self, HistoryError> {
        Ok(Self {
            directory: Arc::new(Directory::open(directory, false)?),
            writer: None,
        })
    }

    /// Keeps an interval. Where the disk is full the oldest go. A little of what is old is
    /// compacted each time.
    ///
    /// # Errors
    /// It could not be written: it is dropped and counted, and the next interval that can
    /// be written tells so in its losses.
    pub fn append(&self, interval: &Interval) -> Result<(), HistoryError> {
        self.writer()?.append(interval)
    }

    /// Compacts all that is old enough now, at once.
    ///
    /// # Errors
    /// [`HistoryError::ReadOnly`].
    pub fn compact(&self) -> Result<(), HistoryError> {
        self.writer()?.compact();
        Ok(())
    }

    /// All that ends after `from_ms` and begins before `to_ms`, oldest first, as fine as
    /// it is kept. For long times rather [`Self::stream`].
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn intervals(&self, from_ms: u64, to_ms: u64) -> Result<Vec<Interval>, HistoryError> {
        self.stream(from_ms, to_ms)?.collect()
    }

    /// The same, one after the other: no more than a segment, at most some 8 MiB, is in memory.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn stream(&self, from_ms: u64, to_ms: u64) -> Result<Intervals, HistoryError> {
        Intervals::open(Arc::clone(&self.directory), Within::Time(from_ms, to_ms))
    }

    /// From the earliest begin to the latest end of what is kept; `None`: nothing is.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn span(&self) -> Result<Option<(u64, u64)>, HistoryError> {
        let span = stream::span(&self.directory);
        span.map_err(|source| self.directory.failed(source))
    }

    /// Keeps a closer look: moves its recording here.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn keep(&self, look: &CloserLook, recording: &Path) -> Result<(), HistoryError> {
        self.writer()?.keep(look, recording)
    }

    /// The closer looks that are kept, newest first.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub fn looks(&self) -> Result<Vec<CloserLook>, HistoryError> {
        looks::all(&self.directory).map_err(|source| self.directory.failed(source))
    }

    /// The report of one.
    ///
    /// # Errors
    /// [`HistoryError::NoLook`], [`HistoryError::Recording`].
    pub fn report(&self, look: &LookId) -> Result<Report, HistoryError> {
        looks::report(&self.directory, look)
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self.writer() {
            Ok(writer) => writer.bytes(),
            Err(_) => {
                let names = self.directory.names().unwrap_or_default();
                names.iter().map(|name| self.directory.length(name)).sum()
            }
        }
    }

    /// What went wrong, and what went; of a reader nothing.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.writer()
            .map_or_else(|_| Counts::default(), |it| it.counts)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>, HistoryError> {
        let writer = self.writer.as_ref().ok_or(HistoryError::ReadOnly)?;
        // Whoever panicked did not leave a segment half changed: it is changed by one write.
        Ok(writer.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads a segment from its bytes, as fuzzing needs it: intervals, and stretches of damage.
#[must_use]
pub fn read_segment(bytes: &[u8]) -> (Vec<Interval>, u64) {
    let mut reader = Reader::new(bytes);
    let mut intervals = Vec::new();
    while let Some((interval, _)) = reader.next(Within::All) {
        intervals.push(interval);
    }
    (intervals, reader.damaged())
}
