//! What a gate for CI found, each in one line.

use super::{
    layout::cut_end,
    loss, names,
    words::{bytes, counted, seconds},
};
use crate::{
    analyze::{
        diff::Difference,
        gate::{Doubt, Failure},
    },
    model::{Frame, Report, verdict::Kind},
};

/// Longest name within a line.
const NAME_COLUMNS: usize = 60;
/// Causes of loss that are named.
const CAUSES: usize = 2;

/// Why it fails: `--fail-on leak: leak of 71.0 MiB in process 4711 (node), by remember
/// (ids.js:12)`. `whose`: the process of a number, with its preposition.
#[must_use]
pub fn failure(failure: &Failure<'_>, whose: &dyn Fn(u32) -> String) -> String {
    match failure {
        Failure::Verdict {
            verdict,
            function,
            others,
        } => {
            let kind = verdict.kind.name();
            let by = function.map_or_else(String::new, |it| format!(", by {}", by(it)));
            format!(
                "--fail-on {kind}: {} {}{by}{}",
                what(verdict.kind, verdict.bytes),
                whose(verdict.process),
                more(*others, "verdict")
            )
        }
        Failure::Growth {
            process,
            bytes: rise,
            most,
            others,
        } => format!(
            "--max-growth {}: memory rose by {} {}, and stayed{}",
            bytes(*most),
            bytes(*rise),
            whose(*process),
            more(*others, "process")
        ),
    }
}

/// `in process 4711 (node)`.
#[must_use]
pub fn whose(report: &Report, id: u32) -> String {
    let process = report.processes.iter().find(|it| it.id == id);
    process.map_or_else(
        || format!("in process number {id}"),
        |it| {
            let program = names::program(it);
            format!(
                "in process {} ({})",
                it.pid,
                cut_end(&program, NAME_COLUMNS)
            )
        },
    )
}

/// The same of a group of processes: `in node (4711 → 4800)`.
#[must_use]
pub fn whose_group(difference: &Difference<'_>, index: u32) -> String {
    let index_of = usize::try_from(index).ok();
    let whose = index_of.and_then(|it| difference.groups.get(it));
    whose.map_or_else(
        || format!("in group {index}"),
        |it| format!("in {}", cut_end(&super::diff::whose(it), NAME_COLUMNS)),
    )
}

/// What a gate that passes has not seen.
#[must_use]
pub fn doubt(doubt: &Doubt<'_>, whose: &dyn Fn(u32) -> String) -> String {
    match doubt {
        Doubt::Short {
            seconds: checked,
            asked: Some(asked),
        } => format!(
            "was checked for {} only, of {}",
            seconds(*checked),
            seconds(*asked)
        ),
        Doubt::Short {
            seconds: checked, ..
        } => format!(
            "was checked for {} only: the trace was ended to spare the target",
            seconds(*checked)
        ),
        Doubt::NotEnoughData { verdict, others } => format!(
            "{} {}{}",
            names::sanitize(verdict.summary.trim_end_matches('.')),
            whose(verdict.process),
            more(*others, "process")
        ),
        Doubt::NotKnown { option, processes } => format!(
            "{option} could not be checked of {}: the recording does not tell",
            processes_of(*processes)
        ),
        Doubt::Brief { processes } => format!(
            "{} lived too briefly to be judged",
            processes_of(*processes)
        ),
        Doubt::Lost(report) => format!(
            "what leaks in lost calls is not seen ({})",
            loss::summary(&report.loss, CAUSES)
        ),
        Doubt::NotCovered(allocators) => format!(
            "what leaks in {} that could not be traced is not seen",
            counted(*allocators as u64, "allocator")
        ),
        Doubt::Sampled => "figures are estimates: it was sampled".to_owned(),
    }
}

fn what(kind: Kind, amount: u64) -> String {
    let name = match kind {
        Kind::Leak => "leak",
        Kind::Fragmentation => "fragmentation",
        Kind::Retention => "retention",
        Kind::JsHeap => "growth of the JS heap",
        Kind::SendBuffer => "send-buffer bloat",
        Kind::ReceiveBuffer => "receive-buffer bloat",
        Kind::Orphan => "orphans' buffers",
        Kind::AcceptQueue => "connections not accepted",
        Kind::Backlog => "user-space backlog",
        Kind::Mapping => "growth of mappings",
        Kind::Healthy => return "healthy".to_owned(),
        Kind::NotEnoughData => return "not enough data".to_owned(),
    };
    format!("{name} of {}", bytes(amount))
}

/// `remember (ids.js:12)`; without a line the function alone.
fn by(frame: &Frame) -> String {
    let function = names::frame(frame);
    let function = cut_end(&function, NAME_COLUMNS);
    match (frame.file.as_deref(), frame.line) {
        (Some(file), Some(line)) => {
            let file = names::sanitize(names::basename(file)).into_owned();
            format!("{function} ({}:{line})", cut_end(&file, NAME_COLUMNS))
        }
        _ => function.into_owned(),
    }
}

fn more(others: usize, thing: &str) -> String {
    match (others, thing) {
        (0, _) => String::new(),
        (_, "process") => format!("; and of {} more", processes_of(others)),
        _ => format!("; and {} more", counted(others as u64, thing)),
    }
}

fn processes_of(number: usize) -> String {
    match number {
        1 => "1 process".to_owned(),
        _ => format!("{} processes", super::words::count(number as u64)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        analyze::gate::Gate,
        model::verdict::{Confidence, Verdict, VerdictStack},
        render::sample,
    };

    fn lines(gate: &Gate, report: &Report) -> Vec<String> {
        let checked = gate.check(report);
        let whose = |id| whose(report, id);
        let failures = checked.failures.iter().map(|it| failure(it, &whose));
        let doubts = checked.doubts.iter().map(|it| doubt(it, &whose));
        failures.chain(doubts).collect()
    }

    /// A reason names the option, the bytes, the process and the code, in a line.
    #[test]
    fn a_reason_is_a_line() {
        let mut report = sample::small();
        report.verdicts = vec![Verdict {
            stacks: vec![VerdictStack {
                share: 1.0,
                frames: report.sites[0].frames.clone(),
            }],
            ..Verdict::new(Kind::Leak, 1, Confidence::High, 71 << 20, String::new())
        }];
        let gate = Gate {
            kinds: vec![Kind::Leak],
            ..Gate::default()
        };
        assert_eq!(
            lines(&gate, &report),
            [
                "--fail-on leak: leak of 71.0 MiB in process 4242 (node), by leak_buffer (addon.cc:42)"
            ]
        );
        report.verdicts.push(report.verdicts[0].clone());
        report.verdicts[0].stacks.clear();
        report.verdicts[0].process = 9;
        assert_eq!(
            lines(&gate, &report)[0],
            "--fail-on leak: leak of 71.0 MiB in process number 9; and 1 verdict more"
        );
    }

    proptest! {
        /// Whatever the names are, each is one line.
        #[test]
        fn any_reason_is_one_line(report in sample::any_report()) {
            let gate = Gate {
                kinds: Kind::ALL.to_vec(),
                max_growth: Some(0),
                asked_seconds: Some(1e9),
            };
            for line in lines(&gate, &report) {
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
        }
    }
}
