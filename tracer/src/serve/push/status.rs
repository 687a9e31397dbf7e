//! What became of what was to be sent. Shared by those who send and those who tell.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::queue::Dropped;
use crate::render::metrics::PushCount;

/// Counters of all destinations; a clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Status(Arc<Mutex<Vec<PushCount>>>);

impl Status {
    /// The counters, for `/metrics`.
    #[must_use]
    pub fn counts(&self) -> Vec<PushCount> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What was given up, for [`crate::model::host::View::losses`]: messages and their bytes,
    /// by destination.
    #[must_use]
    pub fn losses(&self) -> BTreeMap<String, u64> {
        let counts = self.counts();
        let lost = counts.iter().filter(|count| count.dropped > 0);
        lost.flat_map(|count| {
            let name = count.destination;
            [
                (format!("messages not pushed to {name}"), count.dropped),
                (format!("bytes not pushed to {name}"), count.dropped_bytes),
            ]
        })
        .collect()
    }

    /// Adds a destination.
    pub(super) fn register(&self, destination: &'static str) {
        self.change(destination, |_| {});
    }

    pub(super) fn sent(&self, destination: &'static str) {
        self.change(destination, |it| it.sent += 1);
    }

    pub(super) fn failed(&self, destination: &'static str) {
        self.change(destination, |it| it.failures += 1);
    }

    pub(super) fn dropped(&self, destination: &'static str, dropped: Dropped) {
        self.change(destination, |it| {
            it.dropped = it.dropped.saturating_add(dropped.messages);
            it.dropped_bytes = it.dropped_bytes.saturating_add(dropped.bytes);
        });
    }

    pub(super) fn waiting(&self, destination: &'static str, messages: usize) {
        self.change(destination, |it| it.waiting = messages as u64);
    }

    fn change(&self, destination: &'static str, change: impl FnOnce(&mut PushCount)) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.iter_mut().find(|it| it.destination == destination) {
            return change(count);
        }
        let mut count = PushCount {
            destination,
            ..PushCount::default()
        };
        change(&mut count);
        counts.push(count);
    }
}
