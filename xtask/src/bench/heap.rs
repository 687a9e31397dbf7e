//! One look at a heap of four million blocks, one GiB: how long, how much memory,
//! and what it takes from the target.

use std::{
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::{Context as _, ensure};

use super::{Bench, Row, measure::median, processes::Program, tracer::number};

const BLOCKS: &str = "4000000";

/// Seconds a GiB, memory, throughput.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (mut program, _) = Program::start(Command::new(&bench.load).args(["heap", BLOCKS]))?;
    program.work()?;
    let pid = program.pid();
    let (mut per_gib, mut peak, mut gib) = (Vec::new(), 0.0_f64, 0.0);
    for _ in 0..bench.rounds() {
        let heap = look(bench, pid)?;
        ensure!(
            heap["walked"]["quality"]["is_clean"] == true,
            "a walk of a quiet heap is not clean"
        );
        let arenas = heap["walked"]["arenas"].as_array().context("no arenas")?;
        let pages = arenas
            .iter()
            .map(|arena| number(&arena["pages"]["resident_bytes"]));
        gib = pages.sum::<anyhow::Result<f64>>()? / f64::from(1 << 30);
        per_gib.push(number(&heap["cost"]["walk_seconds"])? / gib);
        peak = peak.max(number(&heap["cost"]["worker_bytes"])?);
    }
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        alone.push(program.numbers()?[0]);
        watched.push(while_looking(bench, &mut program)?);
    }
    let throughput = median(alone) / median(watched);
    let per_gib = median(per_gib);
    Ok(vec![
        Row::goal(
            &format!(
                "memtrace heap: {BLOCKS} blocks, {gib:.2} GiB resident, reader and walker on one core"
            ),
            format!("{per_gib:.2} s a GiB"),
            "≤ 0.35 s",
            per_gib <= 0.35,
        ),
        Row::goal(
            "the walker's memory then, at most",
            format!("{:.1} MB", peak / 1e6),
            "< 64 MB",
            peak < 64e6,
        ),
        Row::goal(
            "the target's throughput while it is looked at again and again",
            format!("{:.1}%", throughput * 100.0),
            "≥ 95%",
            throughput >= 0.95,
        ),
    ])
}

fn look(bench: &Bench, pid: u32) -> anyhow::Result<serde_json::Value> {
    let output = Command::new(&bench.memtrace)
        .args(["heap", "--json", "-p", &pid.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "memtrace heap failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What a change costs while one look follows the other.
fn while_looking(bench: &Bench, program: &mut Program) -> anyhow::Result<f64> {
    let (pid, is_over) = (program.pid(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let looker = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                look(bench, pid)?;
            }
            Ok::<(), anyhow::Error>(())
        });
        let cost = program.numbers().map(|numbers| numbers[0]);
        is_over.store(true, Ordering::Relaxed);
        looker.join().ok().context("the looker panicked")??;
        cost
    })
}
