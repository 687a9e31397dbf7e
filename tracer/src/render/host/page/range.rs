//! Which stretch of time is asked for.

use serde::Deserialize;

use crate::model::utc;

/// The longest stretch that is drawn.
const LONGEST_MS: u64 = 31 * 86_400_000;
/// What is shown where nothing is asked for.
const USUAL_MS: u64 = 3_600_000;

/// From a moment to another, Unix ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Its beginning.
    pub from_ms: u64,
    /// Its end, later than that.
    pub to_ms: u64,
}

impl Range {
    /// How long it is, ms.
    #[must_use]
    pub const fn ms(&self) -> u64 {
        self.to_ms.saturating_sub(self.from_ms)
    }

    /// The stretch of the same length before.
    #[must_use]
    pub const fn before(&self) -> Self {
        Self {
            from_ms: self.from_ms.saturating_sub(self.ms()),
            to_ms: self.from_ms,
        }
    }

    /// The stretch of the same length after.
    #[must_use]
    pub const fn after(&self) -> Self {
        Self {
            from_ms: self.to_ms,
            to_ms: self.to_ms.saturating_add(self.ms()),
        }
    }
}

/// What stands in the address: `last=2h`, or `from=…&to=…`; for a comparison
/// `before_from=…&before_to=…` too. Moments are Unix milliseconds or UTC as `2026-11-22T09:30`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ask {
    /// So much until now: a number and `m`, `h` or `d`.
    pub last: Option<String>,
    /// See [`Range`].
    pub from: Option<String>,
    /// See [`Range`]; without it: until now.
    pub to: Option<String>,
    /// With what to compare.
    pub before_from: Option<String>,
    /// See there.
    pub before_to: Option<String>,
}

impl Ask {
    /// The stretch that is asked for, and whether it ends now and so goes on.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn range(&self, now_ms: u64) -> Result<(Range, bool), String> {
        let (from, to) = (given(self.from.as_ref()), given(self.to.as_ref()));
        if from.is_none() && to.is_none() {
            let length = match given(self.last.as_ref()) {
                Some(text) => length(text)?,
                None => USUAL_MS,
            };
            let from_ms = now_ms.saturating_sub(length);
            return Ok((checked(from_ms, now_ms)?, true));
        }
        let to_ms = to.map_or(Ok(now_ms), moment)?;
        let from_ms = from.map_or_else(|| Ok(to_ms.saturating_sub(USUAL_MS)), moment)?;
        Ok((checked(from_ms, to_ms)?, false))
    }

    /// What to compare it with, if that is asked for.
    ///
    /// # Errors
    /// As [`Ask::range`].
    pub fn before(&self) -> Result<Option<Range>, String> {
        match (
            given(self.before_from.as_ref()),
            given(self.before_to.as_ref()),
        ) {
            (Some(from), Some(to)) => Ok(Some(checked(moment(from)?, moment(to)?)?)),
            _ => Ok(None),
        }
    }
}

/// A field of a form that was left empty is none.
fn given(text: Option<&String>) -> Option<&str> {
    text.map(|it| it.trim()).filter(|it| !it.is_empty())
}

fn checked(from_ms: u64, to_ms: u64) -> Result<Range, String> {
    match to_ms.checked_sub(from_ms) {
        None | Some(0) => Err("The stretch ends before it begins.".to_owned()),
        Some(length) if length > LONGEST_MS => {
            Err("The stretch is longer than 31 days.".to_owned())
        }
        Some(_) => Ok(Range { from_ms, to_ms }),
    }
}

fn moment(text: &str) -> Result<u64, String> {
    if text.len() <= 15
        && let Ok(ms) = text.parse()
    {
        return Ok(ms);
    }
    let seconds = match text.len() {
        16 => ":00Z",
        _ if text.ends_with('Z') => "",
        _ => "Z",
    };
    let nanos = utc::nanos(&format!("{text}{seconds}"));
    nanos
        .and_then(|it| u64::try_from(it / 1_000_000).ok())
        .ok_or_else(|| "A moment is Unix milliseconds, or UTC as 2026-11-22T09:30.".to_owned())
}

fn length(text: &str) -> Result<u64, String> {
    let wrong = || "A length of time is a number and m, h or d, such as 90m.".to_owned();
    let unit = match text.as_bytes().last() {
        Some(b'm') => 60_000,
        Some(b'h') => 3_600_000,
        Some(b'd') => 86_400_000,
        _ => return Err(wrong()),
    };
    let number = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
    let number: u32 = number.parse().map_err(|_| wrong())?;
    Ok(u64::from(number) * unit)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_795_215_000_000;

    fn ask(from: &str, to: &str, last: &str) -> Ask {
        let some = |it: &str| Some(it.to_owned());
        Ask {
            from: some(from),
            to: some(to),
            last: some(last),
            ..Ask::default()
        }
    }

    /// A stretch is asked for by its ends, as a clock or a program writes them, or by how long
    /// it is; one that ends now goes on.
    #[test]
    fn reads_stretches() {
        let of = |from_ms, to_ms, goes_on| Ok((Range { from_ms, to_ms }, goes_on));
        assert_eq!(Ask::default().range(NOW), of(NOW - 3_600_000, NOW, true));
        assert_eq!(ask("", "", "").range(NOW), of(NOW - 3_600_000, NOW, true));
        assert_eq!(ask("", "", "15m").range(NOW), of(NOW - 900_000, NOW, true));
        assert_eq!(ask("1000", "2000", "").range(NOW), of(1000, 2000, false));
        let clock = ask("2026-11-20T22:40", "2026-11-20T22:50:00Z", "");
        assert_eq!(clock.range(NOW), of(NOW - 600_000, NOW, false));
        assert_eq!(Ask::default().before(), Ok(None));
    }

    /// What is no stretch is refused in words, never by a panic.
    #[test]
    fn refuses_nonsense() {
        for (from, to, last) in [
            ("2000", "1000", ""),
            ("5", "5", ""),
            ("1", &NOW.to_string() as &str, ""),
            ("é", "2", ""),
            ("yesterday", "", ""),
            ("", "", "1y"),
            ("", "", "é"),
            ("", "", "-1h"),
            ("", "", "99999999999h"),
            ("", "", "40d"),
            ("18446744073709551615", "18446744073709551615", ""),
        ] {
            let refused = ask(from, to, last).range(NOW);
            assert!(refused.unwrap_err().ends_with('.'), "{from} {to} {last}");
        }
    }

    proptest! {
        /// Whatever stands in an address, what is read of it is a stretch of some length, no
        /// longer than may be asked for.
        #[test]
        fn any_text_is_a_stretch_or_none(
            from in "\\PC{0,24}|[0-9]{1,20}|2026-11-22T[0-9:.]{5,12}",
            to in "\\PC{0,24}|[0-9]{1,20}",
            last in "\\PC{0,8}|[0-9]{1,11}[mhd]",
            now: u64,
        ) {
            if let Ok((range, _)) = ask(&from, &to, &last).range(now) {
                prop_assert!(range.from_ms < range.to_ms && range.ms() <= LONGEST_MS);
                prop_assert!(range.before().ms() <= range.ms() && range.after().ms() <= range.ms());
            }
        }
    }
}
