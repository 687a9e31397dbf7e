//! Numbers in words: bytes, counts, lengths of time, shares. One definition
//! for all outputs, so that the same figure reads the same everywhere.

use super::names::sanitize;
use crate::model::verdict::{Confidence, Kind};
pub use crate::model::words::{bytes, count, counted, growth, growth_per_second, seconds, share};

/// What stands before the name of an approximate frame, and what it means.
pub const APPROXIMATE_MARK: &str = "~ ";
/// Said once where such frames are shown.
pub const APPROXIMATE: &str = "~ marks frames that may be wrong: found by a frame pointer, behind code that no unwind table tells of.";

/// An RFC 3339 time as `2026-11-20 19:58:07 UTC`; anything else as it is.
#[must_use]
pub fn utc(rfc3339: &str) -> String {
    let text = sanitize(rfc3339);
    let seconds = text.get(..19).filter(|_| text.ends_with('Z'));
    match seconds.and_then(|seconds| seconds.split_once('T')) {
        Some((day, time)) => format!("{day} {time} UTC"),
        None => text.into_owned(),
    }
}

/// A change in bytes over time: slow growth reads better by the hour.
#[must_use]
pub fn growth_per_time(bytes_per_second: f64) -> String {
    const SLOW: f64 = 10.0 * 1024.0;
    if bytes_per_second.abs() >= SLOW {
        return growth_per_second(bytes_per_second);
    }
    let hourly = (bytes_per_second * 3600.0).clamp(-1e18, 1e18);
    format!("{}/h", growth(hourly as i64))
}

/// How sure a verdict is, and what that means.
#[must_use]
pub const fn sure(confidence: Confidence) -> (&'static str, &'static str) {
    match confidence {
        Confidence::High => ("high confidence", "all the evidence says so"),
        Confidence::Medium => ("medium confidence", "likely"),
        Confidence::Low => ("low confidence", "something else would explain it as well"),
    }
}

/// A verdict's kind as a heading.
#[must_use]
pub const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Leak => "Leak",
        Kind::Fragmentation => "Fragmentation",
        Kind::Retention => "Retention",
        Kind::JsHeap => "JS heap grows",
        Kind::SendBuffer => "Send buffers",
        Kind::ReceiveBuffer => "Receive buffers",
        Kind::Orphan => "Orphaned sockets",
        Kind::AcceptQueue => "Accept queue",
        Kind::Backlog => "Backlog",
        Kind::Mapping => "Mappings grow",
        Kind::Healthy => "Healthy",
        Kind::NotEnoughData => "Not enough data",
    }
}

/// What the kind is, in a sentence.
#[must_use]
pub const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Leak => "Blocks are allocated steadily and not freed.",
        Kind::Fragmentation => {
            "Freed memory stands between blocks that are still in use, so that its pages cannot go back."
        }
        Kind::Retention => {
            "The program has freed this memory; its allocator keeps the pages and does not give them back."
        }
        Kind::JsHeap => "Objects of the JavaScript heap are kept; the allocator is not to blame.",
        Kind::SendBuffer => "The kernel holds what was sent and the other ends do not read.",
        Kind::ReceiveBuffer => "The kernel holds what has come and the process does not read.",
        Kind::Orphan => "The kernel still sends what closed connections left behind.",
        Kind::AcceptQueue => "Connections wait in the kernel until the process accepts them.",
        Kind::Backlog => "The process itself holds what slow other ends do not take.",
        Kind::Mapping => "Mappings, files or shared memory grow, beside the allocator.",
        Kind::Healthy => "No place grew for good within the window.",
        Kind::NotEnoughData => "Something may grow; the window was too short to tell.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes are exact below 1 KiB and rounded half up to one decimal above, up to 2^64 − 1.
    #[test]
    fn writes_bytes() {
        for (number, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1024 + 51, "1.0 KiB"),
            (1024 + 52, "1.1 KiB"),
            (1536 << 10, "1.5 MiB"),
            ((1 << 20) - 52, "1023.9 KiB"),
            ((1 << 20) - 51, "1.0 MiB"),
            (1 << 60, "1.0 EiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(bytes(number), text, "{number}");
        }
    }

    /// Growth carries its sign, down to the smallest number there is.
    #[test]
    fn writes_growth() {
        assert_eq!(growth(2048), "+2.0 KiB");
        assert_eq!(growth(-3), "-3 B");
        assert_eq!(growth(i64::MIN), "-8.0 EiB");
        assert_eq!(growth_per_second(-2047.6), "-2.0 KiB/s");
    }

    /// Thousands are separated, and only one thing is singular.
    #[test]
    fn writes_counts() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "block"), "1 block");
        assert_eq!(counted(0, "block"), "0 blocks");
    }

    /// Lengths of time never show sixty seconds, and nonsense shows as such.
    #[test]
    fn writes_seconds() {
        for (length, text) in [
            (0.04, "0.0 s"),
            (59.94, "59.9 s"),
            (59.96, "1 min 00 s"),
            (125.0, "2 min 05 s"),
            (3_599.6, "1 h 00 min"),
            (12_000.0, "3 h 20 min"),
            (187_200.0, "2 d 4 h"),
            (-1.0, "? s"),
            (f64::NAN, "? s"),
            (1e300, "? s"),
        ] {
            assert_eq!(seconds(length), text, "{length}");
        }
    }

    /// A share that is there never shows as nothing.
    #[test]
    fn writes_shares() {
        assert_eq!(share(1, 8), "12.5%");
        assert_eq!(share(0, 8), "0.0%");
        assert_eq!(share(1, u64::MAX), "<0.1%");
        assert_eq!(share(u64::MAX, u64::MAX), "100.0%");
        assert_eq!(share(5, 0), "0.0%");
    }

    /// Times of every RFC 3339 shape we write are read; others are shown, not guessed.
    #[test]
    fn writes_times() {
        assert_eq!(utc("2026-11-20T19:58:07Z"), "2026-11-20 19:58:07 UTC");
        assert_eq!(
            utc("2026-11-20T19:58:07.123456Z"),
            "2026-11-20 19:58:07 UTC"
        );
        assert_eq!(
            utc("2026-11-20T19:58:07+01:00"),
            "2026-11-20T19:58:07+01:00"
        );
        assert_eq!(utc("\u{1b}é"), "\u{fffd}é");
    }
}
