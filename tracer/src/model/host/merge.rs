//! Two stretches of time become one, as the history ages.

use std::collections::{BTreeMap, HashMap};

use super::{
    FaultedStack, Gauge, GroupInterval, HostMemory, Interval, LineId, LineInterval, Others,
};

impl Interval {
    /// Takes in what was written later. Sums, looks, least and most are kept; events follow
    /// each other, losses add up, a stack that both tell of is as the later one names it.
    /// Which look was when is not kept: that is what makes it smaller.
    pub fn merge(&mut self, later: Self) {
        self.start_ms = self.start_ms.min(later.start_ms);
        self.end_ms = self.end_ms.max(later.end_ms);
        self.host.merge(&later.host);
        self.merge_lines(later.lines);
        self.others.merge(&later.others);
        self.merge_groups(later.groups);
        self.stacks.extend(later.stacks);
        self.events.extend(later.events);
        for (what, count) in later.losses {
            let sum = self.losses.entry(what).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    fn merge_lines(&mut self, later: Vec<LineInterval>) {
        let known: HashMap<LineId, usize> = (self.lines.iter().enumerate())
            .map(|(place, line)| (line.line, place))
            .collect();
        for line in later {
            let place = known.get(&line.line).copied();
            match place.and_then(|place| self.lines.get_mut(place)) {
                Some(known) => known.merge(line),
                None => self.lines.push(line),
            }
        }
        // Largest last: the order in which an interval has them. Stable, and so the same again.
        (self.lines).sort_by_key(|line| std::cmp::Reverse(line.resident.last));
    }

    fn merge_groups(&mut self, later: Vec<GroupInterval>) {
        let known: HashMap<String, usize> = (self.groups.iter().enumerate())
            .map(|(place, group)| (group.group.clone(), place))
            .collect();
        for group in later {
            let place = known.get(&group.group).copied();
            match place.and_then(|place| self.groups.get_mut(place)) {
                Some(known) => known.merge(group),
                None => self.groups.push(group),
            }
        }
    }
}

impl HostMemory {
    /// As [`Interval::merge`].
    pub fn merge(&mut self, later: &Self) {
        if later.total_bytes > 0 {
            self.total_bytes = later.total_bytes;
        }
        self.available.add(&later.available);
        self.anonymous.add(&later.anonymous);
        self.slab.add(&later.slab);
        self.swapped.add(&later.swapped);
        self.sockets.add(&later.sockets);
        self.stalled_us = self.stalled_us.saturating_add(later.stalled_us);
        self.oom_kills = self.oom_kills.saturating_add(later.oom_kills);
    }
}

impl LineInterval {
    /// As [`Interval::merge`]; who it is, is as it was last.
    pub fn merge(&mut self, later: Self) {
        self.name = later.name;
        self.group = later.group;
        self.pid = later.pid;
        self.start_time = later.start_time;
        self.resident.add(&later.resident);
        for (place, gauge) in later.places {
            self.places.entry(place).or_default().add(&gauge);
        }
        self.swapped.add(&later.swapped);
        self.peak_bytes = self.peak_bytes.max(later.peak_bytes);
        self.connections.add(&later.connections);
        self.starts = self.starts.saturating_add(later.starts);
        self.ends = self.ends.saturating_add(later.ends);
        merge_faulted(&mut self.faulted, &later.faulted);
    }
}

/// Sums by stack, largest first.
fn merge_faulted(faulted: &mut Vec<FaultedStack>, later: &[FaultedStack]) {
    if later.is_empty() {
        return;
    }
    let mut sums: BTreeMap<u64, FaultedStack> = BTreeMap::new();
    for one in faulted.iter().chain(later) {
        let sum = sums.entry(one.stack).or_insert(FaultedStack {
            stack: one.stack,
            ..FaultedStack::default()
        });
        sum.bytes = sum.bytes.saturating_add(one.bytes);
        sum.samples = sum.samples.saturating_add(one.samples);
    }
    *faulted = sums.into_values().collect();
    faulted.sort_by_key(|one| std::cmp::Reverse(one.bytes));
}

impl Others {
    /// As [`Interval::merge`].
    pub fn merge(&mut self, later: &Self) {
        self.processes.add(&later.processes);
        self.resident.add(&later.resident);
        self.starts = self.starts.saturating_add(later.starts);
        self.ends = self.ends.saturating_add(later.ends);
    }
}

impl GroupInterval {
    /// As [`Interval::merge`]; name and limit are as they were last.
    pub fn merge(&mut self, later: Self) {
        self.container = later.container.or_else(|| self.container.take());
        let gauges: [(&mut Gauge, &Gauge); 4] = [
            (&mut self.memory, &later.memory),
            (&mut self.anonymous, &later.anonymous),
            (&mut self.file, &later.file),
            (&mut self.sockets, &later.sockets),
        ];
        for (gauge, later) in gauges {
            gauge.add(later);
        }
        self.limit_bytes = later.limit_bytes;
        self.oom_kills = self.oom_kills.saturating_add(later.oom_kills);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::verdict::PlaceName;

    fn line(id: u64, resident: u64, faulted: &[(u64, u64)]) -> LineInterval {
        LineInterval {
            line: LineId(id),
            name: format!("program {id}"),
            resident: Gauge::of(resident),
            places: [(PlaceName::Files, Gauge::of(resident / 2))].into(),
            peak_bytes: resident + 1,
            starts: 1,
            faulted: (faulted.iter())
                .map(|&(stack, bytes)| FaultedStack {
                    stack,
                    bytes,
                    samples: 1,
                })
                .collect(),
            ..LineInterval::default()
        }
    }

    /// What is summed is summed, by line and by stack; a line that only one of both has stays
    /// as it was; the order is that of the last resident sets.
    #[test]
    fn merges_by_line_and_stack() {
        let mut first = Interval {
            start_ms: 10,
            end_ms: 20,
            lines: vec![line(1, 100, &[(7, 40), (8, 30)]), line(2, 50, &[])],
            losses: [("a".to_owned(), 2)].into(),
            ..Interval::default()
        };
        first.merge(Interval {
            start_ms: 20,
            end_ms: 30,
            lines: vec![line(3, 300, &[]), line(1, 60, &[(8, 50), (0, 1)])],
            losses: [("a".to_owned(), 3), ("b".to_owned(), 1)].into(),
            ..Interval::default()
        });
        assert_eq!((first.start_ms, first.end_ms), (10, 30));
        let order: Vec<u64> = first.lines.iter().map(|it| it.line.0).collect();
        assert_eq!(order, [3, 1, 2]);
        let one = &first.lines[1];
        let resident = Gauge {
            min: 60,
            max: 100,
            last: 60,
            sum: 160,
            looks: 2,
        };
        assert_eq!(
            (one.resident, one.starts, one.peak_bytes),
            (resident, 2, 101)
        );
        assert_eq!(one.places[&PlaceName::Files].sum, 80);
        let faulted: Vec<(u64, u64, u64)> = (one.faulted.iter())
            .map(|it| (it.stack, it.bytes, it.samples))
            .collect();
        assert_eq!(faulted, [(8, 80, 2), (7, 40, 1), (0, 1, 1)]);
        assert_eq!(
            first.losses,
            [("a".to_owned(), 5), ("b".to_owned(), 1)].into()
        );
    }
}
