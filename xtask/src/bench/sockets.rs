//! What one look at 10,000 connections costs; then the probes (`echo`).

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{
    Bench, Row, echo,
    load::Load,
    measure::{self, median},
    tracer::number,
};

/// Both ends are on this machine: the sockets are twice as many.
const CONNECTIONS: u32 = 10_000;

/// The look, then the probes.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = look(bench)?;
    rows.extend(echo::run(bench)?);
    Ok(rows)
}

/// The ways to look: by iterators, by `sock_diag`, and `ss`.
fn looks(bench: &Bench) -> [Command; 3] {
    let memtrace = |arguments: &[&str]| {
        let mut command = Command::new(&bench.memtrace);
        command.args(["sockets", "--json"]).args(arguments);
        command
    };
    let mut ss = Command::new("ss");
    ss.arg("-tmi");
    [memtrace(&[]), memtrace(&["--sock-diag"]), ss]
}

/// CPU time, ms, of each way to look, and the iterators' last answer.
fn cpu_of_looks(bench: &Bench) -> anyhow::Result<([f64; 3], Value)> {
    let mut answer = Value::Null;
    let mut medians = [0.0; 3];
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..bench.rounds() {
        for (way, times) in times.iter_mut().enumerate() {
            let mut commands = looks(bench);
            let command = commands[way].stderr(Stdio::inherit());
            let before = measure::children_cpu_seconds()?;
            let output = command.output().with_context(|| format!("{command:?}"))?;
            times.push((measure::children_cpu_seconds()? - before) * 1e3);
            ensure!(output.status.success(), "{command:?} failed");
            if way == 0 {
                answer = serde_json::from_slice(&output.stdout)?;
            }
        }
    }
    for (median_time, times) in medians.iter_mut().zip(times) {
        *median_time = median(times);
    }
    Ok((medians, answer))
}

fn look(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (idle, before) = cpu_of_looks(bench)?;
    let connections = CONNECTIONS.to_string();
    let arguments = ["echo", &connections, &connections];
    let _program = Load::start(Command::new(&bench.load).args(arguments))?;
    let (busy, after) = cpu_of_looks(bench)?;
    let count = |look: &Value| number(&look["host_sums"]["connections"]);
    let sockets = count(&after)? - count(&before)?;
    ensure!(
        sockets >= f64::from(2 * CONNECTIONS),
        "a look saw {sockets} sockets more"
    );
    let way = |way: usize| busy[way] - idle[way];
    let text = |number: usize| {
        format!(
            "{:.0} ms, {:.2} x memtrace's iterators (the whole command {:.0} ms, without these sockets {:.0} ms)",
            way(number),
            way(number) / way(0),
            busy[number],
            idle[number],
        )
    };
    let each = way(0) / sockets * 1e4;
    Ok(vec![
        Row::goal(
            &format!(
                "memtrace sockets, {CONNECTIONS} TCP connections, both ends here: CPU of the look at these {sockets:.0} sockets"
            ),
            format!(
                "{:.0} ms, {each:.0} ms for 10,000 sockets (the whole command {:.0} ms, without these sockets {:.0} ms)",
                way(0),
                busy[0],
                idle[0],
            ),
            "< 50 ms for 10,000 sockets",
            each < 50.0,
        ),
        Row::plain("the same by sock_diag (--sock-diag)", text(1)),
        Row::plain("the same sockets by ss -tmi", text(2)),
    ])
}
