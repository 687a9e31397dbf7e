//! What one look at 10,000 connections costs, and what watching the sockets takes
//! from a server that does nothing but echo.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::{
    Bench, Row,
    load::{Cost, Load},
    measure::{self, median},
    tracer::{EXACT, Tracer, number},
};

/// Both ends are on this machine: the sockets are twice as many.
const CONNECTIONS: u32 = 10_000;
/// Messages for each answer, to and fro, by how many connections carry them.
const ECHOES: [(u32, &str); 2] = [(1, "30000"), (64, "51200")];
/// Turns for each of the bench's rounds: what is sought is a percent or two.
const TURNS: usize = 2;

/// The look, then the probes.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = look(bench)?;
    rows.extend(echo(bench)?);
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

/// What came of one number of connections: time on the wall and CPU time of both ends,
/// ns a message, in each turn.
#[derive(Default)]
struct Echo {
    untraced: Vec<Cost>,
    without: Vec<Cost>,
    with: Vec<Cost>,
}

impl Echo {
    /// What a message takes more, %: the median over the turns.
    fn more(with: &[Cost], without: &[Cost], of: fn(&Cost) -> f64) -> f64 {
        let ratios = with.iter().zip(without).map(|(a, b)| of(a) / of(b));
        (median(ratios.collect()) - 1.0) * 100.0
    }
}

/// Untraced, traced without the sockets, and with them, by turns. The order changes
/// from turn to turn.
fn echo(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let start = |(connections, messages): (u32, &str)| {
        let arguments = ["echo", &connections.to_string(), messages];
        let load = Load::start(Command::new(&bench.load).args(arguments))?;
        anyhow::Ok((connections, load, Echo::default()))
    };
    let mut echoes = ECHOES
        .map(start)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let quiet = [EXACT, &["--no-mappings", "--no-heap"]].concat();
    let blind = [&quiet[..], &["--no-sockets"]].concat();
    for turn in 0..bench.rounds() * TURNS {
        for (_, load, echo) in &mut echoes {
            for way in 0..3 {
                let (arguments, costs) = match (way + turn) % 3 {
                    0 => (None, &mut echo.untraced),
                    1 => (Some(&blind), &mut echo.without),
                    _ => (Some(&quiet), &mut echo.with),
                };
                let tracer = arguments
                    .map(|arguments| Tracer::attach(&bench.memtrace, load.pid(), arguments))
                    .transpose()?;
                costs.push(load.cost()?);
                tracer.map(Tracer::end).transpose()?;
            }
        }
    }
    Ok(echoes
        .into_iter()
        .flat_map(|(connections, _, echo)| rows(connections, &echo))
        .collect())
}

fn rows(connections: u32, echo: &Echo) -> [Row; 2] {
    let middle = |of: fn(&Cost) -> f64| median(echo.untraced.iter().map(of).collect());
    let (wall, cpu) = (|cost: &Cost| cost.wall_ns, |cost: &Cost| cost.cpu_ns);
    // Both ends together are all that a message takes, so the throughput at full speed
    // is that of its CPU time; time on the wall has other work in it.
    let more = Echo::more(&echo.with, &echo.without, cpu);
    [
        Row::plain(
            &format!("TCP echo on loopback, 64 bytes, {connections} connection(s), untraced"),
            format!(
                "{:.0} messages/s, {:.0} ns CPU of both ends each",
                1e9 / middle(wall),
                middle(cpu)
            ),
        ),
        Row::goal(
            "the same, server traced, its sockets watched",
            format!(
                "a message takes {more:+.1}% CPU and {:+.1}% time on the wall against --no-sockets ({:+.1}% and {:+.1}% against untraced)",
                Echo::more(&echo.with, &echo.without, wall),
                Echo::more(&echo.with, &echo.untraced, cpu),
                Echo::more(&echo.with, &echo.untraced, wall),
            ),
            "< 3% CPU against --no-sockets",
            more < 3.0,
        ),
    ]
}
