//! What is worth an alert, each once. Pure.
//!
//! A line begins an *episode* when it grows or is judged, and ends it when it is healthy
//! again. Within one its growth is told once, and each kind of verdict once. An OOM kill is told
//! whenever it happens.

use std::collections::HashMap;

use serde::Serialize;

use crate::{
    model::{
        host::{Event, Happening, LineId, LineView, State, View},
        verdict::{Confidence, Kind, Verdict},
    },
    render::{names, words},
};

/// Version of the payload. Within one, fields are only added.
const VERSION: u32 = 1;

/// A line that has not been in so many views is forgotten: its episode is over.
const VIEWS_UNSEEN: u32 = 60;

/// Episodes at a time; of more lines there are no alerts before some are over.
const EPISODES_MAX: usize = 10_000;

/// Frames of a verdict's first stack that are told.
const CALLERS: usize = 5;

/// An alert, as it is sent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    pub version: u32,
    pub kind: AlertKind,
    /// The same for what is sent twice.
    pub id: String,
    /// Unix milliseconds.
    pub at_ms: u64,
    /// `uname -n`.
    pub host: String,
    /// A sentence. Under this name chat systems show it.
    pub text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<Program>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Judgement>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    Growth,
    Verdict,
    OutOfMemory,
}

/// To whom.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Program {
    /// As in metrics.
    pub line: String,
    pub name: String,
    pub group: String,
    pub pid: u32,
    pub resident_bytes: u64,
    pub bytes_per_second: f64,
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judgement {
    pub kind: Kind,
    pub confidence: Confidence,
    pub bytes: u64,
    pub bytes_per_second: f64,
    pub summary: String,
    /// The stack whose doing most of it is, from the allocator's caller outwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callers: Option<String>,
}

/// What was told.
#[derive(Debug)]
pub struct Alerts {
    since_ms: u64,
    episodes: HashMap<LineId, Episode>,
}

#[derive(Debug, Default)]
struct Episode {
    growth: bool,
    kinds: Vec<Kind>,
    /// Views since the last one with this line.
    unseen: u32,
}

impl Alerts {
    /// Verdicts from before this moment were told by whoever ran then.
    pub fn since(ms: u64) -> Self {
        Self {
            since_ms: ms,
            episodes: HashMap::new(),
        }
    }

    /// What this view and these new events are worth.
    pub fn of(&mut self, view: &View, new: &[Event]) -> Vec<Alert> {
        // A clock that was set back: what is told from now on is new.
        if view.at_ms > 0 {
            self.since_ms = self.since_ms.min(view.at_ms);
        }
        let mut alerts = Vec::new();
        for event in new {
            alerts.extend(out_of_memory(view, event));
        }
        for episode in self.episodes.values_mut() {
            episode.unseen = episode.unseen.saturating_add(1);
        }
        for line in &view.lines {
            if matches!(line.state, State::New | State::Healthy) {
                self.episodes.remove(&line.line);
                continue;
            }
            let has_room = self.episodes.len() < EPISODES_MAX;
            if !has_room && !self.episodes.contains_key(&line.line) {
                continue;
            }
            let episode = self.episodes.entry(line.line).or_default();
            episode.unseen = 0;
            let is_known = line.verdict_ms.is_some_and(|ms| ms < self.since_ms);
            for verdict in line.verdicts.iter().filter(|it| it.kind.accuses()) {
                if !episode.kinds.contains(&verdict.kind) {
                    episode.kinds.push(verdict.kind);
                    episode.growth = true;
                    if !is_known {
                        alerts.push(verdict_alert(view, line, verdict));
                    }
                }
            }
            let grows = matches!(line.state, State::Grows | State::Looking);
            if grows && !episode.growth && line.bytes_per_second > 0.0 {
                episode.growth = true;
                alerts.push(growth(view, line));
            }
        }
        self.episodes.retain(|_, it| it.unseen <= VIEWS_UNSEEN);
        alerts
    }
}

fn growth(view: &View, line: &LineView) -> Alert {
    let text = format!(
        "{} grows by {} a minute and has {} resident",
        whom(line),
        words::bytes((line.bytes_per_second * 60.0) as u64),
        words::bytes(line.resident_bytes),
    );
    let id = format!("growth-{:016x}-{}", line.line.0, view.at_ms);
    Alert {
        program: Some(program(line)),
        ..alert(AlertKind::Growth, id, view.at_ms, view, &text)
    }
}

fn verdict_alert(view: &View, line: &LineView, verdict: &Verdict) -> Alert {
    let summary = names::sanitize(&verdict.summary).into_owned();
    let at_ms = line.verdict_ms.unwrap_or(view.at_ms);
    let kind = verdict.kind.name();
    let id = format!("verdict-{kind}-{:016x}-{at_ms}", line.line.0);
    let text = format!("{}: {summary}", whom(line));
    let stack = verdict.stacks.first();
    Alert {
        program: Some(program(line)),
        verdict: Some(Judgement {
            kind: verdict.kind,
            confidence: verdict.confidence,
            bytes: verdict.bytes,
            bytes_per_second: verdict.bytes_per_second,
            summary,
            callers: stack.map(|stack| names::callers(&stack.frames, CALLERS)),
        }),
        ..alert(AlertKind::Verdict, id, at_ms, view, &text)
    }
}

fn out_of_memory(view: &View, event: &Event) -> Option<Alert> {
    let Happening::OutOfMemory {
        pid,
        name,
        resident_bytes,
    } = &event.what
    else {
        return None;
    };
    let line = view.lines.iter().find(|it| Some(it.line) == event.line);
    let name = names::sanitize(name).into_owned();
    let text = format!(
        "{name} ({pid}) was killed for want of memory, with {} resident",
        words::bytes(*resident_bytes)
    );
    let id = format!("out_of_memory-{pid}-{}", event.at_ms);
    // The one that was killed; the line may be the next process already.
    let killed = Program {
        line: event
            .line
            .map(|it| format!("{:016x}", it.0))
            .unwrap_or_default(),
        name,
        group: line
            .map(|it| names::sanitize(&it.group).into_owned())
            .unwrap_or_default(),
        pid: *pid,
        resident_bytes: *resident_bytes,
        bytes_per_second: line.map_or(0.0, |it| it.bytes_per_second),
    };
    Some(Alert {
        program: Some(killed),
        ..alert(AlertKind::OutOfMemory, id, event.at_ms, view, &text)
    })
}

fn alert(kind: AlertKind, id: String, at_ms: u64, view: &View, text: &str) -> Alert {
    let host = names::sanitize(&view.host_name).into_owned();
    Alert {
        version: VERSION,
        kind,
        id: format!("{host}-{id}"),
        at_ms,
        text: format!("{host}: {text}"),
        host,
        program: None,
        verdict: None,
    }
}

fn whom(line: &LineView) -> String {
    format!("{} ({})", names::sanitize(&line.name), line.pid)
}

fn program(line: &LineView) -> Program {
    Program {
        line: format!("{:016x}", line.line.0),
        name: names::sanitize(&line.name).into_owned(),
        group: names::sanitize(&line.group).into_owned(),
        pid: line.pid,
        resident_bytes: line.resident_bytes,
        bytes_per_second: line.bytes_per_second,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::render::metrics::sample;

    fn view(state: State, verdict: bool) -> View {
        let mut view = sample::view();
        let line = &mut view.lines[0];
        line.state = state;
        if !verdict {
            line.verdicts.clear();
            line.verdict_ms = None;
        }
        view
    }

    fn kinds(alerts: &[Alert]) -> Vec<AlertKind> {
        alerts.iter().map(|it| it.kind).collect()
    }

    /// Growth is told once, then its verdict once, and after it was healthy both again.
    #[test]
    fn each_once_an_episode() {
        let mut alerts = Alerts::since(0);
        for _ in 0..2 {
            assert!(alerts.of(&view(State::Healthy, false), &[]).is_empty());
            let grows = view(State::Grows, false);
            assert_eq!(kinds(&alerts.of(&grows, &[])), [AlertKind::Growth]);
            assert!(alerts.of(&grows, &[]).is_empty());
            assert!(alerts.of(&view(State::Looking, false), &[]).is_empty());
            let judged = view(State::Judged, true);
            assert_eq!(kinds(&alerts.of(&judged, &[])), [AlertKind::Verdict]);
            assert!(alerts.of(&judged, &[]).is_empty());
            // A line that is absent for a moment goes on with its episode.
            assert!(alerts.of(&View::default(), &[]).is_empty());
            assert!(alerts.of(&judged, &[]).is_empty());
        }
    }

    /// A verdict of before memtrace began was told then.
    #[test]
    fn old_verdicts_are_not_told_again() {
        let mut alerts = Alerts::since(sample::NOW_MS);
        assert!(alerts.of(&view(State::Judged, true), &[]).is_empty());
    }

    /// A payload has what a person needs first, and names of processes forge nothing in it.
    #[test]
    fn payloads_are_as_documented() {
        let mut hostile = view(State::Judged, true);
        hostile.lines[0].name = "no\"de\n\u{202e}".to_owned();
        let event = sample::out_of_memory(sample::NOW_MS);
        let alerts = Alerts::since(0).of(&hostile, &[event]);
        assert_eq!(kinds(&alerts), [AlertKind::OutOfMemory, AlertKind::Verdict]);
        let written = serde_json::to_value(&alerts[1]).unwrap();
        assert_eq!(written["kind"], "verdict");
        assert_eq!(written["version"], 1);
        assert_eq!(
            written["text"],
            "web-1: no\"de\u{fffd}\u{fffd} (4242): It leaks 1 MiB a minute."
        );
        assert_eq!(written["program"]["line"], "00000000000000ab");
        assert_eq!(written["verdict"]["kind"], "leak");
        assert_eq!(written["verdict"]["callers"], "leak_buffer");
        let killed = serde_json::to_value(&alerts[0]).unwrap();
        assert_eq!(killed["kind"], "out_of_memory");
        assert_eq!(
            killed["id"],
            format!("web-1-out_of_memory-4242-{}", sample::NOW_MS)
        );
        assert_eq!(killed["program"]["resident_bytes"], 1_u64 << 30);
        assert!(killed.get("verdict").is_none());
    }
}
