//! What sampling V8's allocation takes from a script that does nothing but allocate.

use std::process::Command;

use serde_json::Value;

use super::{
    Bench, Row,
    measure::median,
    processes::Program,
    tracer::{EXACT, Tracer, number},
};

/// Rounds of the script, some 90 MB each with all that it allocates.
const ROUNDS: &str = "3000";

/// CPU time untraced, traced without V8's heap, and with it, by turns.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (mut alone, mut without, mut with) = (Vec::new(), Vec::new(), Vec::new());
    let mut samples = Vec::new();
    for _ in 0..bench.rounds() {
        alone.push(allocate(bench, None)?.0);
        let arguments = [EXACT, &["--no-js-heap"]].concat();
        without.push(allocate(bench, Some(&arguments))?.0);
        let (seconds, report) = allocate(bench, Some(EXACT))?;
        with.push(seconds);
        let heap = &report.unwrap_or_default()["javascript"]["processes"][0];
        samples.push(number(&heap["samples"])? / seconds);
    }
    let (without, with) = (median(without), median(with));
    Ok(vec![Row::plain(
        "node that allocates in V8's heap and does nothing else, who allocates sampled",
        format!(
            "{:+.1}% CPU against --no-js-heap ({:+.1}% against untraced), {:.0} samples a second of CPU",
            (with / without - 1.0) * 100.0,
            (with / median(alone) - 1.0) * 100.0,
            median(samples)
        ),
    )])
}

/// CPU seconds of one run of the script, and the report of its trace.
fn allocate(bench: &Bench, arguments: Option<&[&str]>) -> anyhow::Result<(f64, Option<Value>)> {
    let script = bench.root.join("tests/programs/javascript/heap.js");
    let (mut program, _) =
        Program::start(Command::new("node").arg(script).args(["shares", ROUNDS]))?;
    let tracer = arguments
        .map(|arguments| Tracer::attach(&bench.memtrace, program.pid(), arguments))
        .transpose()?;
    let answer: Value = serde_json::from_str(&program.work()?)?;
    let report = tracer.map(Tracer::end).transpose()?;
    Ok((number(&answer["seconds"])?, report.map(|it| it.1)))
}
