//! Whether what memtrace told is the right answer: a pure function of the report and the truth.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    case::{Case, Kind},
    trace::Run,
};
use crate::bench::tracer::number;

/// What a case was told, and what was wrong with that.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub case: String,
    pub seed: u64,
    /// Kinds, in the order of the verdicts.
    pub told: Vec<String>,
    pub confidence: String,
    pub bytes: f64,
    /// `None` where the case does not ask for bytes.
    pub truth_bytes: Option<f64>,
    /// The first frames of the first verdict's first stack.
    pub stack: Vec<String>,
    pub window_seconds: f64,
    /// All that it took.
    pub seconds: f64,
    /// Empty when it is right.
    pub wrong: Vec<String>,
}

/// Judges one run.
pub fn judge(case: &Case, seed: u64, run: &Run) -> anyhow::Result<Outcome> {
    let verdicts = run.report["verdicts"].as_array();
    let verdicts = verdicts.map_or(&[][..], Vec::as_slice);
    let (start, end) = window(&run.report)?;
    let truth_bytes = case.bytes.as_ref();
    let truth_bytes = truth_bytes
        .map(|bytes| run.truth.rise(bytes, start, end))
        .transpose()?;
    let mut outcome = Outcome {
        case: case.name.clone(),
        seed,
        told: kinds_told(verdicts),
        truth_bytes,
        window_seconds: (end - start) as f64 / 1e9,
        ..Outcome::default()
    };
    let Some(first) = verdicts.first() else {
        outcome.wrong.push("there is no verdict".to_owned());
        return Ok(outcome);
    };
    outcome.confidence = text(&first["confidence"]);
    outcome.bytes = number(&first["bytes"]).unwrap_or(0.0);
    let frames = first["stacks"][0]["frames"]
        .as_array()
        .into_iter()
        .flatten();
    outcome.stack = frames.map(function).collect();
    let mut wrong = Vec::from_iter(kinds(case, &outcome.told));
    wrong.extend(
        case.function
            .as_deref()
            .and_then(|wanted| misses(wanted, &outcome.stack)),
    );
    wrong.extend(bytes(case, outcome.bytes, truth_bytes));
    wrong.extend(case.says.as_deref().and_then(|words| unsaid(words, first)));
    if matches!(case.expected[0], Kind::Leak | Kind::JsHeap | Kind::Backlog) {
        wrong.extend(process(run, first, end)?);
    }
    outcome.wrong = wrong;
    outcome.stack.truncate(6);
    Ok(outcome)
}

/// When a report's window began and ended, monotonic ns.
pub fn window(report: &Value) -> anyhow::Result<(u64, u64)> {
    let time = |name: &str| anyhow::Ok(number(&report["window"][name])? as u64);
    Ok((time("start_monotonic_ns")?, time("end_monotonic_ns")?))
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// In their order; that processes other than the first one's are healthy is no more
/// than the rest of the answer.
fn kinds_told(verdicts: &[Value]) -> Vec<String> {
    let kinds = verdicts.iter().map(|verdict| text(&verdict["kind"]));
    let is_told = |(number, kind): &(usize, String)| *number == 0 || kind != "healthy";
    kinds
        .enumerate()
        .filter(is_told)
        .map(|(_, kind)| kind)
        .collect()
}

/// Of a frame that is a text, or an object with a function.
fn function(frame: &Value) -> String {
    text(if frame.is_object() {
        &frame["function"]
    } else {
        frame
    })
}

fn kinds(case: &Case, told: &[String]) -> Option<String> {
    let expected: Vec<&str> = case.expected.iter().map(|kind| kind.name()).collect();
    let is_start = told.len() >= expected.len() && told.iter().zip(&expected).all(|(a, b)| a == b);
    if case.instead.iter().any(|kind| told == [kind.name()]) {
        return None;
    }
    let allowed = |kind: &String| case.allowed.iter().any(|allowed| allowed.name() == kind);
    if is_start && told[expected.len()..].iter().all(allowed) {
        return None;
    }
    Some(format!(
        "told {}, not {}",
        told.join(", "),
        expected.join(", ")
    ))
}

fn misses(wanted: &str, stack: &[String]) -> Option<String> {
    let is_it = |frame: &String| wanted.split('|').any(|name| frame.contains(name));
    (!stack.iter().any(is_it)).then(|| format!("{wanted} is not in the first stack"))
}

fn bytes(case: &Case, told: f64, truth: Option<f64>) -> Option<String> {
    let (truth, tolerance) = (truth?, case.bytes.as_ref()?.tolerance);
    let off = (told - truth) / truth * 100.0;
    // Not the other way round: what is no number is off.
    let is_right = off.abs() <= tolerance;
    (!is_right).then(|| format!("{told:.0} bytes told of {truth:.0}, {off:+.1}%"))
}

fn unsaid(words: &str, verdict: &Value) -> Option<String> {
    let all = verdict.to_string();
    (!all.contains(words)).then(|| format!("nothing said of {words}"))
}

/// The verdict is of the process whose truth it is.
fn process(run: &Run, verdict: &Value, end: u64) -> anyhow::Result<Option<String>> {
    let wanted = run.truth.pid_at(end).context("no process told the truth")?;
    if verdict["process"].is_null() {
        return Ok(Some("of no process".to_owned()));
    }
    let processes = run.report["processes"].as_array().into_iter().flatten();
    let pid = processes
        .filter(|process| process["id"] == verdict["process"])
        .find_map(|process| process["pid"].as_u64());
    Ok((pid != Some(wanted)).then(|| format!("of process {pid:?}, not {wanted}")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::corpus::truth::Truth;

    fn case(more: &str) -> Case {
        toml::from_str(&format!(
            "name='c'\nwhy='w'\nprogram='c/p.c'\nseconds=1\n{more}"
        ))
        .unwrap()
    }

    fn judged(case: &Case, verdicts: Value) -> Vec<String> {
        let truth = "{\"ns\":0,\"pid\":7,\"leaked\":0}\n{\"ns\":100,\"pid\":7,\"leaked\":1000}\n";
        let report = serde_json::json!({
            "window": {"start_monotonic_ns": "0", "end_monotonic_ns": 100},
            "processes": [{"id": 3, "pid": 7}, {"id": 4, "pid": 8}],
            "verdicts": verdicts,
        });
        let run = Run {
            report,
            truth: Truth::parse(truth).unwrap(),
        };
        judge(case, 1, &run).unwrap().wrong
    }

    fn leak(bytes: u64, process: u64, function: &str) -> Value {
        serde_json::json!({
            "kind": "leak", "confidence": "sure", "bytes": bytes, "process": process,
            "summary": "pymalloc arenas grow",
            "stacks": [{"share": 1.0, "frames": [{"function": "malloc"}, {"function": function}]}],
        })
    }

    /// Right is only what has kind, bytes, function and process right.
    #[test]
    fn each_thing_counts() {
        let case =
            case("expected=['leak']\nfunction='keep|hold'\nbytes={of='leaked'}\nsays='arenas'");
        let wrong = |verdict: Value| judged(&case, serde_json::json!([verdict])).len();
        assert_eq!(wrong(leak(1049, 3, "keep")), 0);
        assert_eq!(wrong(leak(951, 3, "hold")), 0);
        assert_eq!(wrong(leak(1051, 3, "keep")), 1);
        assert_eq!(wrong(leak(1000, 4, "keep")), 1);
        assert_eq!(wrong(leak(1000, 3, "pass")), 1);
        assert_eq!(wrong(serde_json::json!({"kind": "leak"})), 4);
        assert_eq!(judged(&case, Value::Null).len(), 1);
    }

    /// A healthy program is accused by any verdict beside, and several causes have an order.
    #[test]
    fn kinds_have_an_order() {
        let told = |kinds: &[&str]| {
            kinds
                .iter()
                .map(|kind| (*kind).to_owned())
                .collect::<Vec<_>>()
        };
        let healthy = case("expected=['healthy']");
        assert_eq!(kinds(&healthy, &told(&["healthy"])), None);
        assert!(kinds(&healthy, &told(&["healthy", "leak"])).is_some());
        let spared = case("expected=['healthy']\ninstead=['not-enough-data']");
        assert_eq!(kinds(&spared, &told(&["not-enough-data"])), None);
        assert!(kinds(&spared, &told(&["not-enough-data", "leak"])).is_some());
        let two = case("expected=['leak','send-buffer']\nallowed=['retention']");
        assert_eq!(
            kinds(&two, &told(&["leak", "send-buffer", "retention"])),
            None
        );
        assert!(kinds(&two, &told(&["leak"])).is_some());
        assert!(kinds(&two, &told(&["send-buffer", "leak"])).is_some());
    }
}
