//! What is new among the events of a view: each is told by many views, and counts once.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::host::{Event, View};

/// What was told already.
#[derive(Debug)]
pub struct Happened {
    newest_ms: u64,
    /// All that happened at that moment and was told.
    newest: Vec<Event>,
}

impl Happened {
    /// One for which all before this moment is known: a view tells of what happened before
    /// memtrace began too.
    pub const fn since(ms: u64) -> Self {
        Self {
            newest_ms: ms,
            newest: Vec::new(),
        }
    }

    /// One that begins now.
    pub fn from_now() -> Self {
        Self::since(now_ms())
    }

    /// The events that no earlier view told, oldest first.
    ///
    /// A view's events are in order of time, and one that is new is not older than the newest
    /// that was told: what comes late is not counted, rather than twice.
    pub fn take_new(&mut self, view: &View) -> Vec<Event> {
        let known = |event: &&Event| {
            event.at_ms < self.newest_ms
                || (event.at_ms == self.newest_ms && self.newest.contains(event))
        };
        let mut new: Vec<Event> = (view.events.iter())
            .filter(|event| !known(event))
            .cloned()
            .collect();
        new.sort_by_key(|event| event.at_ms);
        if let Some(last) = new.last().map(|event| event.at_ms) {
            if self.newest_ms != last {
                self.newest.clear();
            }
            self.newest_ms = last;
            let newest = new.iter().filter(|event| event.at_ms == last);
            self.newest.extend(newest.cloned());
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

    /// What happened before memtrace began is not new.
    #[test]
    fn what_was_before_is_not_new() {
        let mut happened = Happened::since(8);
        assert!(happened.take_new(&view(&[7, 5])).is_empty());
        assert_eq!(happened.take_new(&view(&[9, 7, 5])).len(), 1);
    }
}
