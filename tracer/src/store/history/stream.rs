//! Reading: intervals one after the other, a segment at a time in memory, beside a writer
//! that goes on.

use std::{collections::VecDeque, fs::File, io, sync::Arc};

use crate::model::host::Interval;

use super::{
    HistoryError,
    directory::{Directory, read_all, read_end},
    name::{Level, SegmentName, in_order},
    segment::{END, Reader, Start, Summary, Within, check_start},
};

/// Each time the writer changed what there is while it was opened, it is begun again.
const ATTEMPTS: u32 = 100;

/// The intervals of a time, oldest first, as fine as they are kept. Where the clock went back
/// the order is that of writing.
#[derive(Debug)]
pub struct Intervals {
    directory: Arc<Directory>,
    within: Within,
    /// What the writer may replace is held open; the coarsest level, of which there can be many
    /// segments, is opened when its turn comes: it is never replaced, only removed.
    waiting: VecDeque<(SegmentName, Option<File>)>,
    reader: Option<Reader<Vec<u8>>>,
    damaged: u64,
}

impl Intervals {
    pub(super) fn open(directory: Arc<Directory>, within: Within) -> Result<Self, HistoryError> {
        let mut attempt = 0;
        let waiting = loop {
            attempt += 1;
            match open_all(&directory, within) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {}
                opened => break opened.map_err(|source| directory.failed(source))?,
            }
        };
        Ok(Self {
            directory,
            within,
            waiting,
            reader: None,
            damaged: 0,
        })
    }

    /// Stretches of damage that were passed over so far: what they told is missing.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged + self.reader.as_ref().map_or(0, Reader::damaged)
    }

    fn next_segment(&mut self) -> Option<Result<Reader<Vec<u8>>, HistoryError>> {
        loop {
            let (name, file) = self.waiting.pop_front()?;
            let file = file.map_or_else(|| self.directory.open_file(&name.to_string()), Ok);
            let bytes = match file.and_then(|file| read_all(&file)) {
                // Too old to be kept, meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Some(Err(self.directory.failed(error))),
                Ok(bytes) => bytes,
            };
            if check_start(&bytes) == Start::Newer {
                return Some(Err(HistoryError::Newer));
            }
            return Some(Ok(Reader::new(bytes)));
        }
    }
}

fn open_all(
    directory: &Directory,
    within: Within,
) -> io::Result<VecDeque<(SegmentName, Option<File>)>> {
    let listed = listed(directory)?;
    let (names, _) = in_order(listed.clone());
    let mut opened = VecDeque::with_capacity(names.len());
    for name in names {
        let file = directory.open_file(&name.to_string())?;
        // One that is not complete says nothing of what it has.
        let summary = Summary::of_end(&read_end(&file, END)?);
        if summary.is_none_or(|summary| summary.touches(within)) {
            let file = (name.level != Level::TenMinutes).then_some(file);
            opened.push_back((name, file));
        }
    }
    // A list is not of one moment: what took another's place meanwhile could be in none.
    if self::listed(directory)? == listed {
        Ok(opened)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// From the earliest begin to the latest end.
pub fn span(directory: &Directory) -> io::Result<Option<(u64, u64)>> {
    let mut span: Option<(u64, u64)> = None;
    let (names, _) = in_order(directory.segments()?);
    for name in names {
        let file = match directory.open_file(&name.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let summary = match Summary::of_end(&read_end(&file, END)?) {
            Some(summary) => summary,
            None => {
                let mut reader = Reader::new(read_all(&file)?);
                // Headers alone tell.
                while reader.next(Within::Time(u64::MAX, 0)).is_some() {}
                reader.summary
            }
        };
        if summary.intervals > 0 {
            let (start, end) = span.unwrap_or((summary.start_ms, summary.end_ms));
            span = Some((start.min(summary.start_ms), end.max(summary.end_ms)));
        }
    }
    Ok(span)
}

fn listed(directory: &Directory) -> io::Result<Vec<SegmentName>> {
    let mut names = directory.segments()?;
    names.sort_unstable();
    Ok(names)
}

impl Iterator for Intervals {
    type Item = Result<Interval, HistoryError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(reader) = &mut self.reader {
                if let Some((interval, _)) = reader.next(self.within) {
                    return Some(Ok(interval));
                }
                self.damaged += reader.damaged();
                self.reader = None;
            }
            match self.next_segment()? {
                Ok(reader) => self.reader = Some(reader),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
