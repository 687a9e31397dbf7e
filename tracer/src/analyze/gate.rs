//! A gate for CI, `--fail-on` and `--max-growth`: whether a report says what somebody
//! does not want, and what a gate that lets it pass did not see.

use super::{
    diff::Difference,
    growth::stayed,
    verdict::{SHORTEST_SECONDS, own_function},
};
use crate::model::{
    ENDED_EARLY, Frame, Level, Report,
    growth::{Growth, Resident},
    verdict::{Kind, Verdict},
};

/// What is not wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// Verdicts of these kinds.
    pub kinds: Vec<Kind>,
    /// That the memory of any process rises by more bytes.
    pub max_growth: Option<u64>,
    /// How long the trace was to take, s.
    pub asked_seconds: Option<f64>,
}

/// What a gate found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checked<'a> {
    /// What is not wanted and is so: one of each option.
    pub failures: Vec<Failure<'a>>,
    /// What was not seen, or not well.
    pub doubts: Vec<Doubt<'a>>,
}

/// Something that is not wanted.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure<'a> {
    /// A verdict.
    Verdict {
        /// The main one of its kinds.
        verdict: &'a Verdict,
        /// The program's own function in it.
        function: Option<&'a Frame>,
        /// Other verdicts of unwanted kinds.
        others: usize,
    },
    /// The memory of a process rose.
    Growth {
        /// [`crate::model::Process::id`] of the one whose rose most.
        process: u32,
        /// By so much.
        bytes: u64,
        /// And this is wanted at most.
        most: u64,
        /// Other processes whose memory rose by more.
        others: usize,
    },
}

/// What a gate did not see, or not well.
#[derive(Clone, Debug, PartialEq)]
pub enum Doubt<'a> {
    /// The trace was shorter than was asked for, or memtrace ended it.
    Short {
        /// So long it was, s.
        seconds: f64,
        /// And was to be, s, if that is known.
        asked: Option<f64>,
    },
    /// There was not enough to tell.
    NotEnoughData {
        /// The first such verdict.
        verdict: &'a Verdict,
        /// Other processes of which this is so.
        others: usize,
    },
    /// Processes without a verdict or whose memory is not known: of an older recording, or
    /// they ended too soon.
    NotKnown {
        /// Of which option.
        option: &'static str,
        /// How many.
        processes: usize,
    },
    /// Processes that were seen for less than [`SHORTEST_SECONDS`].
    Brief {
        /// How many.
        processes: usize,
    },
    /// Calls were lost.
    Lost(&'a Report),
    /// So many allocators were not traced.
    NotCovered(usize),
    /// Figures are estimates.
    Sampled,
}

impl Gate {
    /// Whether anything is to be checked.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.kinds.is_empty() && self.max_growth.is_none()
    }

    /// Checks a report.
    #[must_use]
    pub fn check<'a>(&self, report: &'a Report) -> Checked<'a> {
        if self.is_open() {
            return Checked::default();
        }
        let mut doubts = self.doubts(report);
        let mut failures = Vec::new();
        if !self.kinds.is_empty() {
            failures.extend(self.unwanted(&report.verdicts));
            doubts.extend(self.undecided(report));
        }
        if let Some(most) = self.max_growth {
            failures.extend(risen(&report.growth, most));
            let known = |id: u32| {
                let mut growth = report.growth.iter();
                growth.any(|it| it.process == id && it.timeline.len() > 1)
            };
            doubts.extend(not_known("--max-growth", report, known));
        }
        Checked { failures, doubts }
    }

    /// Checks what lies between two recordings; processes are indices of its groups.
    #[must_use]
    pub fn check_difference<'a>(&self, difference: &'a Difference<'_>) -> Checked<'a> {
        let mut checked = Checked::default();
        if self.is_open() {
            return checked;
        }
        for report in [difference.before, difference.after] {
            checked.doubts.extend(imperfections(report));
        }
        if !self.kinds.is_empty() {
            checked.failures.extend(self.unwanted(&difference.verdicts));
            checked.doubts.extend(self.not_enough(&difference.verdicts));
        }
        if let Some(most) = self.max_growth {
            let groups = (0_u32..).zip(&difference.groups);
            let rises: Vec<_> = groups.map(|(id, it)| (difference.rise(it), id)).collect();
            let unknown = rises.iter().filter(|it| it.0.is_none()).count();
            let known = rises.into_iter().filter_map(|(rise, id)| Some((rise?, id)));
            checked.failures.extend(above(known, most));
            if unknown > 0 {
                checked.doubts.push(Doubt::NotKnown {
                    option: "--max-growth",
                    processes: unknown,
                });
            }
        }
        checked
    }

    /// The first of the verdicts that are not wanted; verdicts come most important first.
    #[must_use]
    pub fn unwanted<'a>(&self, verdicts: &'a [Verdict]) -> Option<Failure<'a>> {
        let mut unwanted = verdicts.iter().filter(|it| self.kinds.contains(&it.kind));
        let verdict = unwanted.next()?;
        let frames = verdict.stacks.first().map_or(&[][..], |it| &it.frames);
        let own = frames.iter().find(|it| own_function(it).is_some());
        Some(Failure::Verdict {
            verdict,
            function: own.or(frames.first()),
            others: unwanted.count(),
        })
    }

    /// Processes of which nothing can be said.
    fn undecided<'a>(&self, report: &'a Report) -> Vec<Doubt<'a>> {
        let mut doubts: Vec<_> = self.not_enough(&report.verdicts).into_iter().collect();
        let known = |id: u32| report.verdicts.iter().any(|it| it.process == id);
        doubts.extend(not_known("--fail-on", report, known));
        doubts
    }

    fn not_enough<'a>(&self, verdicts: &'a [Verdict]) -> Option<Doubt<'a>> {
        if self.kinds.contains(&Kind::NotEnoughData) {
            return None;
        }
        let verdicts = verdicts.iter();
        let mut undecided = verdicts.filter(|it| it.kind == Kind::NotEnoughData);
        let verdict = undecided.next()?;
        let others = undecided.count();
        Some(Doubt::NotEnoughData { verdict, others })
    }

    fn doubts<'a>(&self, report: &'a Report) -> Vec<Doubt<'a>> {
        let mut doubts = Vec::new();
        let seconds = report.window.seconds;
        let asked = self.asked_seconds.filter(|asked| seconds < asked * 0.95);
        let is_ended = report.notes.iter().any(|it| it.starts_with(ENDED_EARLY));
        if asked.is_some() || is_ended {
            doubts.push(Doubt::Short { seconds, asked });
        }
        let brief = report
            .growth
            .iter()
            .filter(|it| span(it) < SHORTEST_SECONDS);
        let processes = brief.count();
        if processes > 0 && seconds >= SHORTEST_SECONDS {
            doubts.push(Doubt::Brief { processes });
        }
        doubts.extend(imperfections(report));
        doubts
    }
}

/// What a report has not seen well.
fn imperfections(report: &Report) -> Vec<Doubt<'_>> {
    let mut doubts = Vec::new();
    if report.loss.iter().any(|it| it.calls > 0) {
        doubts.push(Doubt::Lost(report));
    }
    if !report.not_covered.is_empty() {
        doubts.push(Doubt::NotCovered(report.not_covered.len()));
    }
    if report.level == Level::Sampled {
        doubts.push(Doubt::Sampled);
    }
    doubts
}

fn not_known(
    option: &'static str,
    report: &Report,
    known: impl Fn(u32) -> bool,
) -> Option<Doubt<'static>> {
    let unknown = report.processes.iter().filter(|it| !known(it.id));
    let processes = unknown.count();
    (processes > 0).then_some(Doubt::NotKnown { option, processes })
}

/// How long a process was seen, s.
fn span(growth: &Growth) -> f64 {
    let (first, last) = (growth.timeline.first(), growth.timeline.last());
    first
        .zip(last)
        .map_or(0.0, |(first, last)| last.seconds - first.seconds)
}

/// By how much the memory of one process rose and stayed up: what only it can give back.
/// That is, without pages of files, which the kernel takes when it wants them.
#[must_use]
pub fn rise(growth: &Growth) -> u64 {
    let of = |it: &Resident| {
        let own = [it.anonymous_bytes, it.shared_bytes, it.swapped_bytes];
        (it.seconds, own.into_iter().fold(0, u64::saturating_add))
    };
    let points: Vec<(f64, u64)> = growth.timeline.iter().map(of).collect();
    stayed(&points)
}

fn risen<'a>(growth: &[Growth], most: u64) -> Option<Failure<'a>> {
    above(growth.iter().map(|it| (rise(it), it.process)), most)
}

fn above<'a>(rises: impl Iterator<Item = (u64, u32)>, most: u64) -> Option<Failure<'a>> {
    let above: Vec<(u64, u32)> = rises.filter(|it| it.0 > most).collect();
    let (bytes, process) = above.iter().copied().max()?;
    Some(Failure::Growth {
        process,
        bytes,
        most,
        others: above.len() - 1,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
