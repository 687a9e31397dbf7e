//! A program's places over time, from the history, as the timeline of `report.html` draws them.

use super::{past::parts, range::Range};
use crate::model::{
    host::{Event, Gauge, Interval, LineId, LineInterval},
    verdict::PlaceName,
};
use crate::render::host::happened::sentence;
use crate::render::{
    html::{
        events,
        timeline::{Layer, Timeline},
    },
    words,
};

/// Moments that are drawn; of more intervals neighbours are taken together.
const MOMENTS: usize = 240;
/// Marks on the picture; more could not be told apart.
const MARKS: usize = 20;
/// Intervals follow each other; what is missing between two is a gap from here.
const GAP_MS: u64 = 2_000;

/// Places in the order in which they stand upon each other, with name and class.
const PLACES: [(PlaceName, &str, &str); 7] = [
    (PlaceName::AllocatorLive, "allocator, live", "live"),
    (
        PlaceName::Pinned,
        "free on pinned pages (fragmentation)",
        "pinned",
    ),
    (
        PlaceName::Retained,
        "free on whole pages (retention)",
        "retained",
    ),
    (
        PlaceName::OtherAnonymous,
        "own memory (allocator, JS heap, stacks)",
        "other",
    ),
    (PlaceName::Files, "files", "files"),
    (PlaceName::Shared, "shared memory", "shared"),
    (
        PlaceName::Sockets,
        "socket memory (the kernel's)",
        "sockets",
    ),
];

/// Neighbouring intervals, taken together.
struct Stretch {
    start_ms: u64,
    end_ms: u64,
    resident: Gauge,
    places: Vec<Gauge>,
}

impl Stretch {
    fn of(&(start_ms, end_ms, part): &(u64, u64, &LineInterval)) -> Self {
        let place = |(name, _, _): &(PlaceName, _, _)| part.places.get(name).copied();
        Self {
            start_ms,
            end_ms,
            resident: part.resident,
            places: (PLACES.iter())
                .map(|it| place(it).unwrap_or_default())
                .collect(),
        }
    }

    fn add(&mut self, later: &Self) {
        self.end_ms = later.end_ms;
        self.resident.add(&later.resident);
        for (place, later) in self.places.iter_mut().zip(&later.places) {
            place.add(later);
        }
    }
}

/// Nothing, where the history has nothing of it.
pub fn timeline(intervals: &[Interval], line: LineId, range: Range) -> Option<Timeline> {
    let parts = parts(intervals, line);
    let stretches = stretches(&parts);
    let (first, last) = (stretches.first()?, stretches.last()?);
    let second = |ms: u64| ms.saturating_sub(range.from_ms) as f64 / 1000.0;
    let mut gaps = vec![(range.from_ms, first.start_ms)];
    for (before, after) in stretches.iter().zip(stretches.iter().skip(1)) {
        gaps.push((before.end_ms, after.start_ms));
    }
    gaps.push((last.end_ms, range.to_ms));
    gaps.retain(|(from, to)| to.saturating_sub(*from) > GAP_MS);
    let window = second(range.to_ms);
    // At a stretch's middle; at its ends too where nothing stands beside it, so that what is
    // drawn ends where the gap begins.
    let mut moments: Vec<(f64, Option<&Stretch>)> = Vec::new();
    for stretch in &stretches {
        let (from, to) = (second(stretch.start_ms), second(stretch.end_ms));
        if gaps.iter().any(|gap| gap.1 == stretch.start_ms) {
            moments.extend([(from, None), (from, Some(stretch))]);
        }
        moments.push((f64::midpoint(from, to).min(window), Some(stretch)));
        if gaps.iter().any(|gap| gap.0 == stretch.end_ms) || std::ptr::eq(stretch, last) {
            moments.extend([(to.min(window), Some(stretch)), (to.min(window), None)]);
        }
    }
    let at = |of: &dyn Fn(&Stretch) -> u64| -> Vec<u64> {
        (moments.iter()).map(|(_, it)| it.map_or(0, of)).collect()
    };
    let layers = PLACES
        .iter()
        .enumerate()
        .map(|(number, (_, label, class))| {
            let place = |it: &Stretch| it.places.get(number).copied().unwrap_or_default();
            Layer {
                label,
                class,
                bytes: at(&|it| place(it).mean()),
                ends: (place(first).mean(), place(last).mean()),
                most: stretches.iter().map(|it| place(it).max).max().unwrap_or(0),
            }
        });
    Some(Timeline {
        window,
        layers: layers.filter(|it| it.most > 0).collect(),
        live: Vec::new(),
        resident: at(&|it| it.resident.max),
        resident_ends: (first.resident.mean(), last.resident.mean()),
        resident_label: "line: the most that was resident",
        how: how(parts.len(), stretches.len()),
        events: marks(intervals, line, range),
        clock_ms: Some(range.from_ms),
        gaps: gaps.iter().map(|it| (second(it.0), second(it.1))).collect(),
        seconds: moments.iter().map(|it| it.0).collect(),
    })
}

fn how(parts: usize, stretches: usize) -> String {
    let parts = words::counted(parts as u64, "interval");
    match stretches {
        0 | 1 => format!("{parts} of the history. "),
        stretches => format!(
            "{parts} of the history in {}: the mean of each place, straight lines between them. ",
            words::counted(stretches as u64, "group")
        ),
    }
}

fn stretches(parts: &[(u64, u64, &LineInterval)]) -> Vec<Stretch> {
    let together = parts.len().div_ceil(MOMENTS).max(1);
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut taken = 0;
    for part in parts {
        let part = Stretch::of(part);
        match stretches.last_mut() {
            Some(last)
                if taken < together && part.start_ms.saturating_sub(last.end_ms) <= GAP_MS =>
            {
                last.add(&part);
                taken += 1;
            }
            _ => {
                stretches.push(part);
                taken = 1;
            }
        }
    }
    stretches
}

/// What happened to it, the newest where there are too many to mark.
fn marks(intervals: &[Interval], line: LineId, range: Range) -> Vec<events::Event> {
    let own =
        |it: &&Event| it.line == Some(line) && (range.from_ms..range.to_ms).contains(&it.at_ms);
    let all: Vec<&Event> = (intervals.iter().flat_map(|it| &it.events))
        .filter(own)
        .collect();
    let skipped = all.len().saturating_sub(MARKS);
    let marks = all.into_iter().skip(skipped).map(|it| events::Event {
        seconds: it.at_ms.saturating_sub(range.from_ms) as f64 / 1000.0,
        text: sentence(&it.what),
    });
    marks.collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn interval(start_ms: u64, end_ms: u64, resident: Gauge) -> Interval {
        let part = LineInterval {
            line: LineId(1),
            resident,
            places: [(PlaceName::OtherAnonymous, resident)].into(),
            ..LineInterval::default()
        };
        Interval {
            start_ms,
            end_ms,
            lines: vec![part],
            ..Interval::default()
        }
    }

    /// Where the history has nothing the picture says so, and draws no line across.
    #[test]
    fn gaps_are_gaps() {
        let second = 1000;
        let intervals = [
            interval(10 * second, 20 * second, Gauge::of(5)),
            interval(20 * second, 30 * second, Gauge::of(7)),
            interval(60 * second, 70 * second, Gauge::of(9)),
        ];
        let range = Range {
            from_ms: 0,
            to_ms: 100 * second,
        };
        let timeline = timeline(&intervals, LineId(1), range).unwrap();
        assert_eq!(timeline.gaps, [(0.0, 10.0), (30.0, 60.0), (70.0, 100.0)]);
        let drawn: Vec<(f64, u64)> = (timeline.seconds.iter().copied())
            .zip(timeline.resident)
            .collect();
        assert_eq!(
            drawn,
            [
                (10.0, 0),
                (10.0, 5),
                (15.0, 5),
                (25.0, 7),
                (30.0, 7),
                (30.0, 0),
                (60.0, 0),
                (60.0, 9),
                (65.0, 9),
                (70.0, 9),
                (70.0, 0)
            ]
        );
    }

    /// However long the history, few moments are drawn, and the highest mark is among them.
    #[test]
    fn keeps_the_most() {
        let intervals: Vec<Interval> = (0..60_480_u64)
            .map(|it| {
                let bytes = if it == 33_333 { 1000 } else { 10 };
                interval(it * 10_000, (it + 1) * 10_000, Gauge::of(bytes))
            })
            .collect();
        let range = Range {
            from_ms: 0,
            to_ms: 604_800_000,
        };
        let timeline = timeline(&intervals, LineId(1), range).unwrap();
        assert!(timeline.seconds.len() <= MOMENTS + 4);
        assert_eq!(timeline.resident.iter().max(), Some(&1000));
        assert_eq!(timeline.layers.first().unwrap().most, 1000);
        assert!(timeline.gaps.is_empty());
    }
}
