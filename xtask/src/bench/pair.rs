//! What a malloc+free pair costs: untraced, with empty probes, traced, and
//! under other tools; and the same over threads.

use std::{path::Path, process::Command};

use super::{
    Row,
    processes::{Program, Tracer, median},
};

const REPEATS: usize = 5;
/// Five levels, the loop and its thread function, two of `main` and libc: 10 frames.
const DEPTH: &str = "4";

/// CPU ns a pair, median of several runs.
fn cost(
    load: &Path,
    threads: &str,
    pairs: &str,
    beside: impl FnOnce(u32) -> anyhow::Result<Option<Tracer>>,
) -> anyhow::Result<(f64, f64)> {
    let (mut program, _) =
        Program::start(Command::new(load).args(["pairs", pairs, DEPTH, threads]))?;
    let tracer = beside(program.pid())?;
    program.work()?;
    let (mut cpu, mut wall) = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        let answer = program.work()?;
        let (first, second) = answer.split_once(' ').unwrap_or((&answer, "0"));
        cpu.push(first.parse()?);
        wall.push(second.parse()?);
    }
    drop(tracer);
    Ok((median(cpu), median(wall)))
}

/// The pair, against the floor and other tools.
pub fn pair(load: &Path, memtrace: &Path) -> anyhow::Result<Vec<Row>> {
    const PAIRS: &str = "200000";
    let untraced = cost(load, "1", "2000000", |_| Ok(None))?.0;
    let floor = cost(load, "1", PAIRS, |pid| {
        Tracer::floor(memtrace, pid).map(Some)
    })?
    .0;
    let traced = cost(load, "1", PAIRS, |pid| exact(memtrace, pid).map(Some))?.0;
    let floor_again = cost(load, "1", PAIRS, |pid| {
        Tracer::floor(memtrace, pid).map(Some)
    })?
    .0;
    let floor = (floor + floor_again) / 2.0;
    let mut rows = vec![
        Row::plain("pair, untraced", format!("{untraced:.0} ns")),
        Row::plain(
            "pair, three empty probes (the floor)",
            format!("{floor:.0} ns"),
        ),
        Row::goal(
            "pair, memtrace exact, 10 frames",
            format!("{traced:.0} ns, {:.2} x the floor", traced / floor),
            "≤ 1.6 x the floor",
            traced / floor <= 1.6,
        ),
    ];
    rows.push(Row::plain(
        "pair, heaptrack (LD_PRELOAD, program restarted)",
        others(heaptrack(load)),
    ));
    rows.push(Row::plain(
        "pair, bpftrace (malloc, its return, free; one map; user stacks)",
        others(bpftrace(load)),
    ));
    Ok(rows)
}

fn exact(memtrace: &Path, pid: u32) -> anyhow::Result<Tracer> {
    Tracer::attach(memtrace, pid, &["--max-overhead", "off"])
}

fn others(cost: anyhow::Result<f64>) -> String {
    cost.map_or_else(
        |error| format!("not measured: {error}"),
        |cost| format!("{cost:.0} ns"),
    )
}

/// heaptrack writes its record to a pipe's end that compresses it: the cost is the program's own.
fn heaptrack(load: &Path) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let (mut program, _) = Program::start(
        Command::new("heaptrack")
            .args(["--record-only", "-o"])
            .arg(directory.path().join("record"))
            .arg(load)
            .args(["pairs", "200000", DEPTH, "1"]),
    )
    .and_then(|(mut program, mut line)| {
        // heaptrack says a few words of its own first.
        while line != "up" {
            line = program.next_line()?;
        }
        Ok((program, line))
    })?;
    let mut costs = Vec::new();
    for _ in 0..REPEATS {
        costs.push(
            program
                .work()?
                .split(' ')
                .next()
                .unwrap_or_default()
                .parse()?,
        );
    }
    Ok(median(costs))
}

/// What one writes with bpftrace for the same question.
fn bpftrace(load: &Path) -> anyhow::Result<f64> {
    const SCRIPT: &str = r#"
BEGIN { printf("ready\n"); }
uprobe:LIBC:malloc { @size[tid] = arg0; }
uretprobe:LIBC:malloc /@size[tid]/ { @live[retval] = @size[tid]; @by[ustack(10)] = sum(@size[tid]); delete(@size[tid]); }
uprobe:LIBC:free /@live[arg0]/ { delete(@live[arg0]); }
"#;
    let (mut program, _) = Program::start(Command::new(load).args(["pairs", "50000", DEPTH, "1"]))?;
    let script = SCRIPT.replace("LIBC", "/lib/x86_64-linux-gnu/libc.so.6");
    let (mut tracer, mut line) = Program::start(Command::new("bpftrace").args([
        "-p",
        &program.pid().to_string(),
        "-e",
        &script,
    ]))?;
    while line != "ready" {
        line = tracer.next_line()?;
    }
    program.work()?;
    let mut costs = Vec::new();
    for _ in 0..3 {
        costs.push(
            program
                .work()?
                .split(' ')
                .next()
                .unwrap_or_default()
                .parse()?,
        );
    }
    Ok(median(costs))
}

/// The curve over threads: wall ns a pair, so that contention shows.
pub fn threads(load: &Path, memtrace: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for threads in ["1", "2", "4", "8"] {
        let untraced = cost(load, threads, "1000000", |_| Ok(None))?;
        let traced = cost(load, threads, "100000", |pid| {
            exact(memtrace, pid).map(Some)
        })?;
        rows.push(Row::plain(
            &format!("pair, {threads} threads on 2 cores"),
            format!(
                "untraced {:.0} ns CPU, {:.1} M pairs/s; traced {:.0} ns CPU, {:.2} M pairs/s",
                untraced.0,
                1e3 / untraced.1,
                traced.0,
                1e3 / traced.1
            ),
        ));
    }
    Ok(rows)
}
