//! What must be the same however coarse the history is: sums.

use std::collections::BTreeMap;

use crate::model::host::{Gauge, Interval};

/// Sums over intervals, each under a name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<String, u128>);

impl Totals {
    pub fn of<'a>(intervals: impl IntoIterator<Item = &'a Interval>) -> Self {
        let mut totals = Self::default();
        for interval in intervals {
            totals.take(interval);
        }
        totals
    }

    fn add(&mut self, name: String, number: u64) {
        // What is nothing is not told apart from what is not there.
        if number > 0 {
            *self.0.entry(name).or_default() += u128::from(number);
        }
    }

    fn gauge(&mut self, name: &str, gauge: &Gauge) {
        self.add(format!("{name} sum"), gauge.sum);
        self.add(format!("{name} looks"), u64::from(gauge.looks));
    }

    fn take(&mut self, it: &Interval) {
        let host = &it.host;
        for (name, gauge) in [
            ("available", &host.available),
            ("anonymous", &host.anonymous),
            ("slab", &host.slab),
            ("processes", &it.others.processes),
            ("small", &it.others.resident),
        ] {
            self.gauge(name, gauge);
        }
        self.add("stalled".to_owned(), host.stalled_us);
        self.add("oom kills".to_owned(), host.oom_kills);
        self.add("starts".to_owned(), it.others.starts);
        self.add("ends".to_owned(), it.others.ends);
        for line in &it.lines {
            let name = |what: &str| format!("line {:x} {what}", line.line.0);
            self.gauge(&name("resident"), &line.resident);
            self.gauge(&name("swapped"), &line.swapped);
            self.gauge(&name("connections"), &line.connections);
            self.add(name("starts"), u64::from(line.starts));
            self.add(name("ends"), u64::from(line.ends));
            for (place, gauge) in &line.places {
                self.gauge(&name(&format!("{place:?}")), gauge);
            }
            for faulted in &line.faulted {
                let frames = it.stacks.get(&faulted.stack).map_or(0, Vec::len);
                let stack = name(&format!("stack {:x} of {frames}", faulted.stack));
                self.add(format!("{stack} bytes"), faulted.bytes);
                self.add(format!("{stack} samples"), faulted.samples);
            }
        }
        for group in &it.groups {
            self.gauge(&group.group, &group.memory);
            self.add(format!("{} oom kills", group.group), group.oom_kills);
        }
        for (what, count) in &it.losses {
            self.add(format!("lost {what}"), *count);
        }
        for event in &it.events {
            self.add(format!("event {event:?}"), 1);
        }
    }
}
