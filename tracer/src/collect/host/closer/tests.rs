//! When a line is looked at again.

use super::*;
use crate::collect::host::identity::Identity;

fn line() -> Line {
    let mut line = Line::new(LineId(1), Identity::default(), 2, 3);
    line.judged.window_ms = limit::WINDOW_MS;
    line
}

fn of(kind: Kind) -> Result<Vec<Verdict>, String> {
    Ok(vec![Verdict::new(
        kind,
        0,
        Confidence::High,
        0,
        String::new(),
    )])
}

const NOW: Now = Now {
    boot_ns: 0,
    utc_ms: 7,
};

/// A look that could not tell is made again at once, for twice as long, up to a bound.
#[test]
fn windows_double() {
    let mut line = line();
    let mut windows = Vec::new();
    for _ in 0..5 {
        judge(&mut line, of(Kind::NotEnoughData), NOW);
        windows.push((line.judged.window_ms / 1000, line.judged.not_before as u64));
    }
    assert_eq!(windows[..4], [(120, 0), (240, 0), (480, 0), (960, 0)]);
    assert_eq!(windows[4].0, 0);
    assert!(windows[4].1 >= limit::PAUSE_MS / 1000);
}

/// Who is healthy is let alone, each time for longer; who is judged, or may not be looked
/// at, for long; and what could not be told takes nothing back.
#[test]
fn pauses_grow() {
    let mut line = line();
    let mut pauses = Vec::new();
    for _ in 0..7 {
        judge(&mut line, of(Kind::Healthy), NOW);
        pauses.push(line.judged.pause_ms / 60_000);
    }
    assert_eq!(pauses, [10, 20, 40, 80, 160, 320, 360]);
    judge(&mut line, of(Kind::Leak), NOW);
    judge(&mut line, of(Kind::NotEnoughData), NOW);
    judge(&mut line, Err("no allocator.".to_owned()), NOW);
    assert_eq!(line.judged.verdicts.first().unwrap().kind, Kind::Leak);
    judge(&mut line, of(Kind::Healthy), NOW);
    assert_eq!(line.judged.verdicts.first().unwrap().kind, Kind::Healthy);
}

/// Who was judged before a daemon began is let alone by it for as long as by the one before,
/// and what could not be told is looked at for longer than then.
#[test]
fn pauses_outlive_a_daemon() {
    let now = Now {
        boot_ns: 7200 * 1_000_000_000,
        utc_ms: 1_700_000_000_000,
    };
    let look = |minutes_ago: u64, kind| CloserLook {
        id: look_id(2),
        line: LineId(1),
        pid: 2,
        name: String::new(),
        start_ms: now.utc_ms - minutes_ago * 60_000 - 60_000,
        end_ms: now.utc_ms - minutes_ago * 60_000,
        reason: String::new(),
        level: crate::model::Level::Sampled,
        verdicts: of(kind).unwrap(),
        cost: 0.0,
    };
    let mut judged = Line::new(LineId(1), Identity::default(), 2, 3);
    remember(&mut judged, look(90, Kind::NotEnoughData), now);
    assert_eq!(judged.judged.window_ms, 120_000);
    remember(&mut judged, look(60, Kind::Leak), now);
    let paused = judged.judged.not_before - now.seconds();
    assert_eq!(paused, (limit::PAUSE_MS_MAX / 1000) as f64 - 3600.0);
    assert_eq!(judged.judged.verdicts.first().unwrap().kind, Kind::Leak);
    assert_eq!(judged.judged.looks.len(), 2);
}

/// A look's name has only what is safe in a path.
#[test]
fn names_are_safe() {
    let id = look_id(1234).0;
    assert!(id.ends_with("Z-1234") && id.len() == 21, "{id}");
    assert!(id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'));
}
