//! Whether a line grows: its troughs rise, steadily, by more than noise. Plateaus, steps and
//! sawtooths are no growth.

use super::{Recent, thresholds as limit};
use crate::analyze::{
    growth::{grown, steepest_part, troughs},
    verdict::rise::is_steady,
};

/// A rise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    /// By how much the troughs rose.
    pub rise: u64,
    /// Within what time, s.
    pub seconds: f64,
    /// How fast.
    pub per_second: f64,
}

/// What has to have risen. `resident`: now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Resident and socket memory.
    Memory,
    /// What the kernel holds for sockets.
    Sockets,
    /// Connections.
    Connections,
}

impl Quantity {
    fn enough(self, resident: u64) -> u64 {
        match self {
            Self::Memory => limit::at_least(limit::RISE_BYTES, limit::RISE_PART, resident),
            Self::Sockets => limit::at_least(limit::QUEUE_BYTES, limit::QUEUE_PART, resident),
            Self::Connections => limit::CONNECTIONS_RISE,
        }
    }
}

/// The trend, by the finest scale at which there is one.
#[must_use]
pub fn trend(recent: &Recent, what: Quantity, resident: u64) -> Option<Trend> {
    let enough = what.enough(resident);
    recent.series().find_map(|points| of(&points, enough))
}

fn of(points: &[(f64, u64)], enough: u64) -> Option<Trend> {
    let (first, last) = points.first().zip(points.last())?;
    let seconds = last.0 - first.0;
    if points.len() < limit::POINTS_LEAST || seconds <= 0.0 {
        return None;
    }
    let (low, high) = troughs(points);
    let rise = high.saturating_sub(low);
    let kept = kept(points, high);
    let is_growth = rise >= enough && is_steady(points) && steepest_part(&kept) <= limit::STEP;
    is_growth.then(|| Trend {
        rise,
        seconds,
        per_second: grown(points, seconds) as f64 / seconds,
    })
}

/// At each moment what was never fallen below again: without teeth, and without the last
/// tooth, which is still rising.
fn kept(points: &[(f64, u64)], most: u64) -> Vec<(f64, u64)> {
    let mut least = most;
    let mut kept: Vec<(f64, u64)> = (points.iter().rev())
        .map(|it| {
            least = least.min(it.1);
            (it.0, least)
        })
        .collect();
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn after(looks: u32, of: impl Fn(u32) -> u64) -> Option<Trend> {
        let mut recent = Recent::default();
        for look in 0..looks {
            recent.add(f64::from(look) * 10.0, of(look));
        }
        let resident = of(looks - 1);
        trend(&recent, Quantity::Memory, resident)
    }

    /// A leak is seen at whatever scale it rises enough, and its rate is right.
    #[test]
    fn leaks_grow() {
        let fast = after(30, |look| (100 + 2 * u64::from(look)) * MIB).unwrap_or_default();
        assert!(
            (fast.per_second / (0.2 * MIB as f64) - 1.0).abs() < 0.01,
            "{fast:?}"
        );
        // 30 MiB an hour: nothing within 10 minutes.
        assert_eq!(
            after(60, |look| 100 * MIB + u64::from(look) * MIB / 12),
            None
        );
        let slow = after(360, |look| 100 * MIB + u64::from(look) * MIB / 12).unwrap_or_default();
        let rate = MIB as f64 / 120.0;
        assert!((slow.per_second / rate - 1.0).abs() < 0.1, "{slow:?}");
        // 4 MiB an hour shows within a day.
        let slower = |look: u32| 100 * MIB + u64::from(look) * MIB / 90;
        assert_eq!(after(360, slower), None);
        assert!(after(360 * 12, slower).is_some());
    }

    /// A leak under a collector's teeth is one.
    #[test]
    fn leaks_with_teeth_grow() {
        let toothed = |look: u32| (100 + u64::from(look) + u64::from(look % 7) * 20) * MIB;
        assert!(after(60, toothed).is_some());
    }

    /// What is flat, has teeth, came in one step or has filled up does not grow.
    #[test]
    fn what_looks_like_a_leak() {
        assert_eq!(after(60, |_| 100 * MIB), None);
        assert_eq!(
            after(60, |look| (100 + u64::from(look % 7) * 50) * MIB),
            None
        );
        assert_eq!(
            after(60, |look| if look < 30 { 100 * MIB } else { 300 * MIB }),
            None
        );
        assert_eq!(
            after(60, |look| (100 + u64::from(look.min(20)) * 10) * MIB),
            None
        );
        assert_eq!(after(60, |look| (500 - u64::from(look)) * MIB), None);
        assert_eq!(
            after(60, |look| if look == 40 { 900 * MIB } else { 100 * MIB }),
            None
        );
    }

    /// Little is said of what was seen for a short time.
    #[test]
    fn few_looks_say_nothing() {
        assert_eq!(after(11, |look| u64::from(look) * 100 * MIB), None);
        assert!(after(12, |look| u64::from(look) * 100 * MIB).is_some());
    }

    proptest! {
        /// A series that never rises above its start has no trend, whatever it does.
        #[test]
        fn what_never_rises_does_not_grow(
            values in proptest::collection::vec(0..1_u64 << 40, 1..400),
        ) {
            let mut recent = Recent::default();
            let start = 1_u64 << 40;
            recent.add(0.0, start);
            for (look, value) in values.iter().enumerate() {
                recent.add(1.0 + look as f64, start - value);
            }
            // Troughs of a third that is lower first and higher later may rise: sort them.
            let mut falling = Recent::default();
            let mut sorted = values;
            sorted.sort_unstable();
            for (look, value) in sorted.iter().enumerate() {
                falling.add(look as f64, start - value);
            }
            prop_assert_eq!(trend(&falling, Quantity::Memory, start), None);
        }

        /// A trend's rise is never more than the series rose from its least to its most.
        #[test]
        fn a_rise_is_within_the_series(
            values in proptest::collection::vec(0..1_u64 << 40, 12..400),
        ) {
            let mut recent = Recent::default();
            for (look, value) in values.iter().enumerate() {
                recent.add(look as f64, *value);
            }
            if let Some(found) = trend(&recent, Quantity::Memory, 0) {
                let (least, most) = (values.iter().min(), values.iter().max());
                let span = most.zip(least).map_or(0, |(most, least)| most - least);
                prop_assert!(found.rise <= span && found.seconds > 0.0);
            }
        }
    }
}
