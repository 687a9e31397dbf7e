use super::*;
use crate::model::host::Gauge;

fn interval(number: u64, lines: Vec<LineInterval>) -> Interval {
    Interval {
        start_ms: number * 10_000,
        end_ms: (number + 1) * 10_000,
        lines,
        ..Interval::default()
    }
}

fn line(id: u64, name: &str, resident: u64) -> LineInterval {
    LineInterval {
        line: LineId(id),
        name: name.to_owned(),
        group: format!("/system.slice/{name}.service"),
        pid: id as u32,
        resident: Gauge::of(resident),
        peak_bytes: 5000,
        ..LineInterval::default()
    }
}

/// What grew most comes first; a mark from before the time is no peak of it.
#[test]
fn tells_what_grew() {
    let mut past = Past::default();
    for number in 0..30 {
        let mut grows = line(1, "leak", 1000 + number * 100);
        grows.faulted = vec![FaultedStack {
            stack: 7,
            bytes: 90,
            samples: 1,
        }];
        let mut spikes = line(2, "spike", 3000);
        if number >= 10 {
            spikes.peak_bytes = 9000;
        }
        let mut interval = interval(number, vec![grows, spikes]);
        interval.stacks.insert(7, vec![Frame::default()]);
        past.take(interval);
    }
    let lines = past.by_growth();
    let told: Vec<_> = (lines.iter())
        .map(|(id, it)| {
            (
                id.0,
                it.troughs(),
                it.growth(),
                it.peak_bytes,
                it.faulted_bytes(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, (1000, 3000), 2000, 3900, 2700),
            (2, (3000, 3000), 0, 9000, 0)
        ]
    );
    assert_eq!(
        (past.intervals, past.start_ms, past.end_ms),
        (30, 0, 300_000)
    );
}

/// A filter leaves the lines of a program, a process or a group, with what belongs to them.
#[test]
fn filters() {
    let names = |process: Option<&str>, group: Option<&str>| {
        let filter = Filter {
            process: process.map(str::to_owned),
            group: group.map(str::to_owned),
        };
        let mut it = interval(
            0,
            vec![line(1, "node", 1), line(2, "nodejs", 1), line(3, "node", 1)],
        );
        it.lines[0].faulted.push(FaultedStack {
            stack: 9,
            ..FaultedStack::default()
        });
        it.stacks.insert(9, Vec::new());
        for id in [Some(2), None] {
            it.events.push(Event {
                at_ms: 0,
                line: id.map(LineId),
                what: Happening::LookBegan,
            });
        }
        filter.apply(&mut it);
        let lines: Vec<u64> = it.lines.iter().map(|it| it.line.0).collect();
        (lines, it.stacks.len(), it.events.len())
    };
    assert_eq!(names(None, None), (vec![1, 2, 3], 1, 2));
    assert_eq!(names(Some("node"), None), (vec![1, 3], 1, 1));
    assert_eq!(names(Some("2"), None), (vec![2], 0, 2));
    assert_eq!(names(Some("node"), Some("nodejs")), (vec![], 0, 1));
    assert_eq!(names(None, Some("nodejs.service")), (vec![2], 0, 2));
}
