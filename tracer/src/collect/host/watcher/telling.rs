//! What the history keeps, and what is shown.

use std::{collections::BTreeMap, sync::Arc};

use super::Watcher;
use crate::{
    collect::host::{
        faulted::frames,
        line::{Line, Now},
        own, view,
    },
    model::host::{Gauge, Interval, Others, OwnCost, View},
};

impl Watcher {
    /// Ends the interval that is under way, and gives it to the history.
    pub(super) fn keep_interval(&mut self, now: Now) {
        let (starts, ends) = self.tasks;
        let passed = now.boot_ns.saturating_sub(self.began.boot_ns) / 1_000_000;
        let mut lines: Vec<_> = (self.lines.all_mut())
            .filter(|line| !line.has_ended || line.gathered.ends > 0)
            .map(Line::interval)
            .collect();
        lines.sort_by_key(|it| (std::cmp::Reverse(it.resident.last), it.line));
        let stacks = lines.iter().flat_map(|it| &it.faulted).map(|it| it.stack);
        let stacks = match self.faults.as_deref_mut() {
            Some(source) => frames(source, stacks),
            None => BTreeMap::new(),
        };
        let mut events = std::mem::take(&mut self.events);
        events.sort_by_key(|event| event.at_ms);
        let gauge = Gauge::of;
        let interval = Interval {
            start_ms: now.utc_ms.saturating_sub(passed),
            end_ms: now.utc_ms,
            host: self.host,
            lines,
            others: Others {
                processes: gauge(self.lines.others.0),
                resident: gauge(self.lines.others.1),
                starts,
                ends,
            },
            groups: self.groups.intervals(),
            stacks,
            events,
            losses: std::mem::take(&mut self.losses_now),
        };
        self.began = now;
        if let Err(error) = self.history.append(&interval) {
            self.lose(&format!("intervals that could not be kept: {error}"), 1);
        }
    }

    pub(super) fn show(&mut self, now: Now) {
        let mut lines: Vec<_> = (self.lines.living())
            .map(|line| view::line(line, now))
            .collect();
        view::sort(&mut lines);
        let mut losses = self.losses.clone();
        let (mut probes, mut map_bytes) = (0.0, 0);
        if let Some(source) = &self.faults {
            probes = source.cost();
            map_bytes = source.map_bytes();
        }
        if let Some(lost) = &self.lost_elsewhere {
            losses.extend(lost());
        }
        let mut gaps = self.gaps.clone();
        gaps.extend(self.faults.iter().flat_map(|source| source.notes()));
        gaps.extend(self.socket_notes.iter().cloned());
        let view = View {
            at_ms: now.utc_ms,
            host_name: host_name(),
            host: self.host,
            lines,
            other_processes: self.lines.others.0,
            other_bytes: self.lines.others.1,
            groups: self.groups.view(),
            events: self.shown_events.iter().cloned().collect(),
            own: OwnCost {
                cpu: self.own.share(now),
                probes: probes + self.closer.probes_share(now),
                resident_bytes: own::resident(),
                map_bytes,
                history_bytes: self.history.bytes(),
            },
            gaps,
            losses,
        };
        self.shown.send_replace(Arc::new(view));
    }
}

fn host_name() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}
