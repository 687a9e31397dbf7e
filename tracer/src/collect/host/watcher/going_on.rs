//! Going on where a daemon before has ended.

use super::Watcher;
use crate::{
    collect::host::{closer::remember, line::Now},
    model::host::{Event, Happening, Interval},
    store::history::{History, HistoryError},
};

/// What is not older than this is gone on with, ms.
const GO_ON_MS: u64 = 24 * 3_600_000;
/// How processes grew is taken up from then on, ms: two of the three scales of growth.
const SERIES_MS: u64 = 3_600_000;
/// So much of the history is held at a time, ms.
const PIECE_MS: u64 = 120_000;

impl Watcher {
    /// Takes up the lines and the verdicts of a daemon before.
    pub(super) fn go_on(&mut self, now: Now) {
        let booted_ms = now.utc_ms.saturating_sub(now.boot_ns / 1_000_000);
        let from = now.utc_ms.saturating_sub(GO_ON_MS).max(booted_ms);
        let before = match last_interval(&self.history, from, now.utc_ms) {
            Ok(before) => before,
            Err(error) => {
                self.lose(&format!("the history could not be read: {error}"), 1);
                None
            }
        };
        if let Some(last) = before {
            self.lines.restore(&last, now);
            self.take_up_series(&last, now);
            self.happened(Event {
                at_ms: now.utc_ms,
                line: None,
                what: Happening::Gap {
                    ms: now.utc_ms.saturating_sub(last.end_ms),
                    why: "memtrace did not run".to_owned(),
                },
            });
        }
        // They come newest first.
        for look in self.history.looks().unwrap_or_default().into_iter().rev() {
            if let Some(line) = self.lines.get_mut(look.line) {
                remember(line, look, now);
            }
        }
    }
}

impl Watcher {
    fn take_up_series(&mut self, last: &Interval, now: Now) {
        let mut from = last.end_ms.saturating_sub(SERIES_MS);
        let mut told = from;
        while from <= last.end_ms {
            let until = from.saturating_add(PIECE_MS);
            match self.history.intervals(from, until) {
                Ok(piece) => {
                    // What reaches beyond a piece is in the next one, too.
                    for interval in piece.iter().filter(|it| it.end_ms > told) {
                        self.lines.take_up(interval, now);
                    }
                    told = piece.last().map_or(told, |it| it.end_ms.max(told));
                }
                Err(error) => self.lose(&format!("the history could not be read: {error}"), 1),
            }
            from = until;
        }
    }
}

/// The newest interval after `from_ms`: asked for by ever longer stretches, as the history is
/// finest at its end.
fn last_interval(
    history: &History,
    from_ms: u64,
    now_ms: u64,
) -> Result<Option<Interval>, HistoryError> {
    let mut until = now_ms.saturating_add(1);
    let mut span = PIECE_MS;
    while until > from_ms {
        let start = until.saturating_sub(span).max(from_ms);
        if let Some(last) = history.intervals(start, until)?.pop() {
            return Ok(Some(last));
        }
        until = start;
        span *= 2;
    }
    Ok(None)
}
