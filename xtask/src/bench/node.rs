//! A node HTTP server's throughput. Client and server share the machine, so
//! what tracing takes from the server it takes from the client as well.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{
    Bench, Row,
    measure::median,
    processes::Program,
    tracer::{EXACT, Tracer, number},
};

/// The server, and the port it listens on.
pub fn server(bench: &Bench, mode: &str) -> anyhow::Result<(Program, String)> {
    Program::start(
        Command::new("node")
            .arg(bench.root.join("xtask/bench/server.js"))
            .arg(mode),
    )
}

/// How far the client was, over time: monotonic ns, and answers so far.
pub struct Progress(Vec<(f64, f64)>);

impl Progress {
    /// Sends requests for some seconds.
    pub fn run(bench: &Bench, port: &str, seconds: u32) -> anyhow::Result<Self> {
        let (mut client, mut line) = Program::start(
            Command::new("node")
                .arg(bench.root.join("xtask/bench/client.js"))
                .args([port, &seconds.to_string()]),
        )?;
        let mut points = Vec::new();
        while line != "end" {
            let (time, done) = line.split_once(' ').context("client.js writes pairs")?;
            points.push((time.parse()?, done.parse()?));
            line = client.next_line()?;
        }
        ensure!(points.len() > 1, "client.js wrote too little");
        Ok(Self(points))
    }

    /// Answers a second up to a time, monotonic ns; `None` if that is too short to say.
    fn rate_until(&self, end_ns: f64) -> Option<f64> {
        let first = self.0.first()?;
        let last = self.0.iter().rfind(|point| point.0 <= end_ns)?;
        let seconds = (last.0 - first.0) / 1e9;
        (seconds >= 0.5).then(|| (last.1 - first.1) / seconds)
    }

    /// Answers in all.
    pub fn answers(&self) -> f64 {
        self.0.last().map_or(0.0, |point| point.1)
    }

    /// Answers a second.
    pub fn rate(&self) -> f64 {
        self.rate_until(f64::INFINITY).unwrap_or(f64::NAN)
    }
}

/// What came of one way to trace, over all rounds.
#[derive(Default)]
struct Way {
    rates: Vec<f64>,
    rates_while_traced: Vec<f64>,
    calls: Vec<f64>,
    seconds: Vec<f64>,
    levels: Vec<String>,
    notes: Vec<String>,
}

impl Way {
    fn add(&mut self, progress: &Progress, report: &Value) -> anyhow::Result<()> {
        self.rates.push(progress.rate());
        let end = number(&report["window"]["end_monotonic_ns"])?;
        self.rates_while_traced.extend(progress.rate_until(end));
        let seconds = number(&report["window"]["seconds"])?;
        let mut calls = number(&report["totals"]["allocated_blocks"])?
            + number(&report["totals"]["freed_blocks"])?;
        calls += number(&report["unmatched_frees"])?;
        self.calls.push(calls / seconds);
        self.seconds.push(seconds);
        let level = report["level"].as_str().unwrap_or("unknown").to_owned();
        if !self.levels.contains(&level) {
            self.levels.push(level);
        }
        let notes = report["notes"].as_array().into_iter().flatten();
        self.notes
            .extend(notes.filter_map(|note| Some(note.as_str()?.to_owned())));
        Ok(())
    }

    fn ended_early(&self) -> usize {
        self.notes
            .iter()
            .filter(|note| note.starts_with("Ended early"))
            .count()
    }
}

/// Untraced, at defaults and with every call, by turns.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let seconds = if bench.quick { 3 } else { 8 };
    let (server, port) = server(bench, "plain")?;
    Progress::run(bench, &port, 3)?;
    let mut untraced = Vec::new();
    let (mut defaults, mut exact) = (Way::default(), Way::default());
    for _ in 0..bench.rounds() {
        untraced.push(Progress::run(bench, &port, seconds)?.rate());
        for (way, arguments) in [(&mut defaults, &[][..]), (&mut exact, EXACT)] {
            let tracer = Tracer::attach(&bench.memtrace, server.pid(), arguments)?;
            let progress = Progress::run(bench, &port, seconds)?;
            way.add(&progress, &tracer.end()?.1)?;
        }
    }
    let untraced = median(untraced);
    Ok(vec![
        Row::plain(
            "node HTTP server, untraced",
            format!("{untraced:.0} requests/s"),
        ),
        at_defaults(&defaults, untraced, bench.rounds()),
        Row::plain(
            "node HTTP server, every call (--max-overhead off)",
            format!(
                "{}, at {:.0} k allocator calls/s",
                share(&exact.rates, untraced),
                median(exact.calls) / 1e3
            ),
        ),
    ])
}

/// Judged while memtrace traces: a trace that ended costs nothing, and traces nothing.
fn at_defaults(way: &Way, untraced: f64, rounds: usize) -> Row {
    let early = way.ended_early();
    let mut text = format!(
        "while traced {}; over all the time {}; level {}",
        share(&way.rates_while_traced, untraced),
        share(&way.rates, untraced),
        way.levels.join(" or "),
    );
    if early > 0 {
        text += &format!(
            "; {early} of {rounds} traces ended early to spare the target, after {:.1} s (median)",
            median(way.seconds.clone())
        );
    }
    Row::goal(
        "node HTTP server, defaults (--max-overhead 20)",
        text,
        "≥ 90% of untraced",
        median(way.rates_while_traced.clone()) >= 0.9 * untraced && early == 0,
    )
}

fn share(rates: &[f64], untraced: f64) -> String {
    let rate = median(rates.to_vec());
    format!("{rate:.0} requests/s, {:.0}%", rate / untraced * 100.0)
}
