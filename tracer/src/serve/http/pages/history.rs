//! Reads the history one interval after the other, so that of a long stretch no more is held
//! than is asked for.

use std::{error::Error as _, fmt::Write as _};

use crate::{
    model::host::{Interval, LineId},
    render::host::page::{Range, keep_only},
    store::history::{History, HistoryError},
};

/// What it tells of one line.
pub fn of_line(
    history: &History,
    line: LineId,
    range: Range,
) -> Result<Vec<Interval>, HistoryError> {
    let mut all = Vec::new();
    each(history, range, |mut interval| {
        keep_only(&mut interval, line);
        all.push(interval);
        true
    })?;
    Ok(all)
}

/// Hands over interval after interval for as long as they are wanted.
pub fn each(
    history: &History,
    range: Range,
    mut to: impl FnMut(Interval) -> bool,
) -> Result<(), HistoryError> {
    for interval in history.stream(range.from_ms, range.to_ms)? {
        if !to(interval?) {
            break;
        }
    }
    Ok(())
}

/// An error with its causes.
pub fn told(error: &HistoryError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _infallible = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
