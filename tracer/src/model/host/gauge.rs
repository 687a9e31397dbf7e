//! A quantity over a stretch of time.

mod form;

/// What several looks at one quantity found. Two of them become one without loss of
/// what it tells: see [`Gauge::add`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauge {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// At the last look.
    pub last: u64,
    /// Sum over the looks; [`Gauge::mean`] is made from it.
    pub sum: u64,
    /// How many looks; 0: none, and all else is 0.
    pub looks: u32,
}

impl Gauge {
    /// One look.
    #[must_use]
    pub const fn of(value: u64) -> Self {
        Self {
            min: value,
            max: value,
            last: value,
            sum: value,
            looks: 1,
        }
    }

    /// Takes in what was found later.
    pub fn add(&mut self, later: &Self) {
        if later.looks == 0 {
            return;
        }
        if self.looks == 0 {
            *self = *later;
            return;
        }
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.last = later.last;
        self.sum = self.sum.saturating_add(later.sum);
        self.looks = self.looks.saturating_add(later.looks);
    }

    /// The mean over the looks.
    #[must_use]
    pub const fn mean(&self) -> u64 {
        match self.looks {
            0 => 0,
            looks => self.sum / looks as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Taking gauges together keeps the least, the most, the last and the sum, and one
    /// without looks changes nothing.
    #[test]
    fn adds_without_loss() {
        let mut gauge = Gauge::default();
        gauge.add(&Gauge::of(5));
        gauge.add(&Gauge::of(9));
        gauge.add(&Gauge::default());
        gauge.add(&Gauge::of(4));
        let whole = Gauge {
            min: 4,
            max: 9,
            last: 4,
            sum: 18,
            looks: 3,
        };
        assert_eq!(gauge, whole);
        assert_eq!(gauge.mean(), 6);
        assert_eq!(Gauge::default().mean(), 0);
    }
}
