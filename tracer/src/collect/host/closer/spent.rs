//! What closer looks took, on disk too: a daemon that is killed and started again has not got
//! a new hour's budget.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use crate::{analyze::host::Ledger, collect::host::line::Now};

/// Within the history's directory. A line for each look: when, Unix ms, and processor time, s.
const FILE: &str = "spent";
/// Until it is whole; the history removes what a crash leaves of it.
const PART: &str = "spent.part";
/// Read of it.
const MOST_BYTES: u64 = 64 << 10;

/// The ledger, and its file.
#[derive(Debug)]
pub struct Spent {
    directory: PathBuf,
    ledger: Ledger,
    /// What the look under way may take at most, s.
    reserved: f64,
}

impl Spent {
    /// With what was spent before; what cannot be read is as if nothing was.
    pub fn load(directory: &Path, now: Now) -> Self {
        let mut ledger = Ledger::default();
        for (at, seconds) in read(&directory.join(FILE), now) {
            ledger.book(at, seconds);
        }
        Self {
            directory: directory.to_owned(),
            ledger,
            reserved: 0.0,
        }
    }

    /// What was booked.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Sets aside what a look may take, which counts as spent if nothing is booked any more.
    ///
    /// # Errors
    /// It cannot be written: it holds until this daemon ends.
    pub fn reserve(&mut self, now: Now, seconds: f64) -> io::Result<()> {
        self.reserved = seconds;
        self.write(now)
    }

    /// Books what it took.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub fn book(&mut self, now: Now, seconds: f64) -> io::Result<()> {
        self.reserved = 0.0;
        self.ledger.book(now.seconds(), seconds);
        self.write(now)
    }

    fn write(&self, now: Now) -> io::Result<()> {
        let part = self.directory.join(PART);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&part)?;
        let reserved = (self.reserved > 0.0).then_some((now.seconds(), self.reserved));
        for (at, seconds) in self.ledger.entries().chain(reserved) {
            let ago = ((now.seconds() - at).max(0.0) * 1000.0) as u64;
            writeln!(file, "{} {seconds:.3}", now.utc_ms.saturating_sub(ago))?;
        }
        fs::rename(part, self.directory.join(FILE))
    }
}

/// What a file tells, in seconds since boot, oldest first.
fn read(path: &Path, now: Now) -> Vec<(f64, f64)> {
    let mut text = String::new();
    let read = File::open(path).and_then(|it| it.take(MOST_BYTES).read_to_string(&mut text));
    if read.is_err() {
        return Vec::new();
    }
    let entry = |line: &str| {
        let (at_ms, seconds) = line.split_once(' ')?;
        // The clock may have been set back: what seems to be to come was a moment ago.
        let ago_ms = now.utc_ms.saturating_sub(at_ms.parse().ok()?);
        let seconds: f64 = seconds.parse().ok()?;
        let is_time = (0.0..=3600.0).contains(&seconds);
        is_time.then(|| (now.seconds() - ago_ms as f64 / 1000.0, seconds))
    };
    let mut entries: Vec<_> = text.lines().filter_map(entry).collect();
    entries.sort_by(|a, b| a.0.total_cmp(&b.0));
    entries
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Now {
        Now {
            boot_ns: (5000 + seconds) * 1_000_000_000,
            utc_ms: (1_700_000_000 + seconds) * 1000,
        }
    }

    fn spent_at(directory: &Path, seconds: u64) -> f64 {
        let loaded = Spent::load(directory, at(seconds));
        loaded.ledger().spent(at(seconds).seconds())
    }

    /// What was booked is spent for the next daemon too until its hour is over, and so is
    /// all of what a look could have taken in whose midst a daemon died.
    #[test]
    fn a_daemon_that_starts_again_has_no_new_budget() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let mut spent = Spent::load(directory, at(0));
        assert_eq!(spent.ledger().spent(at(0).seconds()), 0.0);
        spent.reserve(at(0), 15.0).unwrap();
        assert_eq!(spent_at(directory, 60), 15.0);
        spent.book(at(60), 7.5).unwrap();
        assert_eq!(spent_at(directory, 61), 7.5);
        spent.reserve(at(100), 4.0).unwrap();
        assert_eq!(spent_at(directory, 101), 11.5);
        assert_eq!(spent_at(directory, 3661), 4.0);
        assert_eq!(spent_at(directory, 3701), 0.0);
    }

    /// Lines that make no sense are passed over, and a clock that was set back forgives nothing.
    #[test]
    fn nonsense_and_clocks() {
        let directory = tempfile::tempdir().unwrap();
        let text =
            "x\n1 \n1700000000000 NaN\n1700000000000 -3\n1700000000000 1e9\n1700009999000 2\n\u{0}";
        fs::write(directory.path().join(FILE), text).unwrap();
        assert_eq!(spent_at(directory.path(), 0), 2.0);
        assert_eq!(spent_at(directory.path(), 3599), 2.0);
    }
}
