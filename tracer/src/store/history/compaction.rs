//! What is old becomes coarser: 10 s → 1 min after six hours, → 10 min after three days.
//!
//! A job reads a run of segments, a few intervals at a time, and writes one in their place:
//! under another name until it is on disk, then renamed, then they are removed. Until the
//! rename they count, from then on it does: [`super::name`] tells how a reader knows.

use std::{io, time::Duration};

use crate::model::host::Interval;

use super::{
    directory::{Directory, read_all},
    name::{Level, PART, SegmentName},
    segment::{Reader, Summary, Within},
    segment_file::SegmentFile,
};

/// In [`Interval::losses`]: stretches of the history that were damaged when it was compacted.
pub const DAMAGED: &str = "damaged stretches of history";

/// Intervals that one job takes in: about an hour of fine ones, or half a day of minutes.
const INTERVALS_MAX: u32 = 720;

/// When a segment becomes coarser, and how long it may wait for others to join it.
const fn due(level: Level) -> Option<(Duration, Duration)> {
    match level {
        Level::Fine => Some((Duration::from_secs(6 * 3600), Duration::ZERO)),
        Level::Minutes => Some((
            Duration::from_secs(72 * 3600),
            Duration::from_secs(12 * 3600),
        )),
        Level::TenMinutes => None,
    }
}

/// The first run of segments that is due, of those that are complete, in order; each with its age.
pub fn select(segments: &[(SegmentName, Summary, Duration)]) -> Option<Vec<SegmentName>> {
    [Level::Minutes, Level::Fine].into_iter().find_map(|level| {
        let (age, patience) = due(level)?;
        let first = segments.iter().position(|(name, ..)| name.level == level)?;
        let is_due = |it: &&(SegmentName, Summary, Duration)| it.0.level == level && it.2 > age;
        let mut intervals = 0_u32;
        let mut run = Vec::new();
        for (name, summary, _) in segments.iter().skip(first).take_while(is_due) {
            intervals = intervals.saturating_add(summary.intervals);
            if !run.is_empty() && intervals > INTERVALS_MAX {
                break;
            }
            run.push(*name);
        }
        let (_, _, oldest) = segments.get(first)?;
        let is_time = intervals >= INTERVALS_MAX || *oldest > age + patience;
        (!run.is_empty() && is_time).then_some(run)
    })
}

/// See the module.
#[derive(Debug)]
pub struct Job {
    /// What it reads, and stands for.
    pub inputs: Vec<SegmentName>,
    /// What it will be called.
    pub name: SegmentName,
    next_input: usize,
    reader: Option<Reader<Vec<u8>>>,
    /// The next interval to be written, when the last of it began, and the age clock then.
    group: Option<(Interval, u64, u64)>,
    damaged: u64,
    /// What it writes.
    pub output: SegmentFile,
}

impl Job {
    /// Begins. `None`: there is nothing to be made of these.
    pub fn begin(directory: &Directory, inputs: Vec<SegmentName>) -> io::Result<Option<Self>> {
        let (Some(first), Some(last)) = (inputs.first(), inputs.last()) else {
            return Ok(None);
        };
        let Some(level) = first.level.coarser() else {
            return Ok(None);
        };
        let name = SegmentName {
            first: first.first,
            last: last.last,
            level,
        };
        Ok(Some(Self {
            output: SegmentFile::create(directory, &part(&name))?,
            inputs,
            name,
            next_input: 0,
            reader: None,
            group: None,
            damaged: 0,
        }))
    }

    /// Goes on by so many intervals. True: all is read and written, [`Self::finish`] comes next.
    pub fn step(&mut self, directory: &Directory, intervals: u32) -> io::Result<bool> {
        for _ in 0..intervals {
            match self.read(directory)? {
                Some((interval, aged_ms)) => self.take(interval, aged_ms)?,
                None => {
                    self.flush()?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Puts the result in its place. What it replaces is to be removed.
    pub fn finish(&mut self, directory: &Directory) -> io::Result<()> {
        self.output.end()?;
        directory.rename(&part(&self.name), &self.name.to_string())
    }

    /// Removes what was written so far.
    pub fn abandon(self, directory: &Directory) {
        // The next start tries again.
        let _ = directory.remove(&part(&self.name));
    }

    fn read(&mut self, directory: &Directory) -> io::Result<Option<(Interval, u64)>> {
        loop {
            if let Some(reader) = &mut self.reader {
                if let Some(next) = reader.next(Within::All) {
                    return Ok(Some(next));
                }
                self.damaged += reader.damaged();
                self.reader = None;
            }
            let Some(input) = self.inputs.get(self.next_input) else {
                return Ok(None);
            };
            let file = directory.open_file(&input.to_string())?;
            self.reader = Some(Reader::new(read_all(&file)?));
            self.next_input += 1;
        }
    }

    /// Joins it to what goes before, if that is of the same stretch and the clock has not gone back.
    fn take(&mut self, interval: Interval, aged_ms: u64) -> io::Result<()> {
        let stretch = |ms: u64| ms / self.name.level.stretch_ms();
        let start_ms = interval.start_ms;
        if let Some((group, last_ms, aged)) = &mut self.group
            && stretch(*last_ms) == stretch(start_ms)
            && *last_ms <= start_ms
        {
            group.merge(interval);
            (*last_ms, *aged) = (start_ms, aged_ms);
            return Ok(());
        }
        self.flush()?;
        self.group = Some((interval, start_ms, aged_ms));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some((mut interval, _, aged_ms)) = self.group.take() else {
            return Ok(());
        };
        if self.damaged > 0 {
            let sum = interval.losses.entry(DAMAGED.to_owned()).or_default();
            *sum = sum.saturating_add(std::mem::take(&mut self.damaged));
        }
        let encoded = self.output.encode(&interval, aged_ms)?;
        self.output.write(encoded)
    }
}

fn part(name: &SegmentName) -> String {
    format!("{name}{PART}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn segment(
        number: u64,
        level: Level,
        intervals: u32,
        hours: u32,
    ) -> (SegmentName, Summary, Duration) {
        let name = SegmentName {
            first: number,
            last: number,
            level,
        };
        let summary = Summary {
            intervals,
            ..Summary::default()
        };
        (name, summary, HOUR * hours)
    }

    fn numbers(segments: &[(SegmentName, Summary, Duration)]) -> Vec<u64> {
        let run = select(segments).unwrap_or_default();
        run.iter().map(|it| it.first).collect()
    }

    /// Hours become minutes as soon as they are old enough; minutes wait until half a day of
    /// them can become one segment, but not for ever.
    #[test]
    fn selects_what_is_due() {
        use Level::{Fine, Minutes, TenMinutes};
        let young = [segment(1, Fine, 360, 6), segment(2, Fine, 360, 5)];
        assert_eq!(numbers(&young), Vec::<u64>::new());
        let old = [
            segment(1, TenMinutes, 72, 200),
            segment(2, Minutes, 60, 73),
            segment(3, Fine, 360, 8),
            segment(4, Fine, 360, 7),
            segment(5, Fine, 360, 7),
            segment(6, Fine, 360, 6),
        ];
        assert_eq!(numbers(&old), [3, 4]);
        let mut minutes: Vec<_> = (0..20)
            .map(|it| segment(it, Minutes, 60, 90 - it as u32))
            .collect();
        assert_eq!(numbers(&minutes), (0..12).collect::<Vec<_>>());
        minutes.truncate(3);
        assert_eq!(numbers(&minutes), [0, 1, 2]);
        minutes.remove(0);
        minutes[0].2 = HOUR * 84;
        assert_eq!(numbers(&minutes), Vec::<u64>::new());
        assert_eq!(
            numbers(&[segment(1, TenMinutes, 72, 10_000)]),
            Vec::<u64>::new()
        );
    }
}
