//! memtrace's own CPU while it traces. The counting is done in the kernel, on
//! the target's time; this is what reading the counters takes.

use std::{process::Command, time::Instant};

use super::{
    Bench, Row,
    measure::{cpu_seconds, median},
    processes::Program,
    tracer::{EXACT, Tracer},
};

/// Half the calls: a pair is two.
const PAIRS_A_SECOND: u32 = 100_000;

/// Its share of a core.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let seconds = if bench.quick { 3 } else { 10 };
    let (mut program, _) = Program::start(Command::new(&bench.load).args([
        "rate",
        &PAIRS_A_SECOND.to_string(),
        &seconds.to_string(),
    ]))?;
    let tracer = Tracer::attach(&bench.memtrace, program.pid(), EXACT)?;
    let (mut shares, mut calls) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds().min(3) {
        let (before, started) = (cpu_seconds(tracer.pid())?, Instant::now());
        let pairs: f64 = program.work()?.parse()?;
        let elapsed = started.elapsed().as_secs_f64();
        shares.push((cpu_seconds(tracer.pid())? - before) / elapsed * 100.0);
        calls.push(2.0 * pairs / elapsed);
    }
    let share = median(shares);
    Ok(vec![Row::goal(
        "memtrace's own CPU (user and system) beside the target",
        format!(
            "{share:.2}% of a core at {:.0} k calls/s",
            median(calls) / 1e3
        ),
        "< 3% at 200 k calls/s",
        share < 3.0,
    )])
}
