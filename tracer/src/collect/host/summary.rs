//! What a closer look hands to the daemon that started it: little, so that the daemon need not
//! read whole reports.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::model::{Level, Report, verdict::Verdict};

/// Its name, beside the recording.
pub const FILE: &str = "look.json";
/// A larger one is not read.
const BYTES: u64 = 4 << 20;
/// The summary of a closer look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// How much was recorded.
    pub level: Level,
    /// Of the process; the first is the main one.
    pub verdicts: Vec<Verdict>,
    /// How long it was, s.
    pub seconds: f64,
    /// What its probes took of the process's time, s.
    pub probe_seconds: f64,
}

impl Summary {
    /// Of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let spent_percent = report.budget.as_ref().map_or(0.0, |it| it.spent_percent);
        Self {
            level: report.level,
            verdicts: report.verdicts.clone(),
            seconds: report.window.seconds,
            probe_seconds: report.window.seconds * spent_percent / 100.0,
        }
    }

    /// Reads it from a look's directory.
    ///
    /// # Errors
    /// It is not there, or is none.
    pub fn read(directory: &Path) -> io::Result<Self> {
        let mut text = Vec::new();
        File::open(directory.join(FILE))?
            .take(BYTES)
            .read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }
}
