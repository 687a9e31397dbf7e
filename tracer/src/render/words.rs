//! Numbers in words: bytes, counts, lengths of time, shares. One definition
//! for all outputs, so that the same figure reads the same everywhere.

use super::names::sanitize;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// What stands before the name of an approximate frame, and what it means.
pub const APPROXIMATE_MARK: &str = "~ ";
/// Said once where such frames are shown.
pub const APPROXIMATE: &str = "~ marks frames that may be wrong: found by a frame pointer, behind code that no unwind table tells of.";

/// Bytes in binary units with one decimal, rounded half up: `1023 B`, `1.0
/// KiB`, `1.5 MiB`. What would round to `1024.0` takes the next unit.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut tenths = 0;
    for power in 1..UNITS.len() {
        unit = power;
        let size = 1_u128 << (10 * power);
        tenths = (u128::from(bytes) * 10 + size / 2) / size;
        if tenths < 10_240 {
            break;
        }
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// A change in bytes, with its sign: `+1.5 MiB`, `-3 B`.
#[must_use]
pub fn growth(change: i64) -> String {
    let sign = if change < 0 { '-' } else { '+' };
    format!("{sign}{}", bytes(change.unsigned_abs()))
}

/// A change in bytes a second, with its sign: `+1.5 MiB/s`.
#[must_use]
pub fn growth_per_second(change: f64) -> String {
    // Rounds; a change that is no number is 0.
    format!("{}/s", growth(change.round() as i64))
}

/// A number with a comma between thousands: `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 block`, `1,234 blocks`.
#[must_use]
pub fn counted(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", count(number))
}

/// A length of time: `0.3 s`, `59.9 s`, `2 min 05 s`, `3 h 20 min`, `2 d 4 h`.
/// `? s` where it is no length of time.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    // Beyond a hundred thousand years it is damage, not time.
    if !(0.0..3e12).contains(&seconds) {
        return "? s".to_owned();
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {:02} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {} h", count(whole / 86_400), whole / 3_600 % 24),
    }
}

/// A part of a whole in per cent with one decimal: `12.5%`; `<0.1%` for what
/// is there but rounds to nothing.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0.0%".to_owned();
    }
    let whole = u128::from(whole);
    let tenths = (u128::from(part) * 1000 + whole / 2) / whole;
    if tenths == 0 {
        return "<0.1%".to_owned();
    }
    format!("{}.{}%", tenths / 10, tenths % 10)
}

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
