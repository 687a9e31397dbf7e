//! Spikes: for a short while much larger than usual, and then as before.

use super::thresholds as limit;

/// A spike that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spike {
    /// The highest mark.
    pub peak: u64,
    /// What was usual before.
    pub usual: u64,
}

/// Follows one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spikes {
    excursion: Option<Excursion>,
    /// The kernel's highest mark at the last look; 0: none yet.
    mark: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Excursion {
    peak: u64,
    usual: u64,
    looks: u32,
}

/// What a look means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// A new highest mark in what may become a spike: who brought it there is to be
    /// kept now.
    pub is_new_peak: bool,
    /// It is over, and was one.
    pub spike: Option<Spike>,
}

impl Spikes {
    /// Takes in a look. `usual`: see [`super::Recent::usual`]; `mark`: `VmHWM`, or 0 where
    /// it was not read, which tells of what came and went between two looks.
    pub fn look(&mut self, resident: u64, mark: u64, usual: Option<u64>) -> Outcome {
        let between = if self.mark > 0 && mark > self.mark {
            mark
        } else {
            0
        };
        // The first mark may be from before anybody looked.
        self.mark = self.mark.max(mark);
        let highest = resident.max(between);
        let is_new_peak = match (&mut self.excursion, usual) {
            (Some(excursion), _) => {
                excursion.looks += 1;
                let is_higher = highest > excursion.peak;
                excursion.peak = excursion.peak.max(highest);
                is_higher
            }
            (none, Some(usual)) if is_spike(highest, usual) => {
                *none = Some(Excursion {
                    peak: highest,
                    usual,
                    looks: 0,
                });
                true
            }
            _ => false,
        };
        Outcome {
            is_new_peak,
            spike: self.end(resident),
        }
    }

    fn end(&mut self, resident: u64) -> Option<Spike> {
        let excursion = self.excursion?;
        let above = excursion.peak.saturating_sub(excursion.usual) / limit::SPIKE_OVER;
        if resident <= excursion.usual.saturating_add(above) {
            self.excursion = None;
            return Some(Spike {
                peak: excursion.peak,
                usual: excursion.usual,
            });
        }
        if excursion.looks > limit::SPIKE_LOOKS {
            self.excursion = None;
        }
        None
    }
}

fn is_spike(highest: u64, usual: u64) -> bool {
    highest >= usual.saturating_mul(limit::SPIKE_TIMES) && highest - usual >= limit::SPIKE_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn spikes_of(values: &[u64]) -> Vec<Spike> {
        let mut spikes = Spikes::default();
        let looks = values.iter();
        looks
            .filter_map(|it| spikes.look(it * MIB, 0, Some(100 * MIB)).spike)
            .collect()
    }

    /// A spike is told of once, when it is over, with its highest mark.
    #[test]
    fn a_spike_is_told_of_when_it_is_over() {
        let found = spikes_of(&[100, 110, 250, 400, 300, 240, 110, 100, 100]);
        let expected = Spike {
            peak: 400 * MIB,
            usual: 100 * MIB,
        };
        assert_eq!(found, [expected]);
    }

    /// Less than twice as much is none, nor what stays up, nor a small program's trouble.
    #[test]
    fn others_are_none() {
        assert!(spikes_of(&[100, 190, 100]).is_empty());
        let step: Vec<u64> = std::iter::repeat_n(400, 200).chain([100]).collect();
        // A step that lasts ten minutes, and then another of the same height.
        assert!(spikes_of(&step[..60]).is_empty());
        let mut small = Spikes::default();
        small.look(20 * MIB, 0, Some(20 * MIB));
        small.look(60 * MIB, 0, Some(20 * MIB));
        assert_eq!(small.look(20 * MIB, 0, Some(20 * MIB)).spike, None);
    }

    /// What came and went between two looks is known by the kernel's highest mark, but not
    /// what was before the first.
    #[test]
    fn the_kernels_mark_tells_of_what_was_between() {
        let mut spikes = Spikes::default();
        let usual = Some(100 * MIB);
        assert_eq!(spikes.look(100 * MIB, 900 * MIB, usual), Outcome::default());
        assert_eq!(spikes.look(100 * MIB, 900 * MIB, usual), Outcome::default());
        let found = spikes.look(100 * MIB, 950 * MIB, usual);
        let expected = Spike {
            peak: 950 * MIB,
            usual: 100 * MIB,
        };
        assert_eq!(found.spike, Some(expected));
        assert!(found.is_new_peak);
        assert_eq!(spikes.look(100 * MIB, 950 * MIB, usual), Outcome::default());
    }

    proptest! {
        /// A spike is always as large as one has to be, whatever the series.
        #[test]
        fn spikes_are_large(
            looks in proptest::collection::vec((0..1_u64 << 40, 0..1_u64 << 40, 0..1_u64 << 40), 0..300),
        ) {
            let mut spikes = Spikes::default();
            for (resident, mark, usual) in looks {
                if let Some(found) = spikes.look(resident, mark, Some(usual)).spike {
                    prop_assert!(is_spike(found.peak, found.usual));
                }
            }
        }
    }
}
