//! What the history of a host tells of a stretch of time: each program's growth and its code.
//!
//! Intervals are taken in one by one and not kept: memory is that of the programs and stacks
//! seen, both bounded, and what finds no room is counted.

use std::collections::{BTreeMap, HashMap};

use crate::model::{
    Frame,
    host::{Event, FaultedStack, Happening, Interval, LineId, LineInterval},
    verdict::PlaceName,
};

mod troughs;

use troughs::Troughs;

/// More lines than this are counted only.
const LINES_MAX: usize = 20_000;
/// More stacks than this are taken together as one without frames.
const STACKS_MAX: usize = 100_000;
/// Of the events the last ones are kept.
const EVENTS_MAX: usize = 200;

/// In [`Past::losses`]: lines beyond the bound.
pub const LINES_LEFT_OUT: &str = "intervals of lines beyond the first 20,000";

/// See the module.
#[derive(Debug, Default)]
pub struct Past {
    /// Intervals taken in.
    pub intervals: u64,
    /// The earliest begin, Unix ms.
    pub start_ms: u64,
    /// The latest end.
    pub end_ms: u64,
    /// By line.
    pub lines: HashMap<LineId, Line>,
    /// Frames of the stacks that lines speak of, innermost first.
    pub stacks: BTreeMap<u64, Vec<Frame>>,
    /// The last ones, in order of writing.
    pub events: Vec<Event>,
    /// Events before these.
    pub more_events: u64,
    /// Kills for want of memory, on the whole host.
    pub oom_kills: u64,
    /// What was not seen or kept: what, and how often.
    pub losses: BTreeMap<String, u64>,
}

/// A program in that time.
#[derive(Debug, Default)]
pub struct Line {
    /// As it was last.
    pub name: String,
    /// Its cgroup.
    pub group: String,
    /// The process that it was last.
    pub pid: u32,
    /// Its resident set at the last look.
    pub last_bytes: u64,
    /// The most that was ever resident in that time.
    pub peak_bytes: u64,
    /// In its sockets at the last look; `None`: not known.
    pub socket_bytes: Option<u64>,
    /// TCP connections at the last look.
    pub connections: u64,
    /// How often it began again.
    pub restarts: u64,
    /// By stack, estimated from page faults.
    pub faulted: BTreeMap<u64, FaultedStack>,
    troughs: Troughs,
    /// `VmHWM` when it was first seen, and of which process.
    first_peak: Option<(u32, u64)>,
}

impl Line {
    /// The least of the first third of the time in which it was seen, and of the last.
    #[must_use]
    pub fn troughs(&self) -> (u64, u64) {
        self.troughs.first_and_last()
    }

    /// By how much its troughs rose.
    #[must_use]
    pub fn growth(&self) -> i64 {
        let (first, last) = self.troughs();
        let change = i128::from(last) - i128::from(first);
        i64::try_from(change).unwrap_or(if change < 0 { i64::MIN } else { i64::MAX })
    }

    /// Bytes that it came to have by page faults, estimated.
    #[must_use]
    pub fn faulted_bytes(&self) -> u64 {
        let bytes = self.faulted.values().map(|it| it.bytes);
        bytes.fold(0, u64::saturating_add)
    }

    fn take(&mut self, it: &LineInterval, end_ms: u64) {
        self.name.clone_from(&it.name);
        self.group.clone_from(&it.group);
        self.pid = it.pid;
        if it.resident.looks > 0 {
            self.troughs.push(end_ms, it.resident.min);
            self.last_bytes = it.resident.last;
            self.peak_bytes = self.peak_bytes.max(it.resident.max);
        }
        // A process's highest mark tells of this time only if it rose within.
        match self.first_peak {
            Some((pid, first)) if pid == it.pid && it.peak_bytes <= first => {}
            Some(_) => self.peak_bytes = self.peak_bytes.max(it.peak_bytes),
            None => self.first_peak = Some((it.pid, it.peak_bytes)),
        }
        if let Some(sockets) = it.places.get(&PlaceName::Sockets) {
            self.socket_bytes = Some(sockets.last);
        }
        if it.connections.looks > 0 {
            self.connections = it.connections.last;
        }
    }
}

impl Past {
    /// Takes in what comes next.
    pub fn take(&mut self, interval: Interval) {
        if self.intervals == 0 {
            self.start_ms = interval.start_ms;
        }
        self.intervals += 1;
        self.start_ms = self.start_ms.min(interval.start_ms);
        self.end_ms = self.end_ms.max(interval.end_ms);
        self.oom_kills = self.oom_kills.saturating_add(interval.host.oom_kills);
        for (what, count) in &interval.losses {
            self.lose(what, *count);
        }
        for line in &interval.lines {
            let is_known = self.lines.contains_key(&line.line);
            if !is_known && self.lines.len() >= LINES_MAX {
                self.lose(LINES_LEFT_OUT, 1);
                continue;
            }
            let known = self.lines.entry(line.line).or_default();
            known.take(line, interval.end_ms);
            for faulted in &line.faulted {
                let has_room = self.stacks.len() < STACKS_MAX;
                let stack = match interval.stacks.get(&faulted.stack) {
                    _ if self.stacks.contains_key(&faulted.stack) => faulted.stack,
                    Some(frames) if has_room => {
                        self.stacks.insert(faulted.stack, frames.clone());
                        faulted.stack
                    }
                    _ => 0,
                };
                let sum = known.faulted.entry(stack).or_default();
                sum.stack = stack;
                sum.bytes = sum.bytes.saturating_add(faulted.bytes);
                sum.samples = sum.samples.saturating_add(faulted.samples);
            }
        }
        for event in interval.events {
            if let (Some(line), Happening::Restarted { .. }) = (event.line, &event.what)
                && let Some(line) = self.lines.get_mut(&line)
            {
                line.restarts += 1;
            }
            self.events.push(event);
        }
        let more = self.events.len().saturating_sub(EVENTS_MAX);
        self.events.drain(..more);
        self.more_events += more as u64;
    }

    /// Lines, what grew most first; of equal growth the largest first.
    #[must_use]
    pub fn by_growth(&self) -> Vec<(LineId, &Line)> {
        let mut lines: Vec<_> = self.lines.iter().map(|(id, line)| (*id, line)).collect();
        lines.sort_by_cached_key(|(id, line)| {
            std::cmp::Reverse((line.growth(), line.last_bytes, *id))
        });
        lines
    }

    fn lose(&mut self, what: &str, count: u64) {
        let sum = self.losses.entry(what.to_owned()).or_default();
        *sum = sum.saturating_add(count);
    }
}

/// Which lines are asked for.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// A program's name or a process id.
    pub process: Option<String>,
    /// A part of a cgroup's path.
    pub group: Option<String>,
}

impl Filter {
    fn has(&self, line: &LineInterval) -> bool {
        let is_process = |wanted: &String| {
            *wanted == line.name || wanted.parse().is_ok_and(|pid: u32| pid == line.pid)
        };
        self.process.as_ref().is_none_or(is_process) && self.has_group(&line.group)
    }

    fn has_group(&self, group: &str) -> bool {
        self.group
            .as_ref()
            .is_none_or(|wanted| group.contains(wanted))
    }

    /// Leaves of an interval what is asked for: lines, their stacks and events, and groups.
    /// The host's own figures and events stay.
    pub fn apply(&self, interval: &mut Interval) {
        if self.process.is_none() && self.group.is_none() {
            return;
        }
        interval.lines.retain(|line| self.has(line));
        let lines = || interval.lines.iter();
        let groups: Vec<&str> = lines().map(|line| line.group.as_str()).collect();
        (interval.groups).retain(|it| groups.contains(&it.group.as_str()));
        let stacks: Vec<u64> = lines()
            .flat_map(|it| &it.faulted)
            .map(|it| it.stack)
            .collect();
        interval.stacks.retain(|id, _| stacks.contains(id));
        let of: Vec<LineId> = lines().map(|line| line.line).collect();
        (interval.events).retain(|it| it.line.is_none_or(|line| of.contains(&line)));
    }
}

#[cfg(test)]
mod tests;
