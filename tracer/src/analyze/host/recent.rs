//! What a line did lately, at three scales: each look, and the least of each minute and of
//! each ten (with a look every 10 s). What comes and goes is in none of the latter.

use std::collections::VecDeque;

use super::thresholds::SCALES;

/// A series at three scales, oldest first. At most some 4 KiB.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recent {
    scales: [Scale; SCALES.len()],
    looks: u32,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Scale {
    /// When, s, and how much: of several looks the least.
    points: VecDeque<(f64, u64)>,
    /// Of the last point, looks that it stands for so far.
    looks: u32,
}

impl Recent {
    /// Takes in a look. `seconds`: on a clock that does not jump.
    pub fn add(&mut self, seconds: f64, bytes: u64) {
        self.looks = self.looks.saturating_add(1);
        for (scale, (wanted, most)) in self.scales.iter_mut().zip(SCALES) {
            scale.add((seconds, bytes), wanted, most);
        }
    }

    /// How many looks there were.
    #[must_use]
    pub const fn looks(&self) -> u32 {
        self.looks
    }

    /// The finest scale's values.
    pub fn fine(&self) -> impl Iterator<Item = u64> {
        let points = self.scales.first().map(|scale| &scale.points);
        points.into_iter().flatten().map(|it| it.1)
    }

    /// Each scale's points, the finest first. A point that is not complete is left out: more
    /// looks can only make it less.
    pub fn series(&self) -> impl Iterator<Item = Vec<(f64, u64)>> {
        self.scales.iter().zip(SCALES).map(|(scale, (wanted, _))| {
            let open = usize::from(scale.looks < wanted);
            let complete = scale.points.len().saturating_sub(open);
            scale.points.iter().take(complete).copied().collect()
        })
    }

    /// What is usual: the median of the last looks. `None`: too few.
    #[must_use]
    pub fn usual(&self) -> Option<u64> {
        let mut values: Vec<u64> = self.fine().collect();
        if values.len() < super::thresholds::LOOKS_NEW as usize {
            return None;
        }
        let middle = values.len() / 2;
        Some(*values.select_nth_unstable(middle).1)
    }
}

impl Scale {
    fn add(&mut self, point: (f64, u64), wanted: u32, most: usize) {
        match self.points.back_mut() {
            Some(last) if self.looks < wanted => {
                last.1 = last.1.min(point.1);
                self.looks += 1;
            }
            _ => {
                if self.points.len() >= most {
                    self.points.pop_front();
                }
                self.points.push_back(point);
                self.looks = 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A minute's point is the least of its six looks, and one that is not full yet is
    /// none.
    #[test]
    fn coarser_scales_keep_the_least() {
        let mut recent = Recent::default();
        for look in 0..15_u32 {
            recent.add(f64::from(look) * 10.0, u64::from(100 - look));
        }
        let series: Vec<_> = recent.series().collect();
        assert_eq!(series[0].len(), 15);
        assert_eq!(series[1], [(0.0, 95), (60.0, 89)]);
        assert!(series[2].is_empty());
        assert_eq!(recent.usual(), Some(93));
    }

    proptest! {
        /// However many looks there are, each scale is bounded and none of its points is more
        /// than any look was.
        #[test]
        fn scales_are_bounded(values in proptest::collection::vec(0..1_u64 << 40, 1..2000)) {
            let mut recent = Recent::default();
            for (look, value) in values.iter().enumerate() {
                recent.add(look as f64, *value);
            }
            let most = values.iter().max().copied().unwrap_or(0);
            for (series, (_, bound)) in recent.series().zip(SCALES) {
                prop_assert!(series.len() <= bound);
                prop_assert!(series.iter().all(|it| it.1 <= most));
            }
        }
    }
}
