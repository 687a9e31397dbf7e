//! The verdict on a difference: which place of a process grew between two recordings,
//! by how much, whose doing it is, and how sure that is.
//!
//! Places are absolute, so they can be compared where windows cannot: what a process held
//! at least in the last third of each window. What it held in several processes of one
//! program is compared by the average process.

mod stacks;

use super::{
    Difference, Group, Row,
    levels::{Levels, levels},
};
use crate::{
    analyze::verdict::{thresholds as limit, words},
    model::{
        Report,
        trace_sockets::Queue,
        verdict::{Confidence, Kind, PlaceName, Verdict},
    },
};

/// What two recordings of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Likeness {
    /// They are of the same processes, so many seconds apart.
    Same(f64),
    /// Of two runs, of which both were seen in the same way for the same time.
    Runs,
    /// Of two runs, which were seen for another time or from another moment on.
    Unlike,
}

/// The verdicts on every group, most bytes first. [`Verdict::process`] is an index of
/// [`Difference::groups`].
#[must_use]
pub fn judge(difference: &Difference<'_>) -> Vec<Verdict> {
    let groups = difference.groups.iter().enumerate();
    let mut verdicts: Vec<Verdict> = groups
        .flat_map(|(index, group)| of(difference, index, group))
        .collect();
    verdicts.sort_by_key(|it| std::cmp::Reverse((it.kind.accuses(), it.bytes)));
    verdicts
}

/// One group and what is known of it.
struct Compared<'a, 'r> {
    difference: &'a Difference<'r>,
    index: usize,
    group: &'a Group<'r>,
    likeness: Likeness,
    before: Levels,
    after: Levels,
}

fn of(difference: &Difference<'_>, index: usize, group: &Group<'_>) -> Vec<Verdict> {
    let likeness = likeness(difference, group);
    let it = Compared {
        difference,
        index,
        group,
        likeness,
        before: levels(difference.before, &group.before),
        after: levels(difference.after, &group.after),
    };
    if let Some(reason) = it.refused() {
        let summary = format!("Not enough data: {reason}.");
        return vec![it.verdict(Kind::NotEnoughData, Confidence::High, 0, summary)];
    }
    let mut found: Vec<Verdict> = it
        .risen()
        .map(|(place, rise)| it.grown(place, rise))
        .collect();
    found.sort_by_key(|it| std::cmp::Reverse((it.confidence, it.bytes)));
    if found.is_empty() {
        found.push(it.nothing());
    }
    found
}

impl<'r> Compared<'_, 'r> {
    /// Why nothing can be said.
    fn refused(&self) -> Option<String> {
        if self.group.before.is_empty() || self.group.after.is_empty() {
            return Some("it is in one of the recordings only".to_owned());
        }
        if self.before.places.is_empty() || self.after.places.is_empty() {
            return Some("a recording does not tell what its memory did".to_owned());
        }
        match self.likeness {
            Likeness::Same(seconds) if seconds <= -limit::WINDOW_SECONDS => Some(
                "the second recording is the older one; compare them the other way round"
                    .to_owned(),
            ),
            Likeness::Same(seconds) if seconds < limit::WINDOW_SECONDS => Some(format!(
                "the recordings end {} apart, which is too little to tell",
                words::seconds(seconds.abs())
            )),
            _ => None,
        }
    }

    /// Less than that is noise.
    fn enough(&self, place: PlaceName) -> u64 {
        if place == PlaceName::Sockets {
            return limit::at_least(limit::QUEUE_BYTES, limit::QUEUE_PART, self.after.resident);
        }
        let part = match self.likeness {
            Likeness::Same(_) => limit::RISE_PART,
            Likeness::Runs | Likeness::Unlike => limit::RUNS_PART,
        };
        limit::at_least(limit::RISE_BYTES, part, self.before.resident)
    }

    /// Places that grew.
    fn risen(&self) -> impl Iterator<Item = (PlaceName, u64)> {
        // What cannot be told apart on one side is compared in one place on both.
        let is_walked = |levels: &Levels| levels.places.contains_key(&PlaceName::AllocatorLive);
        let is_apart = is_walked(&self.before) == is_walked(&self.after);
        let pairs = self.after.places.iter().filter_map(move |(place, after)| {
            let before = self.before.places.get(place)?;
            Some((*place, after.saturating_sub(*before)))
        });
        let apart = pairs.filter(move |(place, _)| {
            is_apart
                || matches!(
                    place,
                    PlaceName::Files | PlaceName::Shared | PlaceName::Sockets
                )
        });
        let whole = self.after.own.saturating_sub(self.before.own);
        let together = (!is_apart).then_some((PlaceName::OtherAnonymous, whole));
        apart
            .chain(together)
            .filter(|(place, rise)| *rise >= self.enough(*place))
    }

    fn grown(&self, place: PlaceName, rise: u64) -> Verdict {
        let kind = self.kind(place, rise);
        let mut verdict = self.verdict(kind, self.confidence(kind), rise, String::new());
        let rate = match self.likeness {
            Likeness::Same(seconds) => {
                verdict.bytes_per_second = rise as f64 / seconds;
                format!(", {}", words::rate(verdict.bytes_per_second))
            }
            _ => String::new(),
        };
        let between = match self.likeness {
            Likeness::Same(seconds) => format!("within {}", words::seconds(seconds)),
            _ => "than in the first run".to_owned(),
        };
        verdict.summary = format!(
            "{} grew: {} more {between}{rate}.",
            name(place, kind),
            words::bytes(rise)
        );
        verdict.evidence = self.evidence(place);
        verdict.would_change = self.would_change(kind);
        verdict.advice = vec![advice(kind).to_owned()];
        verdict.stacks = self.stacks(place, kind);
        verdict
    }

    fn kind(&self, place: PlaceName, rise: u64) -> Kind {
        let says = |kind| {
            let own = |id: u32| self.group.after.iter().any(|it| it.id == id);
            let mut verdicts = self.difference.after.verdicts.iter();
            verdicts.any(|it| it.kind == kind && own(it.process))
        };
        let growth = self.difference.after.growth.iter();
        let mut growth = growth.filter(|it| self.group.after.iter().any(|p| p.id == it.process));
        let live = |bytes: u64| match says(Kind::Backlog) {
            _ if bytes < rise / 2 => None,
            true => Some(Kind::Backlog),
            false => Some(Kind::Leak),
        };
        match place {
            PlaceName::AllocatorLive => live(rise).unwrap_or(Kind::Leak),
            PlaceName::Retained => Kind::Retention,
            PlaceName::Pinned => Kind::Fragmentation,
            PlaceName::OtherAnonymous if growth.any(|it| it.runtime.as_deref() == Some("V8")) => {
                Kind::JsHeap
            }
            // Where the allocator cannot be walked its blocks are in there.
            PlaceName::OtherAnonymous => {
                let blocks = self.blocks();
                let bytes = blocks.iter().map(|it| it.0).fold(0, u64::saturating_add);
                let is_known = self.after.places.contains_key(&PlaceName::AllocatorLive);
                let leak = if is_known { None } else { live(bytes) };
                leak.unwrap_or(Kind::Mapping)
            }
            PlaceName::Files | PlaceName::Shared => Kind::Mapping,
            PlaceName::Sockets => match self.fullest_queue() {
                Some(Queue::Receive) => Kind::ReceiveBuffer,
                Some(Queue::Accept) => Kind::AcceptQueue,
                Some(Queue::Orphan) => Kind::Orphan,
                Some(Queue::Send) | None => Kind::SendBuffer,
            },
        }
    }

    /// How sure: what makes the two unlike makes it less so.
    fn confidence(&self, kind: Kind) -> Confidence {
        let is_seen_in = |report: &Report, processes: &[&crate::model::Process]| {
            let own = |id: u32| processes.iter().any(|it| it.id == id);
            report
                .verdicts
                .iter()
                .any(|it| it.kind == kind && own(it.process))
        };
        let is_seen = is_seen_in(self.difference.after, &self.group.after);
        let is_young = self.uptime().is_some_and(|it| it < limit::WARM_SECONDS);
        let numbers = (self.group.before.len(), self.group.after.len());
        match self.likeness {
            Likeness::Unlike => Confidence::Low,
            _ if numbers.0 != numbers.1 => Confidence::Low,
            // Grown in the second window too: it goes on, and is no warm-up.
            Likeness::Same(_) if is_seen => Confidence::High,
            Likeness::Same(_) if is_young => Confidence::Low,
            Likeness::Same(_) => Confidence::Medium,
            Likeness::Runs if is_seen => Confidence::Medium,
            Likeness::Runs => Confidence::Low,
        }
    }

    /// How long the youngest process ran before the first window, s; `None`: not known, or
    /// it was traced from its start.
    fn uptime(&self) -> Option<f64> {
        let start = self.difference.before.window.start_monotonic_ns;
        let ages = self
            .group
            .before
            .iter()
            .map(|it| start.saturating_sub(it.start_time));
        ages.min().map(|ns| ns as f64 / 1e9)
    }

    fn evidence(&self, place: PlaceName) -> Vec<String> {
        let (before, after) = (&self.before, &self.after);
        let of = |levels: &Levels| match levels.places.get(&place) {
            Some(bytes) => *bytes,
            None => levels.own,
        };
        let mut evidence = vec![format!(
            "It held at least {} in the last third of the first window, {} in that of the second; \
             all of the process's own memory was {} and {}.",
            words::bytes(of(before)),
            words::bytes(of(after)),
            words::bytes(before.own),
            words::bytes(after.own)
        )];
        let (old, new) = (self.group.before.len(), self.group.after.len());
        if old.max(new) > 1 {
            evidence.push(format!(
                "Figures are of the average process: {old} in the first recording, {new} in the second."
            ));
        }
        evidence
    }

    fn would_change(&self, kind: Kind) -> Vec<String> {
        let mut sentences = Vec::new();
        match self.likeness {
            Likeness::Same(_) => {
                if let Some(seconds) = self.uptime().filter(|it| *it < limit::WARM_SECONDS) {
                    sentences.push(format!(
                        "The process was {} old when the first recording began: it may have been warming up.",
                        words::seconds(seconds)
                    ));
                }
                if matches!(kind, Kind::Leak | Kind::JsHeap | Kind::Mapping) {
                    sentences.push("A cache that filled up between the two, or a heap that was not collected, looks the same: a third recording tells.".to_owned());
                }
            }
            Likeness::Runs => sentences.push(
                "Two runs differ by more than their code: by load, and by chance. Compare each with another of its kind.".to_owned(),
            ),
            Likeness::Unlike => sentences.push(
                "The two were not seen for the same time from the same moment on: trace both alike.".to_owned(),
            ),
        }
        sentences
    }

    fn nothing(&self) -> Verdict {
        let (before, after) = (self.before.own, self.after.own);
        let change = i64::try_from(i128::from(after) - i128::from(before)).unwrap_or(0);
        let summary = format!(
            "Healthy: no place grew by {} or more; all of its own memory by {}.",
            words::bytes(self.enough(PlaceName::AllocatorLive)),
            words::growth(change)
        );
        let mut verdict = self.verdict(Kind::Healthy, Confidence::Medium, 0, summary);
        verdict.would_change =
            vec!["What grows slowly takes recordings that are farther apart.".to_owned()];
        verdict
    }

    fn verdict(&self, kind: Kind, confidence: Confidence, bytes: u64, summary: String) -> Verdict {
        let index = u32::try_from(self.index).unwrap_or(u32::MAX);
        Verdict::new(kind, index, confidence, bytes, summary)
    }
}

fn likeness(difference: &Difference<'_>, group: &Group<'_>) -> Likeness {
    let (before, after) = (difference.before, difference.after);
    let (one, other) = (&before.window, &after.window);
    let is_in_both = |it: &&crate::model::Process| {
        let same = |other: &&crate::model::Process| {
            (it.pid, it.start_time) == (other.pid, other.start_time)
        };
        group.after.iter().any(same)
    };
    if before.host.boot_id == after.host.boot_id && group.before.iter().all(is_in_both) {
        // Both ends are of the same clock.
        let apart = other.end_monotonic_ns as f64 - one.end_monotonic_ns as f64;
        return Likeness::Same(apart / 1e9);
    }
    let (short, long) = (
        one.seconds.min(other.seconds),
        one.seconds.max(other.seconds),
    );
    if one.from_start == other.from_start && short >= long * limit::ALIKE {
        Likeness::Runs
    } else {
        Likeness::Unlike
    }
}

const fn name(place: PlaceName, kind: Kind) -> &'static str {
    match place {
        PlaceName::AllocatorLive => "Live blocks",
        PlaceName::Retained => "Free memory on whole pages that the allocator keeps",
        PlaceName::Pinned => "Free memory on pages that live blocks pin",
        PlaceName::OtherAnonymous => match kind {
            Kind::JsHeap => "The JS heap",
            Kind::Leak | Kind::Backlog => "Live blocks",
            _ => "Mappings",
        },
        PlaceName::Files => "Pages of files",
        PlaceName::Shared => "Shared memory",
        PlaceName::Sockets => "Kernel socket buffers",
    }
}

const fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::Leak => "Free what these stacks allocate, or bound what keeps it.",
        Kind::Fragmentation => {
            "Another allocator (jemalloc, with background_thread:true), or lifetimes kept apart."
        }
        Kind::Retention => {
            "malloc_trim after peaks, MALLOC_ARENA_MAX=2, or jemalloc with background_thread:true."
        }
        Kind::JsHeap => {
            "A heap snapshot of each time tells what keeps the objects; --max-old-space-size bounds them."
        }
        Kind::Backlog => "Stop writing when peers do not read; close those who stay behind.",
        Kind::Mapping => "Unmap what these stacks map.",
        _ => "`memtrace sockets` names the peers and what holds them up.",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
