//! Values on the command line that are more than a number or a name.

use std::time::Duration;

use crate::collect::Limit;

/// A validated `--max-overhead`.
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
}
