//! Unwind tables of a node process: how long they take to build, how large
//! they are, and what the verifier goes through to load the programs.

use std::process::Command;

use anyhow::{Context as _, ensure};

use super::{
    Bench, Row,
    load::{self, Load},
    measure::{median, verified_instructions},
    tracer::{EXACT, Tracer},
};

/// What `memtrace unwind-table` tells of a file.
struct Table {
    rows: f64,
    kib: f64,
    milliseconds: f64,
}

/// node's own table, and all that a node process maps together.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let node = output(Command::new("node").args(["-p", "process.execPath"]))?;
    let libraries = output(Command::new("ldd").arg(node.trim()))?;
    let files = libraries
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    let (mut own, mut all) = (Vec::new(), Vec::new());
    let mut last = None;
    for _ in 0..bench.rounds() {
        let mut command = Command::new(&bench.memtrace);
        command
            .arg("unwind-table")
            .arg(node.trim())
            .args(files.clone());
        let tables: Vec<Table> = output(&mut command)?
            .lines()
            .map(read)
            .collect::<Option<_>>()
            .context("no tables")?;
        own.push(tables[0].milliseconds);
        all.push(tables.iter().map(|table| table.milliseconds).sum());
        last = Some(tables);
    }
    let tables = last.context("no rounds")?;
    let rows: f64 = tables.iter().map(|table| table.rows).sum();
    let mib = tables.iter().map(|table| table.kib).sum::<f64>() / 1024.0;
    let (own, all) = (median(own), median(all));
    let program = Load::pairs(bench, load::PAIRS_TRACED, 1)?;
    let tracer = Tracer::attach(&bench.memtrace, program.pid(), EXACT)?;
    let verified = verified_instructions(tracer.pid())?;
    tracer.end()?;
    Ok(vec![
        Row::goal(
            &format!(
                "unwind table of node, {:.0} k rows, one thread, no cache",
                tables[0].rows / 1e3
            ),
            format!("{own:.0} ms"),
            "< 150 ms",
            own < 150.0,
        ),
        Row::goal(
            &format!(
                "unwind tables of all that a node process maps, {:.0} k rows",
                rows / 1e3
            ),
            format!("{mib:.2} MiB of rows and pages; {all:.0} ms"),
            "< 2 MiB",
            mib < 2.0,
        ),
        Row::plain(
            "instructions verified to load: the largest program, all",
            format!(
                "{:.0} k, {:.0} k",
                verified.iter().copied().fold(0.0, f64::max) / 1e3,
                verified.iter().sum::<f64>() / 1e3
            ),
        ),
    ])
}

/// `277124 rows, 12 left out, 1082.5 KiB, 61.2 ms: /usr/bin/node`
fn read(line: &str) -> Option<Table> {
    let (numbers, _) = line.split_once(": ")?;
    let mut numbers = numbers.split(", ").map(|part| {
        part.split_once(' ')
            .and_then(|(number, _)| number.parse().ok())
    });
    let rows = numbers.next()??;
    let kib = numbers.nth(1)??;
    let milliseconds = numbers.next()??;
    Some(Table {
        rows,
        kib,
        milliseconds,
    })
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
