//! The status line of a running trace: two or three lines that the command
//! line rewrites in place. Figures of a running trace are approximate.

use std::time::Duration;

use crate::model::Level;

use super::layout::{cut_end, width};
use super::{names, words};

/// What a running trace knows of itself.
#[derive(Clone, Copy, Debug)]
pub struct StatusView<'a> {
    /// Since the window began.
    pub elapsed: Duration,
    /// When it will end by itself, counted from its beginning.
    pub duration: Option<Duration>,
    /// Bytes allocated and not freed.
    pub live_bytes: u64,
    /// Blocks allocated and not freed.
    pub live_blocks: u64,
    /// Allocator calls a second, of late.
    pub calls_per_second: u64,
    /// Names of the sites that grew most, with bytes gained; largest first.
    pub growers: &'a [(String, i64)],
    /// Calls lost so far, all causes together.
    pub lost_calls: u64,
    /// How much of what happens is recorded.
    pub level: Level,
}

/// Two lines (figures; growers), and a third if anything was lost; each at
/// most `columns` wide, without a newline at the end of the last.
#[must_use]
pub fn status(view: &StatusView<'_>, columns: usize) -> String {
    let mut lines = vec![figures(view), growers(view.growers, columns)];
    if view.lost_calls > 0 {
        let calls = words::counted(view.lost_calls, "call");
        lines.push(format!("LOST: {calls} so far; the report says why"));
    }
    let lines: Vec<_> = lines.iter().map(|line| cut_end(line, columns)).collect();
    lines.join("\n")
}

fn figures(view: &StatusView<'_>) -> String {
    let about = match view.level {
        Level::Exact => "",
        Level::Sampled => "about ",
    };
    let level = match view.level {
        Level::Exact => "exact",
        Level::Sampled => "sampled: estimates",
    };
    let mut time = clock(view.elapsed);
    if let Some(duration) = view.duration {
        time = format!("{time} of {}", clock(duration));
    }
    format!(
        "{time}  {about}{} live in {}  {}/s  {level}",
        words::bytes(view.live_bytes),
        words::counted(view.live_blocks, "block"),
        words::counted(view.calls_per_second, "call"),
    )
}

/// As many growers as fit whole.
fn growers(growers: &[(String, i64)], columns: usize) -> String {
    let mut line = "growing: ".to_owned();
    let mut empty = true;
    for (name, change) in growers.iter().filter(|(_, change)| *change > 0) {
        let name = names::sanitize(name);
        let part = format!("{} {}", words::growth(*change), cut_end(&name, 40));
        let separator = if empty { "" } else { ", " };
        if !empty && width(&line) + width(separator) + width(&part) > columns {
            break;
        }
        line.push_str(separator);
        line.push_str(&part);
        empty = false;
    }
    if empty {
        line.push_str("nothing");
    }
    line
}

/// `0:07`, `12:34`, `1:02:03`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(growers: &[(String, i64)]) -> StatusView<'_> {
        StatusView {
            elapsed: Duration::from_millis(12_900),
            duration: Some(Duration::from_secs(3_723)),
            live_bytes: 12_897_485,
            live_blocks: 4_321,
            calls_per_second: 23_456,
            growers,
            lost_calls: 0,
            level: Level::Exact,
        }
    }

    /// The line shows all that a running trace knows.
    #[test]
    fn shows_the_figures() {
        let growers = [
            ("leak_buffer".to_owned(), 1_258_291),
            ("zlib\u{1b}[2Jinit".to_owned(), 300),
            ("shrinking".to_owned(), -5),
        ];
        let mut view = view(&growers);
        assert_eq!(
            status(&view, 100),
            "0:12 of 1:02:03  12.3 MiB live in 4,321 blocks  23,456 calls/s  exact\n\
             growing: +1.2 MiB leak_buffer, +300 B zlib\u{fffd}[2Jinit"
        );
        view.duration = None;
        view.level = Level::Sampled;
        view.growers = &[];
        view.lost_calls = 34;
        assert_eq!(
            status(&view, 100),
            "0:12  about 12.3 MiB live in 4,321 blocks  23,456 calls/s  sampled: estimates\n\
             growing: nothing\n\
             LOST: 34 calls so far; the report says why"
        );
    }

    /// No line wraps, or rewriting in place would leave pieces behind.
    #[test]
    fn fits_narrow_terminals() {
        let growers = [("関数".repeat(40), 1), ("b".repeat(100), 2)];
        for columns in [1, 10, 40, 55, 80] {
            let mut view = view(&growers);
            view.lost_calls = u64::MAX;
            let text = status(&view, columns);
            assert_eq!(text.lines().count(), 3);
            assert!(
                text.lines().all(|line| width(line) <= columns),
                "{columns}:\n{text}"
            );
        }
    }
}
