//! Which processes of two recordings belong together.

use std::collections::HashMap;

use super::Side;
use crate::model::{Process, Report};

/// Processes whose sites are compared: of each recording all those that were the same
/// process, else all that run the same program, their sites summed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group<'a> {
    /// Of the first recording.
    pub before: Vec<&'a Process>,
    /// Of the second.
    pub after: Vec<&'a Process>,
}

/// Groups, and whose they are.
#[derive(Default)]
pub struct Groups<'a> {
    pub groups: Vec<Group<'a>>,
    keys: HashMap<Key<'a>, usize>,
    ids: HashMap<(Side, u32), usize>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key<'a> {
    /// Each recording is of one process only: these two.
    Both,
    /// Pid and start: the same process in both.
    Same(u32, u64),
    Program(&'a str),
    /// A damaged report's site whose process is not told.
    Unknown(u32),
}

impl<'a> Groups<'a> {
    pub fn of(before: &'a Report, after: &'a Report) -> Self {
        let mut groups = Self::default();
        let is_single = before.processes.len() == 1 && after.processes.len() == 1;
        let same_boot = before.host.boot_id == after.host.boot_id;
        for (side, report, other) in [(Side::Before, before, after), (Side::After, after, before)] {
            for process in &report.processes {
                let is_same =
                    |it: &Process| (it.pid, it.start_time) == (process.pid, process.start_time);
                let key = if is_single {
                    Key::Both
                } else if same_boot && other.processes.iter().any(is_same) {
                    Key::Same(process.pid, process.start_time)
                } else {
                    Key::Program(process.program())
                };
                let index = groups.index(key);
                groups.ids.insert((side, process.id), index);
                if let Some(group) = groups.groups.get_mut(index) {
                    match side {
                        Side::Before => group.before.push(process),
                        Side::After => group.after.push(process),
                    }
                }
            }
        }
        groups
    }

    /// The group of the process with this [`Process::id`].
    pub fn of_process(&mut self, side: Side, id: u32) -> usize {
        match self.ids.get(&(side, id)) {
            Some(index) => *index,
            None => self.index(Key::Unknown(id)),
        }
    }

    fn index(&mut self, key: Key<'a>) -> usize {
        let next = self.groups.len();
        let index = *self.keys.entry(key).or_insert(next);
        if index == next {
            self.groups.push(Group::default());
        }
        index
    }
}
