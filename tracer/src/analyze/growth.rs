//! Growth in a series of moments: troughs, slope, and what survives.

use crate::model::growth::AGES;

/// A line through points, by least squares.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// Units a second.
    pub slope: f64,
    /// The slope's standard error.
    pub error: f64,
}

/// The line through `(seconds, value)`; flat with fewer than three points.
#[must_use]
pub fn line(points: &[(f64, f64)]) -> Line {
    let count = points.len() as f64;
    if points.len() < 3 {
        return Line::default();
    }
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|it| it.0), mean(|it| it.1));
    let spread: f64 = points.iter().map(|it| (it.0 - x).powi(2)).sum();
    if spread <= f64::EPSILON {
        return Line::default();
    }
    let slope = points.iter().map(|it| (it.0 - x) * (it.1 - y)).sum::<f64>() / spread;
    let left: f64 = (points.iter())
        .map(|it| (it.1 - y - slope * (it.0 - x)).powi(2))
        .sum();
    Line {
        slope,
        error: (left / (count - 2.0) / spread).sqrt(),
    }
}

/// The least value in each third of the time that the points span: what comes and goes
/// is in none.
#[must_use]
pub fn thirds(points: &[(f64, u64)]) -> [u64; 3] {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return [0; 3];
    };
    let third = (last.0 - first.0) / 3.0;
    let least = |number: f64, otherwise: u64| {
        let (from, to) = (first.0 + number * third, first.0 + (number + 1.0) * third);
        // Rounding is not to lose the last point.
        let within = points
            .iter()
            .filter(|it| it.0 >= from && (it.0 <= to || number > 1.0));
        within.map(|it| it.1).min().unwrap_or(otherwise)
    };
    let start = least(0.0, first.1);
    [start, least(1.0, start), least(2.0, last.1)]
}

/// The same where the points are dense: between two of them the value is on the line, so
/// that it does not matter when in a second a third begins.
#[must_use]
pub fn thirds_of_line(points: &[(f64, u64)]) -> [u64; 3] {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return [0; 3];
    };
    let third = (last.0 - first.0) / 3.0;
    let between = [1.0, 2.0].map(|number| {
        let seconds = first.0 + number * third;
        (seconds, value_at(points, seconds) as u64)
    });
    let mut points: Vec<(f64, u64)> = points.iter().chain(&between).copied().collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    thirds(&points)
}

/// The first third's and the last's.
#[must_use]
pub fn troughs(points: &[(f64, u64)]) -> (u64, u64) {
    let [first, _, last] = thirds(points);
    (first, last)
}

/// What falls by less than this part of its whole rise has hardly any teeth: a collection or two of
/// a heap that grows all the same.
const FALLS: u64 = 4;

/// By how much what the points tell of grew, over all of `seconds`: from end to end where
/// it hardly ever falls, else by its troughs, which lie two thirds of the time apart.
#[must_use]
pub fn grown(points: &[(f64, u64)], seconds: f64) -> u64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return 0;
    };
    let falls: u64 = points
        .windows(2)
        .map(|two| two[0].1.saturating_sub(two[1].1))
        .fold(0, u64::saturating_add);
    let rise = last.1.saturating_sub(first.1);
    let spanned = (last.0 - first.0).max(f64::EPSILON);
    let (low, high) = troughs(points);
    let grown = if falls <= rise / FALLS {
        rise as f64
    } else {
        high.saturating_sub(low) as f64 * 1.5
    };
    // What was not looked at grew as the rest did, if it is little.
    (grown * (seconds / spanned).clamp(1.0, 1.2)) as u64
}

/// Parts into which a rise is divided to see whether it was one step.
const STEPS: u32 = 8;

/// The part of a rise that came within the quarter of the time in which it rose most:
/// a quarter of what rises in a straight line, all of what comes in one step.
#[must_use]
pub fn steepest_part(points: &[(f64, u64)]) -> f64 {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return 0.0;
    };
    let rise = last.1 as f64 - first.1 as f64;
    if rise <= 0.0 {
        return 0.0;
    }
    let step = (last.0 - first.0) / f64::from(STEPS);
    let values: Vec<f64> = (0..=STEPS)
        .map(|number| value_at(points, first.0 + f64::from(number) * step))
        .collect();
    let most = values
        .windows(3)
        .map(|it| it[2] - it[0])
        .fold(0.0, f64::max);
    most / rise
}

/// By how much the troughs rise in the first half of the time, and in the second. Between two
/// points it is a straight line: a half may have no more than one of them.
#[must_use]
pub fn halves(points: &[(f64, u64)]) -> [u64; 2] {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return [0; 2];
    };
    let middle = f64::midpoint(first.0, last.0);
    let between = (middle, value_at(points, middle) as u64);
    let early = points.iter().copied().take_while(|it| it.0 < middle);
    let late = points.iter().copied().skip_while(|it| it.0 <= middle);
    let rise = |half: &[(f64, u64)]| {
        let (low, high) = troughs(half);
        high.saturating_sub(low)
    };
    let early: Vec<(f64, u64)> = early.chain([between]).collect();
    let late: Vec<(f64, u64)> = [between].into_iter().chain(late).collect();
    [rise(&early), rise(&late)]
}

/// Between two points on a straight line.
fn value_at(points: &[(f64, u64)], seconds: f64) -> f64 {
    let behind = points.partition_point(|it| it.0 < seconds);
    let before = points.get(behind.saturating_sub(1));
    let (Some(before), Some(after)) = (before, points.get(behind).or(points.last())) else {
        return 0.0;
    };
    let part = (seconds - before.0) / (after.0 - before.0).max(f64::EPSILON);
    before.1 as f64 + (after.1 as f64 - before.1 as f64) * part.clamp(0.0, 1.0)
}

/// By how much it rose and stayed up: from the least in the first third to the least in
/// the last, which is never more than it rose. Where it rose from end to end and hardly
/// ever fell, these lie two thirds of the time apart, and the rest is counted too.
#[must_use]
pub fn stayed(points: &[(f64, u64)]) -> u64 {
    let (low, high) = troughs(points);
    let risen = high.saturating_sub(low);
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return 0;
    };
    let whole = last.1.saturating_sub(first.1);
    let falls = points
        .windows(2)
        .map(|two| two[0].1.saturating_sub(two[1].1))
        .fold(0, u64::saturating_add);
    if falls <= whole / 10 {
        // What came in the last moment only is not known to stay.
        whole.min(risen.saturating_add(risen / 2)).max(risen)
    } else {
        risen
    }
}

/// In which eighth of a window something happened.
#[must_use]
pub fn age(since_start: f64, window: f64) -> usize {
    let part = if window > 0.0 {
        since_start / window
    } else {
        0.0
    };
    ((part * AGES as f64) as usize).min(AGES - 1)
}

/// What survivors by age say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Survival {
    /// What outlives: the live bytes without what is there only because it is young.
    pub lasting_bytes: u64,
    /// How many of the older eighths of the window have left about as much as
    /// their average, 0 to 1: steady growth leaves something of each.
    pub evenness: f64,
    /// What the newer half of them left for each byte of the older half: growth that
    /// comes to its end leaves less and less, a cache that evicts more and more.
    pub trend: f64,
    /// The most that one of them left by the least; infinite if one left nothing, or the
    /// youngest so far much less than they.
    pub spread: f64,
}

/// The first eighth of a window all of which a process lived that came in its midst.
#[must_use]
pub fn first_age(came: f64, window: f64) -> usize {
    // Of two there is no trend.
    (age(came, window) + 1).min(AGES - 3)
}

/// Reads survivors by age, oldest first. `first`: the first age that its process has
/// all of; what is older came as it started.
#[must_use]
pub fn survival(survivors: &[u64; AGES], first: usize) -> Survival {
    let (older, youngest) = (&survivors[..AGES - 1], survivors[AGES - 1]);
    let sum: u64 = older.iter().fold(0, |sum, it| sum.saturating_add(*it));
    let older = &older[first.min(AGES - 3)..];
    let whole: u64 = older.iter().fold(0, |sum, it| sum.saturating_add(*it));
    let mean = whole as f64 / older.len() as f64;
    // As much as the others left is of the steady growth; more than that is passing.
    let lasting = sum.saturating_add(youngest.min(mean as u64));
    if sum == 0 {
        return Survival::default();
    }
    let even = older.iter().filter(|it| **it as f64 >= mean / 4.0).count();
    let half = older.len() / 2;
    let part = |part: &[u64]| part.iter().map(|it| *it as f64).sum::<f64>() / part.len() as f64;
    let (early, late) = (part(&older[..half]), part(&older[older.len() - half..]));
    let (least, most) = older.iter().fold((u64::MAX, 0), |(least, most), it| {
        (least.min(*it), most.max(*it))
    });
    Survival {
        spread: if least > 0 && youngest >= least / 2 {
            most as f64 / least as f64
        } else {
            f64::INFINITY
        },
        lasting_bytes: lasting,
        evenness: even as f64 / older.len() as f64,
        trend: if early > 0.0 {
            late / early
        } else {
            f64::INFINITY
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A straight line is found exactly, with no error.
    #[test]
    fn finds_a_line() {
        let points: Vec<(f64, f64)> = (0..20)
            .map(|x| (f64::from(x), f64::from(7 * x + 3)))
            .collect();
        let found = line(&points);
        assert!((found.slope - 7.0).abs() < 1e-9 && found.error < 1e-6);
        assert_eq!(line(&points[..2]), Line::default());
    }

    /// A sawtooth has equal troughs however high its teeth are.
    #[test]
    fn a_sawtooth_has_no_rise() {
        let saw: Vec<(f64, u64)> = (0..60_u32)
            .map(|x| (f64::from(x), u64::from(x % 7) * 100 + 5))
            .collect();
        assert_eq!(thirds(&saw), [5; 3]);
        assert_eq!(grown(&saw, 60.0), 0);
    }

    /// The halves of a line rise alike, however few points it has; what came in the first
    /// half rises there only.
    #[test]
    fn halves_of_a_line_are_alike() {
        assert_eq!(halves(&[(0.0, 0), (9.0, 90)]), [45, 45]);
        assert_eq!(halves(&[(0.0, 0), (6.0, 160), (15.0, 160)]), [160, 0]);
        assert_eq!(halves(&[(0.0, 0), (8.0, 160), (15.0, 160)]), [150, 10]);
        assert_eq!(halves(&[]), [0, 0]);
    }

    /// A step comes within a quarter of the time wherever it is and however few moments
    /// there are; a line does not, and what falls has none.
    #[test]
    fn a_step_is_no_line() {
        let line: Vec<(f64, u64)> = (0..=30_u32)
            .map(|x| (f64::from(x), u64::from(x) * 100))
            .collect();
        assert!((steepest_part(&line) - 0.25).abs() < 0.01);
        for at in 1..30 {
            let step = |x: u32| (f64::from(x), if x < at { 7 } else { 900 });
            let step: Vec<(f64, u64)> = (0..=30).map(step).collect();
            assert!(steepest_part(&step) > 0.99, "{at}");
        }
        assert!((steepest_part(&[(0.0, 0), (9.0, 90)]) - 0.25).abs() < 0.01);
        assert_eq!(steepest_part(&[(0.0, 9), (9.0, 0)]), 0.0);
        assert_eq!(steepest_part(&[]), 0.0);
    }

    /// A straight rise grows from end to end; with teeth, as its troughs do.
    #[test]
    fn a_rise_grows_by_all_of_it() {
        let rise: Vec<(f64, u64)> = (0..=30_u32)
            .map(|x| (f64::from(x), u64::from(x) * 100))
            .collect();
        assert_eq!(grown(&rise, 30.0), 3000);
        assert_eq!(thirds(&rise), [0, 1000, 2000]);
        // However few moments there are.
        let few = [(0.0, 0), (9.0, 900), (13.0, 1300), (30.0, 3000)];
        assert_eq!(thirds(&few), [0, 1300, 3000]);
        assert_eq!(thirds_of_line(&few), [0, 1000, 2000]);
        assert_eq!(thirds_of_line(&rise), thirds(&rise));
        let toothed: Vec<(f64, u64)> = (rise.iter())
            .map(|it| (it.0, it.1 + (it.0 as u64 % 3) * 500))
            .collect();
        // 0 in the first third, 2100 in the last.
        assert_eq!(grown(&toothed, 30.0), 3150);
    }

    /// A straight rise stayed with all of it; of a sawtooth, a peak and what came in the
    /// last moment nothing did; a step did once.
    #[test]
    fn what_stays_is_neither_peak_nor_tooth() {
        let of = |value: fn(u64) -> u64| {
            let points: Vec<(f64, u64)> = (0..=30).map(|x| (x as f64, value(x))).collect();
            stayed(&points)
        };
        assert_eq!(of(|x| 5 + x * 100), 3000);
        assert_eq!(of(|x| x % 7 * 100), 0);
        assert_eq!(of(|x| if x == 15 { 9000 } else { 7 }), 0);
        assert_eq!(of(|x| if x == 30 { 9000 } else { 7 }), 0);
        assert_eq!(of(|x| if x > 4 { 9000 } else { 7 }), 8993);
        assert_eq!(of(|x| 9000 - x), 0);
        assert_eq!(stayed(&[]), 0);
    }

    /// Steady growth is even and keeps on; what fills up and stops does not; what
    /// is only young does not last.
    #[test]
    fn tells_a_leak_from_what_looks_like_it() {
        let steady = survival(&[100; AGES], 0);
        assert_eq!(steady.lasting_bytes, 800);
        assert!(steady.evenness > 0.99 && (steady.trend - 1.0).abs() < 1e-9);
        let filled = survival(&[700, 90, 10, 0, 0, 0, 0, 0], 0);
        assert!(filled.evenness < 0.5 && filled.trend < 0.1);
        let evicting = survival(&[0, 0, 0, 0, 0, 10, 300, 900], 0);
        assert!(evicting.evenness < 0.5 && evicting.trend > 10.0);
        let transient = survival(&[0, 0, 0, 0, 0, 0, 0, 900], 0);
        assert_eq!(transient.lasting_bytes, 0);
        // A process that came in the fourth eighth of the window.
        let late = survival(&[0, 0, 0, 30, 100, 100, 100, 100], first_age(14.0, 30.0));
        assert_eq!(late.lasting_bytes, 430);
        assert!(late.evenness > 0.99 && (late.trend - 1.0).abs() < 1e-9);
    }

    proptest! {
        /// Never more lasts than is live, whatever the ages are.
        #[test]
        fn no_more_lasts_than_lives(
            survivors in prop::array::uniform8(0..u64::MAX / 16),
            first in 0..2 * AGES,
        ) {
            prop_assert!(survival(&survivors, first).lasting_bytes <= survivors.iter().sum());
        }

        /// Every moment of a window has its eighth.
        #[test]
        fn ages_are_within(at in -1.0..100.0_f64, window in 0.0..100.0_f64) {
            prop_assert!(age(at, window) < AGES);
        }
    }
}
