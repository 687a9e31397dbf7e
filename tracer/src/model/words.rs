//! Quantities in words, the same in every sentence and every output.

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

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
