//! A timeline that stays small however long a trace is.

/// Moments of a timeline: of twice as many, every other one goes.
const MOMENTS: usize = 240;

/// Moments in even steps, and the newest one.
#[derive(Clone, Debug)]
pub struct Timeline<T> {
    moments: Vec<T>,
    /// Behind those, if it is not the last of them.
    newest: Option<T>,
    /// How many there were, and of how many one is kept.
    seen: usize,
    one_of: usize,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self {
            moments: Vec::new(),
            newest: None,
            seen: 0,
            one_of: 1,
        }
    }
}

impl<T: Copy> Timeline<T> {
    /// The moments; the last one is the newest.
    pub fn moments(&self) -> Vec<T> {
        self.moments.iter().chain(&self.newest).copied().collect()
    }

    /// The newest moment.
    pub fn newest(&self) -> Option<T> {
        self.newest.or_else(|| self.moments.last().copied())
    }

    /// Adds the next one.
    pub fn add(&mut self, moment: T) {
        let is_kept = self.seen.is_multiple_of(self.one_of);
        self.seen += 1;
        if !is_kept {
            self.newest = Some(moment);
            return;
        }
        self.newest = None;
        self.moments.push(moment);
        if self.moments.len() == 2 * MOMENTS {
            self.newest = Some(moment);
            self.moments = self.moments.iter().step_by(2).copied().collect();
            self.one_of *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However long a trace is, its timeline is bounded, even, and ends with the
    /// newest moment.
    #[test]
    fn timelines_are_bounded() {
        let mut timeline = Timeline::default();
        for second in 0..10_000 {
            timeline.add(second);
            let moments = timeline.moments();
            assert!(moments.len() <= 2 * MOMENTS);
            assert_eq!(moments.last(), Some(&second));
        }
        let moments = timeline.moments();
        assert!(moments.len() >= MOMENTS);
        let steps: Vec<i32> = moments.windows(2).map(|two| two[1] - two[0]).collect();
        let (last, others) = steps.split_last().unwrap_or((&0, &[]));
        assert!(others.iter().all(|step| step == &others[0]), "{steps:?}");
        assert!(*last <= others[0]);
    }
}
