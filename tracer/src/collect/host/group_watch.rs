//! The groups that have a line, over time.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{GroupMemory, Hierarchy, container};
use crate::model::host::{Gauge, GroupInterval, GroupView};

/// Groups that are asked at most, at some tens of microseconds each.
const GROUPS: usize = 512;

/// All groups with a line.
#[derive(Debug)]
pub struct GroupWatch {
    hierarchy: Hierarchy,
    groups: BTreeMap<String, Watched>,
    /// Groups that had no room at the last look.
    pub left_out: u64,
}

#[derive(Debug, Default)]
struct Watched {
    interval: GroupInterval,
    now: GroupMemory,
    /// Its kills when it was seen first.
    kills_first: u64,
    /// And at the last look.
    kills: u64,
}

impl GroupWatch {
    /// None yet.
    #[must_use]
    pub fn new(hierarchy: Hierarchy) -> Self {
        Self {
            hierarchy,
            groups: BTreeMap::new(),
            left_out: 0,
        }
    }

    /// Asks the groups of lines; the others are forgotten.
    pub fn look<'a>(&mut self, groups: impl Iterator<Item = &'a str>) {
        let wanted: BTreeSet<&str> = groups.filter(|it| !it.is_empty()).collect();
        self.left_out = wanted.len().saturating_sub(GROUPS) as u64;
        let wanted: BTreeSet<&str> = wanted.into_iter().take(GROUPS).collect();
        self.groups
            .retain(|group, _| wanted.contains(group.as_str()));
        for group in wanted {
            let now = self.hierarchy.read(group);
            let is_new = !self.groups.contains_key(group);
            let watched = self.groups.entry(group.to_owned()).or_default();
            if is_new {
                watched.kills_first = now.oom_kills;
                watched.kills = now.oom_kills;
                watched.interval.container = container(group);
                group.clone_into(&mut watched.interval.group);
            }
            watched.look(now);
        }
    }

    /// What the history keeps of the interval that is over.
    pub fn intervals(&mut self) -> Vec<GroupInterval> {
        let take = |watched: &mut Watched| {
            let next = GroupInterval {
                group: watched.interval.group.clone(),
                container: watched.interval.container.clone(),
                ..GroupInterval::default()
            };
            std::mem::replace(&mut watched.interval, next)
        };
        self.groups.values_mut().map(take).collect()
    }

    /// The present, largest first.
    #[must_use]
    pub fn view(&self) -> Vec<GroupView> {
        let of = |watched: &Watched| GroupView {
            group: watched.interval.group.clone(),
            container: watched.interval.container.clone(),
            memory_bytes: watched.now.memory,
            limit_bytes: watched.now.limit,
            socket_bytes: watched.now.sockets.unwrap_or(0),
            oom_kills: watched.kills.saturating_sub(watched.kills_first),
        };
        let mut groups: Vec<GroupView> = self.groups.values().map(of).collect();
        groups.sort_by_key(|it| std::cmp::Reverse(it.memory_bytes));
        groups
    }
}

impl Watched {
    fn look(&mut self, now: GroupMemory) {
        let add = |gauge: &mut Gauge, value: Option<u64>| {
            if let Some(value) = value {
                gauge.add(&Gauge::of(value));
            }
        };
        add(&mut self.interval.memory, now.memory);
        add(&mut self.interval.anonymous, now.anonymous);
        add(&mut self.interval.file, now.file);
        add(&mut self.interval.sockets, now.sockets);
        self.interval.limit_bytes = now.limit;
        // Of one that could not be read nothing is known.
        if now.memory.is_some() {
            let kills = now.oom_kills.saturating_sub(self.kills);
            self.interval.oom_kills = self.interval.oom_kills.saturating_add(kills);
            self.kills = now.oom_kills;
        }
        self.now = now;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Kills from before anybody looked are not counted, those of an interval are in it
    /// once, and in the view since the first look.
    #[test]
    fn kills_are_counted_once() {
        let mut watched = Watched {
            kills_first: 5,
            kills: 5,
            ..Watched::default()
        };
        let with = |oom_kills| GroupMemory {
            memory: Some(7),
            oom_kills,
            ..GroupMemory::default()
        };
        watched.look(with(5));
        watched.look(GroupMemory::default());
        watched.look(with(7));
        assert_eq!(watched.interval.oom_kills, 2);
        assert_eq!(watched.interval.memory.looks, 2);
        let mut watch = GroupWatch::new(Hierarchy::default());
        watch.groups.insert("/a".to_owned(), watched);
        assert_eq!(watch.intervals().first().unwrap().oom_kills, 2);
        assert_eq!(watch.intervals().first().unwrap().oom_kills, 0);
        assert_eq!(watch.view().first().unwrap().oom_kills, 2);
    }
}
