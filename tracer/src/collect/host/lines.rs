//! All lines: which process belongs to which, and when another takes one over.
//!
//! Asks nothing itself: who a process is and what it has comes from a [`Source`].

use std::collections::HashMap;

use super::{
    identity::{Identity, is_same},
    line::{Line, Now, line_id},
    proc_files::Status,
    processes::{Look, Seen},
};
use crate::{
    analyze::host::thresholds as limit,
    model::host::{Event, Happening, Interval, LineId, Peak},
};

/// Most lines; the largest processes have them.
pub const LINES: usize = 1024;
/// A process that begins within this time after one ended takes its line over, ns.
const TAKEN_OVER_NS: u64 = 3600 * 1_000_000_000;

/// Tells of processes.
pub trait Source {
    /// Who it is.
    fn identity(&mut self, pid: u32) -> Identity;
    /// What it has, into `status`; false: it has ended.
    fn status(&mut self, pid: u32, status: &mut Status) -> bool;
}

/// What happened at a look that others must know.
#[derive(Debug, Default)]
pub struct News {
    /// In order.
    pub events: Vec<Event>,
    /// Lines that are at a new highest mark.
    pub peaks: Vec<LineId>,
}

/// All lines.
#[derive(Debug)]
pub struct Lines {
    boot: String,
    /// Smaller processes get none.
    pub least_bytes: u64,
    /// A program is young for so long, ns.
    pub young_ns: u64,
    lines: HashMap<LineId, Line>,
    by_process: HashMap<(u32, u64), LineId>,
    /// Of processes that had ended at the latest look.
    ended: HashMap<(u32, u64), LineId>,
    /// Processes that had no room.
    pub left_out: u64,
    /// Processes without a line at the last look, and what they have.
    pub others: (u64, u64),
    status: Status,
}

impl Lines {
    /// None yet. `boot`: what tells this boot from others.
    #[must_use]
    pub fn new(boot: String, least_bytes: u64) -> Self {
        Self {
            boot,
            least_bytes,
            young_ns: 0,
            lines: HashMap::new(),
            by_process: HashMap::new(),
            ended: HashMap::new(),
            left_out: 0,
            others: (0, 0),
            status: Status::default(),
        }
    }

    /// Goes on with the lines of a daemon before, of the same boot.
    pub fn restore(&mut self, last: &Interval, now: Now) {
        for line in last.lines.iter().take(LINES) {
            let who = Identity {
                name: line.name.clone(),
                executable: String::new(),
                group: line.group.clone(),
            };
            let mut restored = Line::new(line.line, who, line.pid, line.start_time);
            // Until a look finds it.
            restored.has_ended = true;
            let ago_ms = now.utc_ms.saturating_sub(last.end_ms);
            restored.last_seen = now.boot_ns.saturating_sub(ago_ms.saturating_mul(1_000_000));
            restored.status.resident = line.resident.last;
            self.by_process
                .insert((line.pid, line.start_time), line.line);
            self.lines.insert(line.line, restored);
        }
    }

    /// Takes up how large the processes of restored lines were, an interval after the other: whether
    /// they grow is known then as if this daemon had seen it.
    pub fn take_up(&mut self, past: &Interval, now: Now) {
        let ago_ms = now.utc_ms.saturating_sub(past.end_ms);
        let at_ns = now.boot_ns.saturating_sub(ago_ms.saturating_mul(1_000_000));
        for seen in &past.lines {
            let Some(line) = self.lines.get_mut(&seen.line) else {
                continue;
            };
            let is_same = (line.pid, line.start_time) == (seen.pid, seen.start_time);
            if is_same && at_ns.saturating_sub(seen.start_time) >= self.young_ns {
                line.take_up(seen, at_ns as f64 / 1e9);
            }
        }
    }

    /// One of them.
    #[must_use]
    pub fn get_mut(&mut self, id: LineId) -> Option<&mut Line> {
        self.lines.get_mut(&id)
    }

    /// That of a process.
    #[cfg(test)]
    pub fn of_pid(&mut self, pid: u32) -> Option<&mut Line> {
        (self.lines.values_mut()).find(|line| line.pid == pid && !line.has_ended)
    }

    /// The line of a process that began then; it may have ended before the latest look.
    #[must_use]
    pub fn of_process(&self, pid: u32, start_time: u64) -> Option<LineId> {
        let of = |lines: &HashMap<_, LineId>| lines.get(&(pid, start_time)).copied();
        of(&self.by_process).or_else(|| of(&self.ended))
    }

    /// That whose process the kernel has killed; it may not have been seen to end.
    #[must_use]
    pub fn killed(&self, pid: u32) -> Option<LineId> {
        let of_pid = self.lines.values().filter(|line| line.pid == pid);
        of_pid
            .max_by_key(|line| line.start_time)
            .map(|line| line.id)
    }

    /// Those whose process lives.
    pub fn living(&self) -> impl Iterator<Item = &Line> {
        self.lines.values().filter(|line| !line.has_ended)
    }

    /// All.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Line> {
        self.lines.values_mut()
    }

    /// Takes in a look at all processes.
    pub fn look(&mut self, look: &Look, now: Now, source: &mut dyn Source) -> News {
        let mut news = News::default();
        self.ended.clear();
        for process in &look.ended {
            self.end(*process);
        }
        self.others = (0, 0);
        self.left_out = 0;
        let mut candidates = Vec::new();
        for seen in &look.seen {
            match self.by_process.get(&(seen.pid, seen.start_time)) {
                Some(id) => self.go_on(*id, seen, now, source, &mut news),
                None if seen.resident_bytes >= self.least_bytes => candidates.push(*seen),
                None => self.add_other(seen),
            }
        }
        candidates.sort_unstable_by_key(|it| std::cmp::Reverse(it.resident_bytes));
        self.make_room(candidates.len(), now);
        for seen in &candidates {
            if self.lines.len() >= LINES && !self.replace_smallest(seen) {
                self.left_out += 1;
                self.add_other(seen);
                continue;
            }
            let who = source.identity(seen.pid);
            let id = self.begin(seen, who, now, &mut news);
            self.go_on(id, seen, now, source, &mut news);
        }
        news
    }

    /// Takes in the resident set of a line between two whole looks.
    pub fn look_between(&mut self, id: LineId, resident: u64, now: Now, news: &mut News) {
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        let gauge = crate::model::host::Gauge::of(resident);
        line.gathered.resident.add(&gauge);
        spike(line, (resident, 0), now, news);
    }

    fn add_other(&mut self, seen: &Seen) {
        self.others.0 += 1;
        self.others.1 = self.others.1.saturating_add(seen.resident_bytes);
    }

    fn end(&mut self, process: (u32, u64)) {
        let Some(id) = self.by_process.remove(&process) else {
            return;
        };
        self.ended.insert(process, id);
        if let Some(line) = self.lines.get_mut(&id) {
            line.has_ended = true;
            line.gathered.ends = line.gathered.ends.saturating_add(1);
            line.judged.is_looking = false;
        }
    }

    /// A process that has a line already.
    fn go_on(
        &mut self,
        id: LineId,
        seen: &Seen,
        now: Now,
        source: &mut dyn Source,
        news: &mut News,
    ) {
        let mut status = std::mem::take(&mut self.status);
        status.resident = seen.resident_bytes;
        if source.status(seen.pid, &mut status)
            && let Some(line) = self.lines.get_mut(&id)
        {
            if std::mem::take(&mut line.has_ended) || line.who.executable.is_empty() {
                // Of a daemon before: what its history does not tell.
                line.who.executable = source.identity(seen.pid).executable;
            } else if line.status.name != status.name && !line.status.name.is_empty() {
                renamed(line, seen, source.identity(seen.pid), now, news);
            }
            let moved = line.status.resident.abs_diff(status.resident);
            let part = limit::at_least(limit::FAST_BYTES, limit::FAST_PART, status.resident);
            if line.status.resident > 0 && moved >= part {
                line.fast_looks = limit::FAST_LOOKS;
            } else {
                line.fast_looks = line.fast_looks.saturating_sub(1);
            }
            let had = line.trend.is_some();
            spike(line, (status.resident, status.peak), now, news);
            let is_young = now.boot_ns.saturating_sub(seen.start_time) < self.young_ns;
            line.look(&status, now, is_young);
            if let Some((_, trend)) = line.trend.filter(|_| !had) {
                news.events.push(Event {
                    at_ms: now.utc_ms,
                    line: Some(id),
                    what: Happening::Grows {
                        bytes_per_second: trend.per_second,
                    },
                });
            }
        }
        self.status = status;
    }

    /// A process without a line: that of one before it, or a new one.
    fn begin(&mut self, seen: &Seen, who: Identity, now: Now, news: &mut News) -> LineId {
        let key = (seen.pid, seen.start_time);
        let before = (self.lines.values())
            .filter(|line| line.has_ended && is_same(&line.who, &who))
            .filter(|line| seen.start_time > line.last_seen)
            .min_by_key(|line| (line.last_seen, line.id));
        let id = match before.map(|line| line.id) {
            Some(id) => id,
            None => line_id(&self.boot, seen.pid, seen.start_time),
        };
        if let Some(line) = self.lines.get_mut(&id) {
            self.by_process.remove(&(line.pid, line.start_time));
            // What never lives for long, as compilers, begins again all the time: counted, not
            // told.
            if line.last_seen.saturating_sub(line.start_time) >= self.young_ns {
                news.events.push(Event {
                    at_ms: now.utc_of(seen.start_time),
                    line: Some(id),
                    what: Happening::Restarted {
                        old_pid: line.pid,
                        new_pid: seen.pid,
                        resident_bytes: line.status.resident,
                    },
                });
            }
            line.who = who;
            line.status = Status::default();
            line.begin_again(seen.pid, seen.start_time);
        } else {
            let mut line = Line::new(id, who, seen.pid, seen.start_time);
            // Not of one that was there before anybody looked.
            let is_new = now.boot_ns.saturating_sub(seen.start_time) < self.young_ns;
            line.gathered.starts = u32::from(is_new);
            self.lines.insert(id, line);
        }
        self.by_process.insert(key, id);
        id
    }

    /// Lets lines go whose process has ended: those that nobody took over for long, and for
    /// want of room the oldest.
    fn make_room(&mut self, wanted: usize, now: Now) {
        let is_over = |line: &Line| {
            line.has_ended && now.boot_ns.saturating_sub(line.last_seen) > TAKEN_OVER_NS
        };
        self.lines.retain(|_, line| !is_over(line));
        let mut excess = (self.lines.len() + wanted).saturating_sub(LINES);
        if excess > 0 {
            let ended = self.lines.values().filter(|line| line.has_ended);
            let mut ended: Vec<(u64, LineId)> = ended.map(|it| (it.last_seen, it.id)).collect();
            ended.sort_unstable();
            for (_, id) in ended {
                if excess == 0 {
                    break;
                }
                self.lines.remove(&id);
                excess -= 1;
            }
        }
        let lines = &self.lines;
        self.by_process.retain(|_, id| lines.contains_key(id));
    }

    /// One that is much larger than the smallest line takes its room.
    fn replace_smallest(&mut self, seen: &Seen) -> bool {
        let smallest = self.lines.values().filter(|it| !it.judged.is_looking);
        let Some(smallest) = smallest.min_by_key(|it| (it.status.resident, it.id)) else {
            return false;
        };
        let key = (smallest.pid, smallest.start_time);
        let (id, bytes) = (smallest.id, smallest.status.resident);
        if seen.resident_bytes <= bytes.saturating_add(bytes / 4) {
            return false;
        }
        self.lines.remove(&id);
        self.by_process.remove(&key);
        true
    }
}

/// It has another name: it may run another program, or call itself otherwise.
fn renamed(line: &mut Line, seen: &Seen, who: Identity, now: Now, news: &mut News) {
    let is_other = who.executable != line.who.executable;
    line.who = who;
    if is_other {
        news.events.push(Event {
            at_ms: now.utc_ms,
            line: Some(line.id),
            what: Happening::Restarted {
                old_pid: seen.pid,
                new_pid: seen.pid,
                resident_bytes: line.status.resident,
            },
        });
        line.begin_again(seen.pid, seen.start_time);
    }
}

fn spike(line: &mut Line, (resident, mark): (u64, u64), now: Now, news: &mut News) {
    let outcome = line.spikes.look(resident, mark, line.memory.usual());
    if outcome.is_new_peak {
        news.peaks.push(line.id);
    }
    let Some(spike) = outcome.spike else {
        return;
    };
    if line
        .peak
        .as_ref()
        .is_none_or(|peak| peak.bytes <= spike.peak)
    {
        line.peak = Some(Peak {
            at_ms: now.utc_ms,
            bytes: spike.peak,
            usual_bytes: spike.usual,
            stacks: std::mem::take(&mut line.peak_stacks),
        });
    }
    news.events.push(Event {
        at_ms: now.utc_ms,
        line: Some(line.id),
        what: Happening::Spike {
            peak_bytes: spike.peak,
            usual_bytes: spike.usual,
        },
    });
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
