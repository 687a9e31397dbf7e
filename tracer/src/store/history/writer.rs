//! The one writer: appends, and keeps what there is within its bounds.

use std::{collections::BTreeMap, fs::File, io, path::Path, sync::Arc, time::Duration};

use rustix::io::Errno;

use super::{
    Bounds, Counts, HistoryError,
    clock::AgeClock,
    compaction::{self, Job},
    directory::Directory,
    looks::{self, KeptLook},
    name::{SegmentName, look_stem},
    opening,
    segment::Summary,
    segment_file::SegmentFile,
};
use crate::model::host::{CloserLook, Interval, LookId};

/// Largest segment; with small bounds a sixteenth of what may be kept.
const SEGMENT_MAX: u64 = 8 << 20;
const SEGMENT_SHARE: u64 = 16;
/// A new segment begins with each hour of the wall clock, if the last one has so many intervals
/// already: a clock that leaps to and fro must not make one for each interval.
const HOUR_MS: u64 = 3_600_000;
const INTERVALS_MIN: u32 = 30;
/// Intervals that are compacted with each that is appended, so that none takes long.
const COMPACTED_AT_ONCE: u32 = 16;
/// After a compaction that failed, ms of the age clock.
const REST_MS: u64 = 600_000;
/// In [`Interval::losses`]: intervals that could not be written.
pub const DROPPED: &str = "intervals that could not be written";

/// A segment to which nothing is added any more.
#[derive(Clone, Copy, Debug)]
pub struct Complete {
    /// Its length.
    pub bytes: u64,
    /// What is in it.
    pub summary: Summary,
}

/// See the module.
#[derive(Debug)]
pub struct Writer {
    pub(super) directory: Arc<Directory>,
    /// As long as it is open nobody else writes.
    pub(super) _lock: File,
    pub(super) bounds: Bounds,
    pub(super) complete: BTreeMap<SegmentName, Complete>,
    pub(super) live: Option<(SegmentName, SegmentFile)>,
    /// The next segment's number.
    pub(super) next: u64,
    pub(super) clock: AgeClock,
    pub(super) job: Option<Job>,
    /// No compaction begins before the age clock stands there.
    pub(super) rest_until_ms: u64,
    pub(super) looks: BTreeMap<LookId, KeptLook>,
    /// Dropped, and not yet told by an interval.
    pub(super) untold: u64,
    pub(super) counts: Counts,
}

impl Writer {
    /// See [`super::History::open`].
    pub fn open(directory: Arc<Directory>, bounds: Bounds) -> Result<Self, HistoryError> {
        let mut writer = opening::open(directory, bounds)?;
        writer.bound(0);
        Ok(writer)
    }

    /// See [`super::History::append`].
    pub fn append(&mut self, interval: &Interval) -> Result<(), HistoryError> {
        self.clock.advance(interval.start_ms, interval.end_ms);
        let told = self.untold;
        let with_losses = (told > 0).then(|| {
            let mut interval = interval.clone();
            let sum = interval.losses.entry(DROPPED.to_owned()).or_default();
            *sum = sum.saturating_add(told);
            interval
        });
        let interval = with_losses.as_ref().unwrap_or(interval);
        let appended = self.with_room(|writer| writer.try_append(interval));
        match appended {
            Ok(()) => self.untold -= told,
            Err(error) => {
                self.untold += 1;
                self.counts.dropped += 1;
                return Err(self.directory.failed(error));
            }
        }
        self.work(COMPACTED_AT_ONCE);
        self.bound(0);
        Ok(())
    }

    /// See [`super::History::keep`].
    pub fn keep(&mut self, look: &CloserLook, recording: &Path) -> Result<(), HistoryError> {
        let failed = |source| HistoryError::Files {
            path: recording.to_owned(),
            source,
        };
        if look_stem(&look.id).is_none() {
            return Err(HistoryError::NoLook(look.id.clone()));
        }
        let length = looks::length(recording).map_err(failed)?;
        if length > self.bounds.bytes {
            return Err(failed(io::ErrorKind::FileTooLarge.into()));
        }
        self.bound(length);
        if self.clock.now_ms() == 0 {
            self.clock = AgeClock::from(look.end_ms);
        }
        let aged_ms = self.clock.now_ms();
        let kept =
            self.with_room(|writer| looks::keep(&writer.directory, look, recording, aged_ms));
        self.looks.insert(look.id.clone(), kept.map_err(failed)?);
        self.bound(0);
        Ok(())
    }

    /// See [`super::History::compact`].
    pub fn compact(&mut self) {
        while self.work(u32::MAX) {}
        self.bound(0);
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        let complete = self.complete.values().map(|it| it.bytes);
        let live = self.live.iter().map(|(_, file)| file.bytes());
        let job = self.job.iter().map(|job| job.output.bytes());
        let looks = self.looks.values().map(|it| it.bytes);
        complete.chain(live).chain(job).chain(looks).sum()
    }

    /// Tries, and where the disk is full again without the oldest.
    fn with_room<T>(&mut self, mut what: impl FnMut(&mut Self) -> io::Result<T>) -> io::Result<T> {
        loop {
            match what(self) {
                Err(error) if is_full(&error) && (self.abandon_job() || self.remove_oldest()) => {}
                result => return result,
            }
        }
    }

    fn try_append(&mut self, interval: &Interval) -> io::Result<()> {
        let aged_ms = self.clock.now_ms();
        if self.is_hour_over(interval) {
            self.end_live();
        }
        let (name, file) = self.take_live()?;
        let mut encoded = match file.encode(interval, aged_ms) {
            Ok(encoded) => encoded,
            Err(error) => {
                self.live = Some((name, file));
                return Err(error);
            }
        };
        let length = encoded.bytes.len() as u64;
        let most = (self.bounds.bytes / SEGMENT_SHARE).min(SEGMENT_MAX);
        if file.summary.intervals > 0 && file.bytes() + length > most {
            self.live = Some((name, file));
            self.end_live();
            self.live = Some(self.take_live()?);
            // Another segment has none of its stacks yet.
            return self.try_append(interval);
        }
        self.live = Some((name, file));
        self.bound(length);
        // Bounds that leave no room for anything have taken it away.
        let (name, mut file) = self.take_live()?;
        if file.summary.intervals == 0 {
            encoded = file.encode(interval, aged_ms)?;
        }
        let written = file.write(encoded);
        self.live = Some((name, file));
        written
    }

    fn is_hour_over(&self, interval: &Interval) -> bool {
        self.live.as_ref().is_some_and(|(_, file)| {
            file.summary.intervals >= INTERVALS_MIN
                && file.first_ms / HOUR_MS != interval.start_ms / HOUR_MS
        })
    }

    fn take_live(&mut self) -> io::Result<(SegmentName, SegmentFile)> {
        if let Some(live) = self.live.take() {
            return Ok(live);
        }
        let name = SegmentName::new(self.next);
        let file = SegmentFile::create(&self.directory, &name.to_string())?;
        self.next += 1;
        Ok((name, file))
    }

    fn end_live(&mut self) {
        if let Some((name, mut file)) = self.live.take() {
            // Without its last frame it is read from its beginning.
            if file.end().is_err() {
                self.counts.failed += 1;
            }
            let (bytes, summary) = (file.bytes(), file.summary);
            self.complete.insert(name, Complete { bytes, summary });
        }
    }

    /// Goes on with compaction. True: there may be more to do.
    fn work(&mut self, intervals: u32) -> bool {
        let directory = Arc::clone(&self.directory);
        let mut job = match self.job.take() {
            Some(job) => job,
            None if self.clock.now_ms() < self.rest_until_ms => return false,
            None => match self.selected().map(|run| Job::begin(&directory, run)) {
                Some(Ok(Some(job))) => job,
                Some(Err(_)) => {
                    self.rest();
                    return false;
                }
                Some(Ok(None)) | None => return false,
            },
        };
        let done = match job.step(&directory, intervals) {
            Ok(false) => {
                self.job = Some(job);
                return true;
            }
            Ok(true) => job.finish(&directory),
            Err(error) => Err(error),
        };
        if done.is_err() {
            job.abandon(&directory);
            self.rest();
            return false;
        }
        self.replace(&job);
        true
    }

    /// Compaction failed: what it reads counts as it is, and it is tried again later.
    fn rest(&mut self) {
        self.counts.failed += 1;
        self.rest_until_ms = self.clock.now_ms().saturating_add(REST_MS);
        // Somebody may have removed a segment.
        let directory = &self.directory;
        (self.complete).retain(|name, _| directory.length(&name.to_string()) > 0);
    }

    fn replace(&mut self, job: &Job) {
        for name in &job.inputs {
            self.complete.remove(name);
            // What stays does not count any more, and the next start removes it.
            if self.directory.remove(&name.to_string()).is_err() {
                self.counts.failed += 1;
            }
        }
        let (bytes, summary) = (job.output.bytes(), job.output.summary);
        self.complete.insert(job.name, Complete { bytes, summary });
    }

    fn selected(&self) -> Option<Vec<SegmentName>> {
        let complete = self.complete.iter().map(|(name, it)| {
            let age = Duration::from_millis(self.clock.age_of(it.summary.aged_ms));
            (*name, it.summary, age)
        });
        compaction::select(&complete.collect::<Vec<_>>())
    }
}

fn is_full(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    errno.is_some_and(|errno| matches!(errno, Errno::NOSPC | Errno::DQUOT))
}
