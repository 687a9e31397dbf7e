//! What sampling the host's page faults takes from programs that do little but fault: by
//! turns without and with it, in CPU time, and memtrace's own share beside.

use std::{path::PathBuf, process::Command, time::Instant};

use anyhow::ensure;
use serde_json::Value;

use super::{
    Bench, Row,
    measure::{children_cpu_seconds, cpu_seconds, map_bytes, median, verified_instructions},
    processes::Program,
    tracer::number,
};

/// Of 4 MiB each, 65,536 faults in all.
const TOUCHES: &str = "64";
/// Processes of the storm.
const STORM: &str = "i=0; while [ $i -lt 300 ]; do /bin/true; i=$((i+1)); done";
/// Rounds of the script, some 90 MB each with all that it allocates.
const SCRIPT_ROUNDS: &str = "300";

/// Runs each by turns.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let touch = build(bench)?;
    let rounds = bench.rounds() * 3;
    let (mut touching, _) = Program::start(Command::new(touch).arg(TOUCHES))?;
    let pid = touching.pid();
    let mut rows = vec![
        compare(bench, rounds, "touching fresh pages in a loop", || {
            let before = cpu_seconds(pid)?;
            touching.work()?;
            Ok(cpu_seconds(pid)? - before)
        })?,
        compare(bench, rounds, "starting 300 processes", || {
            let before = children_cpu_seconds()?;
            let status = Command::new("sh").args(["-c", STORM]).status()?;
            ensure!(status.success(), "sh failed");
            Ok(children_cpu_seconds()? - before)
        })?,
    ];
    let script = bench.root.join("tests/programs/javascript/heap.js");
    rows.push(compare(
        bench,
        rounds,
        "node that allocates and does nothing else",
        || {
            let (mut program, _) = Program::start(
                Command::new("node")
                    .arg(&script)
                    .args(["shares", SCRIPT_ROUNDS]),
            )?;
            let answer: Value = serde_json::from_str(&program.work()?)?;
            number(&answer["seconds"])
        },
    )?);
    rows.push(own(bench, &mut touching)?);
    Ok(rows)
}

/// What `cost` is without and with sampling, by turns; the ratio of each turn is taken.
fn compare(
    bench: &Bench,
    rounds: usize,
    what: &str,
    mut cost: impl FnMut() -> anyhow::Result<f64>,
) -> anyhow::Result<Row> {
    cost()?;
    let mut kept = Vec::new();
    for round in 0..rounds {
        let turn = |cost: &mut dyn FnMut() -> anyhow::Result<f64>, sampled: bool| {
            let sampler = sampled.then(|| sampler(bench)).transpose()?;
            let cost = cost();
            drop(sampler);
            cost
        };
        // Which comes first changes: what was there before warms for both.
        let first = turn(&mut cost, round % 2 == 0)?;
        let second = turn(&mut cost, round % 2 == 1)?;
        let (with, without) = if round % 2 == 0 {
            (first, second)
        } else {
            (second, first)
        };
        kept.push(without / with * 100.0);
    }
    let kept = median(kept);
    Ok(Row::goal(
        &format!("page faults of the host sampled: {what}"),
        format!("{kept:.1}% of the throughput, in CPU time"),
        "≥ 99%",
        kept >= 99.0,
    ))
}

/// What it takes itself while there are faults.
fn own(bench: &Bench, touching: &mut Program) -> anyhow::Result<Row> {
    let (mut sampler, _) = start(bench)?;
    sampler.next_line()?;
    let (before, started) = (cpu_seconds(sampler.pid())?, Instant::now());
    for _ in 0..bench.rounds() * 3 {
        touching.work()?;
    }
    sampler.next_line()?;
    let share = (cpu_seconds(sampler.pid())? - before) / started.elapsed().as_secs_f64();
    let verified = verified_instructions(sampler.pid())?;
    let maps = map_bytes(sampler.pid())? / f64::from(1 << 20);
    Ok(Row::plain(
        "the same, memtrace's own",
        format!(
            "{:.1}% of a core among them; maps {maps:.0} MiB; {:.0} instructions verified",
            share * 100.0,
            verified.iter().sum::<f64>()
        ),
    ))
}

fn sampler(bench: &Bench) -> anyhow::Result<Program> {
    Ok(start(bench)?.0)
}

/// It tells of one process only, whose lines nobody has to read.
fn start(bench: &Bench) -> anyhow::Result<(Program, String)> {
    Program::start(Command::new(&bench.memtrace).args(["faults", "-p", "1"]))
}

fn build(bench: &Bench) -> anyhow::Result<PathBuf> {
    let program = bench.load.with_file_name("touches");
    let status = Command::new("cc")
        .args(["-O1", "-fno-omit-frame-pointer", "-o"])
        .arg(&program)
        .arg(bench.root.join("tests/programs/faults.c"))
        .status()?;
    ensure!(status.success(), "cc failed");
    Ok(program)
}
