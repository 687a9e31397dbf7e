//! Values on the command line that are more than a number or a name.

use std::time::Duration;

use crate::collect::Limit;

/// A validated `--max-overhead` or `--budget`.
#[derive(Clone, Copy, Debug)]
pub struct Overhead(pub Limit);

pub(super) fn overhead(text: &str) -> Result<Overhead, String> {
    if text == "off" {
        return Ok(Overhead(Limit::Off));
    }
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Overhead(Limit::Percent(percent))),
        _ => Err("a percentage above 0 and up to 100, or `off`".to_owned()),
    }
}

pub(super) fn budget(text: &str) -> Result<Overhead, String> {
    match text.trim_end_matches('%').parse::<f64>() {
        Ok(percent) if (0.01..=100.0).contains(&percent) => Ok(Overhead(Limit::Budget(percent))),
        _ => Err("a percentage of one processor, from 0.01 to 100".to_owned()),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "a time such as 500ms, 30s, 5m or 1h".to_owned();
    let (number, unit) = text.split_at(
        text.find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len()),
    );
    let number: f64 = number.parse().map_err(|_| expected())?;
    let seconds = number
        * match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(expected()),
        };
    if (0.001..=31_536_000.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(expected())
    }
}

/// Bytes: `4096`, `64M`, `1.5GiB`; units are powers of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let expected = || "a size such as 65536, 512K, 64M or 1.5G".to_owned();
    let is_unit = |c: char| c.is_ascii_alphabetic();
    let (number, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(expected()),
    };
    // Whole numbers exactly, however large.
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).ok_or_else(expected);
    }
    let number: f64 = number.trim_end().parse().map_err(|_| expected())?;
    let bytes = number * (1_u64 << shift) as f64;
    if (0.0..9e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(expected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Durations and limits are read as documented, and nonsense is refused.
    #[test]
    fn values_are_validated() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        for nonsense in ["", "s", "-1s", "0s", "1d", "1e300h", "NaN"] {
            assert!(duration(nonsense).is_err(), "{nonsense}");
        }
        assert!(matches!(
            overhead("20%"),
            Ok(Overhead(Limit::Percent(20.0)))
        ));
        assert!(matches!(overhead("off"), Ok(Overhead(Limit::Off))));
        for nonsense in ["0", "101", "-1", "NaN", "on"] {
            assert!(overhead(nonsense).is_err(), "{nonsense}");
        }
    }

    /// So are budgets, which cannot be off.
    #[test]
    fn budgets_are_validated() {
        assert!(matches!(budget("1%"), Ok(Overhead(Limit::Budget(1.0)))));
        for nonsense in ["0", "off", "101", "-1", "NaN", "0.001"] {
            assert!(budget(nonsense).is_err(), "{nonsense}");
        }
    }

    /// Sizes are read as documented, and nonsense is refused.
    #[test]
    fn sizes_are_validated() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512K", 512 << 10),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("1.5g", 3 << 29),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for nonsense in ["", "M", "-1", "1X", "1e30", "NaN", "inf", "99999999999999G"] {
            assert!(size(nonsense).is_err(), "{nonsense}");
        }
    }
}
