//! Where an axis of time is marked, and what stands there.

use crate::model::utc;
use crate::render::words;

const DAY: f64 = 86_400.0;

/// Steps between marks, seconds: round ones on a clock.
const STEPS: [f64; 21] = [
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    1800.0,
    3600.0,
    3.0 * 3600.0,
    6.0 * 3600.0,
    12.0 * 3600.0,
    DAY,
    2.0 * DAY,
    7.0 * DAY,
];

/// Seconds since the beginning of a window of so many, and what they are called: since then,
/// or on the clock that stood at `clock_ms` when it began.
pub fn across(window: f64, clock_ms: Option<u64>) -> Vec<(f64, String)> {
    let step = STEPS.into_iter().find(|step| window / step <= 6.0);
    let step = step.unwrap_or(window / 5.0);
    let Some(clock_ms) = clock_ms else {
        let ticks = (0..=6_u32).map(|number| f64::from(number) * step);
        let ticks = ticks.filter(|tick| *tick <= window);
        return ticks.map(|tick| (tick, short(tick))).collect();
    };
    let begin = clock_ms as f64 / 1000.0;
    let first = (begin / step).ceil() * step - begin;
    let ticks = (0..=6_u32).map(|number| f64::from(number).mul_add(step, first));
    let ticks = ticks.filter(|tick| *tick <= window);
    ticks
        .map(|tick| (tick, on_clock(clock_ms, tick, step)))
        .collect()
}

/// When something was.
pub fn moment(seconds: f64, clock_ms: Option<u64>) -> String {
    match clock_ms {
        None => words::seconds(seconds),
        Some(clock_ms) => words::utc(&utc::rfc3339(at(clock_ms, seconds))),
    }
}

fn at(clock_ms: u64, seconds: f64) -> u64 {
    clock_ms.saturating_add((seconds * 1000.0).round() as u64)
}

/// `14:05`, with seconds or the day where the step asks for it.
fn on_clock(clock_ms: u64, seconds: f64, step: f64) -> String {
    let text = utc::rfc3339(at(clock_ms, seconds));
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let minutes = time.get(..5).unwrap_or_default();
    let day = day.get(5..).unwrap_or_default();
    match step {
        it if it < 60.0 => time.get(..8).unwrap_or_default().to_owned(),
        it if it >= DAY || minutes == "00:00" => day.to_owned(),
        _ => minutes.to_owned(),
    }
}

fn short(seconds: f64) -> String {
    match seconds {
        it if it < 1.0 && it > 0.0 => format!("{it:.1} s"),
        it if it < 60.0 => format!("{it:.0} s"),
        it if it < 3600.0 && it % 60.0 == 0.0 => format!("{:.0} min", it / 60.0),
        it if it < DAY && it % 3600.0 == 0.0 => format!("{:.0} h", it / 3600.0),
        it => words::seconds(it),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An axis of clock time is marked at round times, and where a day begins by its date.
    #[test]
    fn marks_round_times() {
        // 2026-11-20T22:50:00Z.
        let begin = 1_795_215_000_000;
        let marks = across(2.0 * 3600.0, Some(begin));
        let texts: Vec<&str> = marks.iter().map(|it| it.1.as_str()).collect();
        assert_eq!(texts, ["23:00", "23:30", "11-21", "00:30"]);
        let seconds: Vec<f64> = marks.iter().map(|it| it.0).collect();
        assert_eq!(seconds, [600.0, 2400.0, 4200.0, 6000.0]);
        assert_eq!(moment(61.0, Some(begin)), "2026-11-20 22:51:01 UTC");
    }

    /// Without a clock it counts from the beginning, and never runs off the axis.
    #[test]
    fn counts_seconds() {
        let marks = across(30.0, None);
        assert_eq!(marks.first(), Some(&(0.0, "0 s".to_owned())));
        assert_eq!(marks.last(), Some(&(30.0, "30 s".to_owned())));
        assert!(across(1e12, Some(u64::MAX)).len() <= 7);
    }
}
