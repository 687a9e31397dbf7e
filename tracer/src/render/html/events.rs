//! What happened at a moment that a reader of a timeline should know.

use crate::model::{Beginning, Process, Report, growth::Growth, trace_sockets::Events};
use crate::render::{text, words};

/// Events of pressure that are marked; most are one and the same.
const PRESSURE: usize = 6;

/// A mark.
pub struct Event {
    pub seconds: f64,
    pub text: String,
}

pub fn events(report: &Report, process: &Process, growth: Option<&Growth>) -> Vec<Event> {
    let mut events = Vec::new();
    let timeline = growth.map_or(&[][..], |growth| &growth.timeline);
    if let (Some(followed), Some(first)) = (&process.followed, timeline.first()) {
        let what = match followed.since {
            Beginning::Fork => "forked",
            Beginning::Exec => "a new program (exec)",
        };
        events.push(Event {
            seconds: first.seconds,
            text: format!(
                "{what}; its first {:.0} ms are not counted",
                followed.gap_ms
            ),
        });
    }
    if let Some(sampling) = &report.sampling {
        events.push(Event {
            seconds: sampling.since_seconds,
            text: "sampling began: figures from here on are estimates".to_owned(),
        });
    }
    if report.processes.len() == 1 {
        events.extend(pressure(report));
    }
    if let (Some(exit), Some(last)) = (process.exit, timeline.last()) {
        events.push(Event {
            seconds: last.seconds,
            text: format!("last look before its end: {}", text::end(exit)),
        });
    }
    events.retain(|event| (0.0..1e12).contains(&event.seconds));
    events.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    events
}

/// The moments at which a count of sockets' pressure first rose, and when it rose most.
fn pressure(report: &Report) -> Vec<Event> {
    let mut marks = Vec::new();
    let moments = report.sockets.iter().flat_map(|it| &it.timeline);
    let moments: Vec<(f64, &Events)> = moments.map(|it| (it.seconds, &it.events)).collect();
    for (of, thing, what) in text::sockets::EVENTS {
        let rises = moments.windows(2).filter_map(|two| {
            let [before, after] = two else { return None };
            let more = of(after.1).saturating_sub(of(before.1));
            (more > 0).then_some((after.0, more))
        });
        let rises: Vec<(f64, u64)> = rises.collect();
        let Some(first) = rises.first() else { continue };
        let all = rises.iter().map(|it| it.1).fold(0, u64::saturating_add);
        marks.push(Event {
            seconds: first.0,
            text: format!("from here on {}{what}", words::counted(all, thing)),
        });
    }
    marks.truncate(PRESSURE);
    marks
}
