//! What is new among the events of a view: each is told by many views, and counts once.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::host::{Event, View};

/// What was told already.
#[derive(Debug)]
pub struct Happened {
    /// All before is known, until a view was seen.
    since_ms: u64,
    /// All that the view before told; it is bounded, as views are.
    told: Vec<Event>,
}

impl Happened {
    /// One for which all before this moment is known: a view tells of what happened before
    /// memtrace began too.
    pub const fn since(ms: u64) -> Self {
        Self {
            since_ms: ms,
            told: Vec::new(),
        }
    }

    /// One that begins now.
    pub fn from_now() -> Self {
        Self::since(now_ms())
    }

    /// The events that no earlier view told, oldest first.
    ///
    /// New is what the view before did not tell, whatever its time: a kill is found in the
    /// kernel's log after a look has told that its process has ended, and clocks are set back.
    pub fn take_new(&mut self, view: &View) -> Vec<Event> {
        let is_new = |event: &&Event| event.at_ms >= self.since_ms && !self.told.contains(event);
        let mut new: Vec<Event> = view.events.iter().filter(is_new).cloned().collect();
        new.sort_by_key(|event| event.at_ms);
        self.told.clone_from(&view.events);
        // The view of a watcher that has not looked yet is of no time.
        if view.at_ms > 0 {
            self.since_ms = 0;
        }
        new
    }
}

/// Unix milliseconds.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |it| it.as_millis().try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::metrics::sample;

    fn view(times: &[u64]) -> View {
        View {
            at_ms: 10,
            events: times.iter().map(|at| sample::out_of_memory(*at)).collect(),
            ..View::default()
        }
    }

    /// However often a view tells an event it is new once; one at the same moment as the last
    /// is another only if it tells something else.
    #[test]
    fn each_event_once() {
        let mut happened = Happened::since(0);
        let times = |events: Vec<Event>| -> Vec<u64> { events.iter().map(|it| it.at_ms).collect() };
        assert_eq!(times(happened.take_new(&view(&[7, 5]))), [5, 7]);
        assert_eq!(times(happened.take_new(&view(&[7, 5]))), [0_u64; 0]);
        assert_eq!(times(happened.take_new(&view(&[9, 7, 5]))), [9]);
        let mut same = view(&[9]);
        if let crate::model::host::Happening::OutOfMemory { pid, .. } = &mut same.events[0].what {
            *pid = 1;
        }
        same.events.extend(view(&[9, 7]).events);
        assert_eq!(times(happened.take_new(&same)), [9]);
        assert_eq!(times(happened.take_new(&same)), [0_u64; 0]);
    }

    /// What comes late, or after the clock was set back, is new.
    #[test]
    fn what_comes_late_is_new() {
        let mut happened = Happened::since(0);
        assert_eq!(happened.take_new(&view(&[9])).len(), 1);
        let late = happened.take_new(&view(&[7, 9]));
        assert_eq!(late.first().map(|it| it.at_ms), Some(7));
        assert!(happened.take_new(&view(&[7, 9])).is_empty());
    }

    /// What happened before memtrace began is not new.
    #[test]
    fn what_was_before_is_not_new() {
        let mut happened = Happened::since(8);
        assert!(happened.take_new(&view(&[7, 5])).is_empty());
        assert_eq!(happened.take_new(&view(&[9, 7, 5])).len(), 1);
    }
}
