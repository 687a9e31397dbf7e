//! What following children costs a shell script that does little but start
//! programs, and what counting them costs where they are not followed.

use std::process::Command;

use super::{
    Bench, Row,
    measure::median,
    processes::Program,
    tracer::{EXACT, Tracer},
};

/// Programs started for each answer.
const PROGRAMS: u32 = 400;
/// Answers of which the median is taken.
const ANSWERS: usize = 5;

/// The script, untraced and followed, by turns.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let script = format!(
        "echo up; while read line; do start=${{EPOCHREALTIME/./}}; \
         for i in {{1..{PROGRAMS}}}; do /bin/true; done; \
         echo $(( ${{EPOCHREALTIME/./}} - start )); done"
    );
    let (mut program, _) = Program::start(Command::new("bash").args(["-c", &script]))?;
    let (mut untraced, mut counted, mut followed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        untraced.push(cost(&mut program)?);
        for (arguments, costs) in [(&[][..], &mut counted), (&["--follow"], &mut followed)] {
            let arguments = [EXACT, arguments].concat();
            let tracer = Tracer::attach(&bench.memtrace, program.pid(), &arguments)?;
            costs.push(cost(&mut program)?);
            tracer.end()?;
        }
    }
    let (untraced, counted, followed) = (median(untraced), median(counted), median(followed));
    let result = |cost: f64| format!("{cost:.0} µs a program, {:.2} x untraced", cost / untraced);
    Ok(vec![
        Row::plain(
            "shell script that starts programs, untraced",
            format!("{untraced:.0} µs a program"),
        ),
        Row::plain(
            "the same, shell traced (every call), children counted",
            result(counted),
        ),
        Row::goal(
            "the same with --follow",
            result(followed),
            "≤ 1.3 x untraced",
            followed / untraced <= 1.3,
        ),
    ])
}

/// Time on the wall for one program, µs: one answer to warm up, then the median of some.
fn cost(program: &mut Program) -> anyhow::Result<f64> {
    program.numbers()?;
    let mut costs = Vec::new();
    for _ in 0..ANSWERS {
        let answer = program.numbers()?;
        costs.push(answer.first().copied().unwrap_or(f64::NAN) / f64::from(PROGRAMS));
    }
    Ok(median(costs))
}
