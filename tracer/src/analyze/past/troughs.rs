//! A series of least values in bounded room.

/// Beyond this two neighbours become one.
const POINTS_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct Troughs {
    /// When, and the least since the point before.
    points: Vec<(u64, u64)>,
    /// How many are taken together to a point, and how many the last one has.
    each: usize,
    in_last: usize,
}

impl Troughs {
    pub fn push(&mut self, at_ms: u64, least: u64) {
        match self.points.last_mut() {
            Some(last) if self.in_last < self.each => {
                *last = (at_ms, last.1.min(least));
                self.in_last += 1;
            }
            _ => {
                self.points.push((at_ms, least));
                self.in_last = 1;
            }
        }
        if self.points.len() >= POINTS_MAX && self.in_last >= self.each {
            let pairs = self.points.chunks(2).filter_map(|pair| {
                let least = pair.iter().map(|it| it.1).min()?;
                Some((pair.last()?.0, least))
            });
            self.points = pairs.collect();
            self.each = self.each.max(1) * 2;
            self.in_last = self.each;
        }
    }

    /// The least in the first third of the time, and in the last; 0 where there is none.
    pub fn first_and_last(&self) -> (u64, u64) {
        let (Some((start, first)), Some((end, last))) = (self.points.first(), self.points.last())
        else {
            return (0, 0);
        };
        let third = end.saturating_sub(*start) / 3;
        let least = |within: &dyn Fn(u64) -> bool| {
            let values = self.points.iter().filter(|it| within(it.0)).map(|it| it.1);
            values.min()
        };
        let early = least(&|at| at <= start + third).unwrap_or(*first);
        let late = least(&|at| at >= end.saturating_sub(third)).unwrap_or(*last);
        (early, late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sawtooth whose troughs rise tells so, however long it is; its teeth do not.
    #[test]
    fn troughs_rise() {
        for length in [30, 300, 9000_u64] {
            let mut troughs = Troughs::default();
            for at in 0..length {
                troughs.push(at * 1000, 1000 + at / 5 * 10 + at % 5 * 500);
            }
            assert!(troughs.points.len() <= POINTS_MAX);
            let (first, last) = troughs.first_and_last();
            assert_eq!(first, 1000);
            // The point at which the last third begins may reach back.
            let exact = 1000 + length * 2 / 3 / 5 * 10;
            let before = troughs.each as u64 / 5 * 10 + 10;
            assert!(
                (exact - before..=exact).contains(&last),
                "{length}: {last} {exact}"
            );
        }
        assert_eq!(Troughs::default().first_and_last(), (0, 0));
    }
}
