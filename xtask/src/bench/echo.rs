//! What watching the sockets takes from a server that does nothing but echo.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use super::{
    Bench, Row,
    load::{Cost, Load},
    measure::median,
    tracer::{EXACT, Tracer},
};

/// Messages for each answer, to and fro, by how many connections carry them: a dozen
/// answers a second.
const ECHOES: [(u32, &str); 2] = [(1, "10000"), (64, "12800")];
/// From attaching on: the probe where targets read is there for the first three seconds
/// of a trace (`readers_are_watched` in tracer/src/collect/sockets/watched.rs), and comes and goes
/// as the trace looks around, three quarters into each second (`TICKS_A_LOOK` in
/// tracer/src/collect/look.rs): away it goes after 3.75 s and some. The seconds that are
/// measured begin soon after that, so that it is there for nearly all of one of them and
/// hardly at all in the next.
const AT_FIRST: Duration = Duration::from_millis(3_900);
/// Then it is there from one look of eight to the next, and the kernel's statistics are
/// on between two others of as many (tracer/src/collect/overhead.rs). Where sends are too
/// many their probe is there only while these are.
const CYCLE_SECONDS: usize = 8;
/// Where nothing comes and goes.
const STEADY_SECONDS: usize = 3;

/// What a message costs, to and fro, in each turn.
#[derive(Default)]
struct Echo {
    untraced: Vec<Cost>,
    floor: Vec<Cost>,
    without: Vec<Cost>,
    with: Vec<Cost>,
    /// Where the last trace took the stacks of senders.
    probes: String,
}

/// Untraced, with an empty program at the sends, traced without the sockets, and with
/// them, by turns. The order changes from turn to turn.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let start = |(connections, messages): (u32, &str)| {
        let arguments = ["echo", &connections.to_string(), messages];
        let load = Load::start(Command::new(&bench.load).args(arguments))?;
        anyhow::Ok((connections, load, Echo::default()))
    };
    let mut echoes = ECHOES
        .map(start)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    for turn in 0..bench.rounds() {
        for (_, load, echo) in &mut echoes {
            for way in 0..4 {
                match (way + turn) % 4 {
                    0 => echo.untraced.push(steady(load)?),
                    1 => {
                        let probe = Tracer::floor_of_sends(&bench.memtrace)?;
                        echo.floor.push(steady(load)?);
                        drop(probe);
                    }
                    2 => echo.without.push(traced(bench, load, &["--no-sockets"])?.0),
                    _ => {
                        let (cost, probes) = traced(bench, load, &[])?;
                        echo.with.push(cost);
                        echo.probes = probes.context("the report does not tell the probes")?;
                    }
                }
            }
        }
    }
    Ok(echoes
        .into_iter()
        .flat_map(|(connections, _, echo)| rows(connections, &echo))
        .collect())
}

fn steady(load: &mut Load) -> anyhow::Result<Cost> {
    load.work_until(Instant::now() + Duration::from_millis(200))?;
    load.cost_over(STEADY_SECONDS)
}

/// Over a whole cycle, and where stacks were taken.
fn traced(
    bench: &Bench,
    load: &mut Load,
    arguments: &[&str],
) -> anyhow::Result<(Cost, Option<String>)> {
    let arguments = [EXACT, &["--no-mappings", "--no-heap"], arguments].concat();
    let tracer = Tracer::attach(&bench.memtrace, load.pid(), &arguments)?;
    load.work_until(Instant::now() + AT_FIRST)?;
    let cost = load.cost_over(CYCLE_SECONDS)?;
    let (_, report) = tracer.end()?;
    let probes = report["sockets"]["probes"].as_str();
    Ok((cost, probes.map(str::to_owned)))
}

/// What one way costs more than another: the medians over the turns.
struct More {
    ns: f64,
    percent: f64,
}

impl More {
    fn of(some: &[Cost], others: &[Cost], of: fn(&Cost) -> f64) -> Self {
        let pairs = || some.iter().map(of).zip(others.iter().map(of));
        Self {
            ns: median(pairs().map(|(some, other)| some - other).collect()),
            percent: (median(pairs().map(|(some, other)| some / other).collect()) - 1.0) * 100.0,
        }
    }
}

fn rows(connections: u32, echo: &Echo) -> [Row; 3] {
    // Both ends together are all that a message takes, so the throughput at full speed
    // is that of its CPU time; time on the wall has other work in it.
    let (wall, cpu) = (|cost: &Cost| cost.wall_ns, |cost: &Cost| cost.cpu_ns);
    let middle = |of: fn(&Cost) -> f64| median(echo.untraced.iter().map(of).collect());
    let floor = More::of(&echo.floor, &echo.untraced, cpu);
    let more = More::of(&echo.with, &echo.without, cpu);
    // Where what lies beneath is lost among other things, there is nothing to divide by.
    let times = if floor.ns > 0.0 {
        format!("{:.1} x the floor", more.ns / floor.ns)
    } else {
        "the floor was not to be told from nothing".to_owned()
    };
    [
        Row::plain(
            &format!(
                "TCP echo on loopback, 64 bytes, {connections} connection(s), both ends on one processor, untraced"
            ),
            format!(
                "{:.0} messages/s, {:.0} ns CPU of both ends each",
                1e9 / middle(wall),
                middle(cpu)
            ),
        ),
        Row::plain(
            "the same, an empty program at the tracepoint of sends (the floor)",
            format!(
                "a message, which is two sends, takes {:+.0} ns CPU, {:+.1}%, against untraced",
                floor.ns, floor.percent
            ),
        ),
        Row::goal(
            &format!(
                "the same, server traced, its sockets watched ({})",
                echo.probes
            ),
            format!(
                "a message takes {:+.1}% CPU ({:+.0} ns, {times}) and {:+.1}% time on the wall against --no-sockets ({:+.1}% and {:+.1}% against untraced)",
                more.percent,
                more.ns,
                More::of(&echo.with, &echo.without, wall).percent,
                More::of(&echo.with, &echo.untraced, cpu).percent,
                More::of(&echo.with, &echo.untraced, wall).percent,
            ),
            "< 3% CPU against --no-sockets",
            more.percent < 3.0,
        ),
    ]
}
