//! Closer looks: at whom, when, and what becomes of what they say.

mod spent;

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use super::{
    child::{Ended, Order, Running},
    line::{Line, Now},
    lines::Lines,
    settings::Settings,
    summary::Summary,
};
use crate::{
    analyze::host::{Quantity, thresholds as limit},
    collect::clock::Moment,
    model::{
        host::{CloserLook, Event, Happening, LineId, LookId},
        verdict::{Confidence, Kind, Verdict},
        words,
    },
    store::history::History,
};
use spent::Spent;

/// Where recordings are made, within the history's directory.
const INCOMING: &str = "incoming";
/// What a look takes besides its probes, s, until one was measured.
const FIXED_SECONDS: f64 = 3.0;
/// The recording's name (`store::output`).
const RECORDING: &str = "recording.memtrace";

/// Looks closer, at one process at a time.
pub struct Closer {
    directory: PathBuf,
    running: Option<Look>,
    spent: Spent,
    fixed_seconds: f64,
}

/// The one that is under way.
struct Look {
    id: LookId,
    line: LineId,
    name: String,
    order: Order,
    reason: String,
    start_ms: u64,
    running: Running,
}

/// What happened meanwhile.
#[derive(Debug, Default)]
pub struct Happened {
    /// For the history.
    pub events: Vec<Event>,
    /// What could not be kept.
    pub losses: Vec<String>,
}

impl Closer {
    /// None is under way; what looks of a daemon before took within the hour counts.
    pub fn new(directory: &Path, now: Now) -> Self {
        Self {
            directory: directory.join(INCOMING),
            running: None,
            spent: Spent::load(directory, now),
            fixed_seconds: FIXED_SECONDS,
        }
    }

    /// Takes in what has ended, and begins what is due.
    pub fn tend(
        &mut self,
        settings: &Settings,
        lines: &mut Lines,
        history: &History,
        now: Now,
    ) -> Happened {
        let mut happened = Happened::default();
        if let Some(look) = &mut self.running {
            let Some(ended) = look.running.poll() else {
                return happened;
            };
            if let Some(look) = self.running.take() {
                self.end(look, &ended, lines, history, now, &mut happened);
            }
        }
        if settings.looks {
            self.begin(settings, lines, now, &mut happened);
        }
        happened
    }

    /// Ends what is under way.
    pub fn stop(&mut self) {
        if let Some(mut look) = self.running.take() {
            let ended = look.running.kill();
            let _ = fs::remove_dir_all(ended.directory);
        }
    }

    /// What the probes of the last hour took, of one processor.
    #[must_use]
    pub fn probes_share(&self, now: Now) -> f64 {
        self.spent.ledger().spent(now.seconds()) / limit::LEDGER_SECONDS
    }

    fn begin(&mut self, settings: &Settings, lines: &mut Lines, now: Now, happened: &mut Happened) {
        let seconds = now.seconds();
        let own = std::process::id();
        let names = &settings.looks_at;
        let is_wanted = |line: &Line| names.is_empty() || names.contains(&line.who.name);
        let is_due = |line: &&Line| {
            let is_free = line.pid != own && line.judged.not_before <= seconds;
            is_free && is_wanted(line) && urgency(line) > 0.0
        };
        let worst = (lines.living().filter(is_due))
            .max_by(|a, b| urgency(a).total_cmp(&urgency(b)))
            .map(|line| line.id);
        let Some(line) = worst.and_then(|id| lines.get_mut(id)) else {
            return;
        };
        let first_ms = u64::try_from(settings.look_for.as_millis()).unwrap_or(u64::MAX);
        let is_first = line.judged.window_ms == 0;
        let window_ms = if is_first {
            first_ms
        } else {
            line.judged.window_ms
        };
        let window = window_ms as f64 / 1000.0;
        let ledger = self.spent.ledger();
        let Some(share) = ledger.share(seconds, settings.budget, window, self.fixed_seconds) else {
            return;
        };
        let order = Order {
            pid: line.pid,
            window_ms,
            share,
            mappings: !is_first,
        };
        line.judged.window_ms = window_ms;
        let most = share * window + self.fixed_seconds;
        unkept(self.spent.reserve(now, most), happened);
        let id = look_id(line.pid);
        let reason = reason(line);
        match self.start(&order, &id) {
            Ok(running) => {
                line.judged.is_looking = true;
                happened.events.push(Event {
                    at_ms: now.utc_ms,
                    line: Some(line.id),
                    what: Happening::LookBegan,
                });
                self.running = Some(Look {
                    id,
                    line: line.id,
                    name: line.who.name.clone(),
                    order,
                    reason,
                    start_ms: now.utc_ms,
                    running,
                });
            }
            Err(error) => {
                unkept(self.spent.book(now, 0.0), happened);
                line.judged.not_before = seconds + limit::PAUSE_MS as f64 / 1000.0;
                happened
                    .losses
                    .push(format!("closer looks that could not begin: {error}"));
            }
        }
    }

    fn start(&self, order: &Order, id: &LookId) -> std::io::Result<Running> {
        let mut private = fs::DirBuilder::new();
        private.recursive(true).mode(0o700);
        let directory = self.directory.join(&id.0);
        private.create(&directory)?;
        Running::start(order, directory)
    }

    fn end(
        &mut self,
        look: Look,
        ended: &Ended,
        lines: &mut Lines,
        history: &History,
        now: Now,
        happened: &mut Happened,
    ) {
        let summary = match &ended.failure {
            Some(failure) => Err(failure.clone()),
            None => Summary::read(&ended.directory)
                .map_err(|error| format!("what it found cannot be read: {error}")),
        };
        // One that has failed does not say: all that it may have taken.
        let seconds = now.utc_ms.saturating_sub(look.start_ms) as f64 / 1000.0;
        let most = look.order.share * seconds.min(look.order.window_ms as f64 / 1000.0);
        let probes = summary.as_ref().map_or(most, |it| it.probe_seconds);
        unkept(self.spent.book(now, ended.seconds + probes), happened);
        self.fixed_seconds = f64::midpoint(self.fixed_seconds, ended.seconds);
        let mut told = None;
        let said = match &summary {
            Ok(summary) => {
                let closer = CloserLook {
                    id: look.id.clone(),
                    line: look.line,
                    pid: look.order.pid,
                    name: look.name,
                    start_ms: look.start_ms,
                    end_ms: now.utc_ms,
                    reason: look.reason,
                    level: summary.level,
                    verdicts: summary.verdicts.clone(),
                    cost: (ended.seconds + probes) / seconds.max(1.0),
                };
                match history.keep(&closer, &ended.directory.join(RECORDING)) {
                    Ok(()) => told = Some(look.id),
                    Err(error) => {
                        let loss =
                            format!("recordings of closer looks that could not be kept: {error}");
                        happened.losses.push(loss);
                    }
                }
                let main = summary.verdicts.first();
                main.map_or_else(|| "It says nothing.".to_owned(), |it| it.summary.clone())
            }
            Err(failure) => failure.clone(),
        };
        let _ = fs::remove_dir_all(&ended.directory);
        if let Some(line) = lines.get_mut(look.line) {
            line.judged.is_looking = false;
            judge(line, summary.map(|it| it.verdicts), now);
            line.judged.looks.splice(0..0, told.clone());
        }
        happened.events.push(Event {
            at_ms: now.utc_ms,
            line: Some(look.line),
            what: Happening::LookEnded {
                look: told,
                summary: said,
            },
        });
    }
}

/// Tells that what was spent could not be written down.
fn unkept(written: std::io::Result<()>, happened: &mut Happened) {
    if let Err(error) = written {
        let loss = format!("costs of closer looks that could not be written down: {error}");
        happened.losses.push(loss);
    }
}

/// How much it hurts, bytes a second; 0: nothing is to be looked at.
fn urgency(line: &Line) -> f64 {
    /// What stands in queues is worth as much as if it had come within a minute.
    const WITHIN: f64 = 60.0;
    let queues = line
        .judged
        .from_history
        .iter()
        .map(|it| it.bytes as f64 / WITHIN);
    let grows = line.trend.map_or(0.0, |(what, trend)| match what {
        Quantity::Memory | Quantity::Sockets => trend.per_second.max(1.0),
        Quantity::Connections => 1.0,
    });
    queues.fold(grows, f64::max)
}

fn reason(line: &Line) -> String {
    let per_second = |it: f64| words::growth_per_second(it);
    match line.trend {
        Some((Quantity::Memory, trend)) => format!(
            "Its troughs rose by {} in {}, {}.",
            words::bytes(trend.rise),
            words::seconds(trend.seconds),
            per_second(trend.per_second)
        ),
        Some((Quantity::Sockets, trend)) => format!(
            "What the kernel holds for its sockets rose by {} in {}.",
            words::bytes(trend.rise),
            words::seconds(trend.seconds)
        ),
        Some((Quantity::Connections, trend)) => format!(
            "It has {} more than {} ago, and they stay.",
            words::counted(trend.rise, "connection"),
            words::seconds(trend.seconds)
        ),
        None => {
            (line.judged.from_history.first()).map_or_else(String::new, |it| it.summary.clone())
        }
    }
}

/// Takes up what a look of a daemon before has told, the oldest first.
pub fn remember(line: &mut Line, look: CloserLook, now: Now) {
    let ago_ns = now
        .utc_ms
        .saturating_sub(look.end_ms)
        .saturating_mul(1_000_000);
    let then = Now {
        boot_ns: now.boot_ns.saturating_sub(ago_ns),
        utc_ms: look.end_ms,
    };
    if line.judged.window_ms == 0 {
        line.judged.window_ms = look.end_ms.saturating_sub(look.start_ms);
    }
    judge(line, Ok(look.verdicts), then);
    line.judged.looks.insert(0, look.id);
}

/// What is made of a look that has ended, and when the next may be.
fn judge(line: &mut Line, found: Result<Vec<Verdict>, String>, now: Now) {
    let judged = &mut line.judged;
    let (verdicts, is_refused) = match found {
        Ok(verdicts) => (verdicts, false),
        Err(reason) => {
            let summary = format!("It could not be looked at: {reason}.").replace("..", ".");
            let kind = Kind::NotEnoughData;
            (
                vec![Verdict::new(kind, 0, Confidence::High, 0, summary)],
                true,
            )
        }
    };
    let kind = verdicts.first().map_or(Kind::NotEnoughData, |it| it.kind);
    let had = judged.verdicts.iter().any(|it| it.kind.accuses());
    let pause_ms = match kind {
        Kind::NotEnoughData if !is_refused && judged.window_ms < limit::WINDOW_MS_MAX => {
            judged.window_ms = judged.window_ms.saturating_mul(2).min(limit::WINDOW_MS_MAX);
            0
        }
        kind if kind.accuses() || is_refused => limit::PAUSE_MS_MAX,
        _ => (judged.pause_ms.saturating_mul(2)).clamp(limit::PAUSE_MS, limit::PAUSE_MS_MAX),
    };
    if pause_ms > 0 {
        judged.window_ms = 0;
        judged.pause_ms = pause_ms;
    }
    judged.not_before = now.seconds() + pause_ms as f64 / 1000.0;
    // A look that could not tell takes nothing back.
    if kind != Kind::NotEnoughData || !had {
        judged.verdicts = verdicts;
        judged.at_ms = Some(now.utc_ms);
    }
}

/// `20261122T093500Z-1234`.
fn look_id(pid: u32) -> LookId {
    let now = Moment::now().rfc3339();
    let seconds = now.split('.').next().unwrap_or_default();
    let digits: String = seconds
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    LookId(format!("{digits}Z-{pid}"))
}

/// Removes what looks of a daemon before left behind.
pub fn clean(directory: &Path) {
    let _nothing_there = fs::remove_dir_all(directory.join(INCOMING));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
