//! Times of the reports as numbers.

/// Nanoseconds since 1970 of an RFC 3339 time in UTC, `2026-11-20T19:24:50.123Z`;
/// `None` for what is none, or beyond 64 bits (the year 2262).
#[must_use]
pub fn nanos(rfc3339: &str) -> Option<i64> {
    let (date, time) = rfc3339.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(time, ':')?;
    let is_time = hour < 24 && minute < 60 && second <= 60;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !is_time {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    let digits = fraction.get(..9.min(fraction.len()))?;
    let nanos = match digits {
        "" => 0,
        _ if !digits.bytes().all(|digit| digit.is_ascii_digit()) => return None,
        _ => format!("{digits:0<9}").parse().ok()?,
    };
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut next = || {
        let part = parts.next().filter(|part| part.len() <= 4)?;
        let is_number = part.bytes().all(|digit| digit.is_ascii_digit());
        part.parse().ok().filter(|_| is_number)
    };
    let numbers = [next()?, next()?, next()?];
    parts.next().is_none().then_some(numbers)
}

/// Days since 1970-01-01 of a date of the proleptic Gregorian calendar
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// RFC 3339 with milliseconds, `2026-11-20T19:24:50.123Z`, of milliseconds since 1970, UTC.
#[must_use]
pub fn rfc3339(utc_ms: u64) -> String {
    let (days, ms) = (utc_ms / 86_400_000, utc_ms % 86_400_000);
    let (year, month, day) = civil(days.cast_signed());
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Days since 1970-01-01 to a date of the proleptic Gregorian calendar
/// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    /// Times read as `date -u -d TIME +%s%N` reads them; what is no time is none.
    #[test]
    fn reads_times() {
        for (text, nanos) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.000Z", Some(951_782_400_000_000_000)),
            ("2024-02-29T23:59:59.999Z", Some(1_709_251_199_999_000_000)),
            ("2100-03-01T00:00:00.1Z", Some(4_107_542_400_100_000_000)),
            ("1969-12-31T23:59:59Z", Some(-1_000_000_000)),
            (
                "2026-11-20T19:58:07.1234567891Z",
                Some(1_795_204_687_123_456_789),
            ),
            ("9999-01-01T00:00:00Z", None),
            ("2026-11-20T19:58:07+01:00", None),
            ("2026-13-20T19:58:07Z", None),
            ("2026-11-20T24:58:07Z", None),
            ("2026-11-20T19:58:07.éZ", None),
            ("+26-11-20T19:58:07Z", None),
            ("20261-11-20T19:58:07Z", None),
            ("", None),
        ] {
            assert_eq!(super::nanos(text), nanos, "{text}");
        }
    }
}
