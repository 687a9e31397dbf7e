//! One program's part of the history.

use std::collections::{BTreeMap, BTreeSet};

use super::range::Range;
use crate::model::{
    Frame,
    host::{Interval, LineId, LineInterval},
};

/// Leaves of an interval only what is about a line: so of a long stretch no more is held
/// than is drawn.
pub fn keep_only(interval: &mut Interval, line: LineId) {
    interval.lines.retain(|it| it.line == line);
    let own = interval.lines.first();
    let group = own.map(|it| it.group.clone()).unwrap_or_default();
    let faulted = own.into_iter().flat_map(|it| &it.faulted);
    let stacks: BTreeSet<u64> = faulted.map(|it| it.stack).collect();
    interval.groups.retain(|it| it.group == group);
    interval.stacks.retain(|stack, _| stacks.contains(stack));
    interval.events.retain(|it| it.line == Some(line));
}

/// The line's part of each interval that has one, with its ends.
pub fn parts(intervals: &[Interval], line: LineId) -> Vec<(u64, u64, &LineInterval)> {
    let parts = intervals.iter().filter_map(|interval| {
        let part = interval.lines.iter().find(|it| it.line == line)?;
        (interval.end_ms > interval.start_ms).then_some((interval.start_ms, interval.end_ms, part))
    });
    parts.collect()
}

/// What the history has of a stretch: intervals that reach over its ends are in it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// From the first one's beginning to the last one's end.
    pub range: Range,
    /// How much of that is known.
    pub ms: u64,
}

/// Nothing, where there is no interval.
pub fn covered(intervals: &[Interval]) -> Option<Covered> {
    let length = |it: &Interval| it.end_ms.saturating_sub(it.start_ms);
    Some(Covered {
        range: Range {
            from_ms: intervals.iter().map(|it| it.start_ms).min()?,
            to_ms: intervals.iter().map(|it| it.end_ms).max()?,
        },
        ms: (intervals.iter().map(length)).fold(0, u64::saturating_add),
    })
}

/// What a stack brought in over several intervals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faulted<'a> {
    /// Innermost first; empty: no stack could be taken.
    pub frames: &'a [Frame],
    /// Estimated.
    pub bytes: u64,
    /// Page faults that this is made from.
    pub samples: u64,
}

/// Whose page faults made a line larger, over all of the intervals; most first.
#[must_use]
pub fn stacks(intervals: &[Interval], line: LineId) -> Vec<Faulted<'_>> {
    let mut sums: BTreeMap<u64, Faulted<'_>> = BTreeMap::new();
    for interval in intervals {
        let own = interval.lines.iter().filter(|it| it.line == line);
        for faulted in own.flat_map(|it| &it.faulted) {
            let sum = sums.entry(faulted.stack).or_default();
            sum.bytes = sum.bytes.saturating_add(faulted.bytes);
            sum.samples = sum.samples.saturating_add(faulted.samples);
            if let Some(frames) = interval.stacks.get(&faulted.stack) {
                sum.frames = frames;
            }
        }
    }
    let mut stacks: Vec<Faulted<'_>> = sums.into_values().collect();
    stacks.sort_by_key(|it| std::cmp::Reverse(it.bytes));
    stacks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::host::{Event, FaultedStack, Gauge, GroupInterval, Happening};

    fn interval(start_ms: u64, bytes: &[(u64, u64)]) -> Interval {
        let frame = |number: u64| Frame {
            offset: number,
            ..Frame::default()
        };
        let faulted = bytes.iter().map(|(stack, bytes)| FaultedStack {
            stack: *stack,
            bytes: *bytes,
            samples: 1,
        });
        let line = |number, faulted| LineInterval {
            line: LineId(number),
            group: format!("/{number}"),
            resident: Gauge::of(number),
            faulted,
            ..LineInterval::default()
        };
        let event = |line| Event {
            at_ms: start_ms,
            line,
            what: Happening::LookBegan,
        };
        let group = |number: u64| GroupInterval {
            group: format!("/{number}"),
            ..GroupInterval::default()
        };
        Interval {
            start_ms,
            end_ms: start_ms + 10,
            lines: vec![line(2, Vec::new()), line(1, faulted.collect())],
            stacks: (1..4).map(|it| (it, vec![frame(it)])).collect(),
            events: vec![event(None), event(Some(LineId(1))), event(Some(LineId(2)))],
            groups: vec![group(1), group(2)],
            ..Interval::default()
        }
    }

    /// Bytes and samples of one stack add up over intervals, of a stack that could not be taken
    /// too; what other lines did is not in it.
    #[test]
    fn sums_by_stack() {
        let intervals = [
            interval(0, &[(1, 100), (0, 7)]),
            interval(10, &[(2, 500), (1, 50)]),
        ];
        let stacks = stacks(&intervals, LineId(1));
        let told: Vec<_> = (stacks.iter())
            .map(|it| (it.frames.first().map(|it| it.offset), it.bytes, it.samples))
            .collect();
        assert_eq!(told, [(Some(2), 500, 1), (Some(1), 150, 2), (None, 7, 1)]);
        assert!(super::stacks(&intervals, LineId(2)).is_empty());
    }

    /// What is known of a stretch is what its intervals last, not what lies between them.
    #[test]
    fn gaps_are_not_covered() {
        let intervals = [interval(100, &[]), interval(110, &[]), interval(500, &[])];
        let whole = Covered {
            range: Range {
                from_ms: 100,
                to_ms: 510,
            },
            ms: 30,
        };
        assert_eq!(covered(&intervals), Some(whole));
        assert_eq!(covered(&[]), None);
    }

    /// What is kept of an interval for one line is all of it and nothing of others.
    #[test]
    fn keeps_one_line() {
        let whole = interval(0, &[(1, 100), (3, 7)]);
        let mut kept = whole.clone();
        keep_only(&mut kept, LineId(1));
        assert_eq!(kept.lines, whole.lines.get(1..).unwrap_or_default());
        assert_eq!(kept.stacks.keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(kept.events.len(), 1);
        assert_eq!(kept.groups.len(), 1);
        assert_eq!(stacks(&[kept], LineId(1)), stacks(&[whole], LineId(1)));
    }
}
