//! What `memtrace host` takes: of a host on which nothing happens, of a busy node server, and
//! while processes come and go.

use std::{
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use super::{
    Bench, Row,
    measure::{cpu_seconds, median},
    node::{Progress, server},
    processes::Group,
    watch::Daemon,
};

/// Processes that do nothing.
const IDLE: usize = 300;
/// Processes a minute that come and go.
const COMING: u32 = 10_000;
const GOAL: &str = "< 1% of a core and < 150 MB";
const MB: f64 = 1e6;

/// Each beside a daemon at its default settings.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = vec![idle(bench)?];
    rows.extend(busy(bench)?);
    rows.push(coming(bench)?);
    Ok(rows)
}

/// What a daemon takes from its beginning on.
struct Meter {
    cpu: f64,
    started: Instant,
}

/// Percent of one processor, and MB.
struct Taken {
    cpu: f64,
    resident: f64,
    maps: f64,
}

impl Meter {
    fn begin(daemon: &Daemon) -> anyhow::Result<Self> {
        let cpu = daemon.cpu_seconds()?;
        let started = Instant::now();
        Ok(Self { cpu, started })
    }

    fn end(&self, daemon: &Daemon) -> anyhow::Result<Taken> {
        let cpu = daemon.cpu_seconds()? - self.cpu;
        let (resident, maps) = daemon.memory_bytes()?;
        Ok(Taken {
            cpu: cpu / self.started.elapsed().as_secs_f64() * 100.0,
            resident: resident / MB,
            maps: maps / MB,
        })
    }
}

impl Taken {
    fn told(&self) -> String {
        format!(
            "{:.2}% of a core; {:.0} MB resident with its file worker, {:.0} MB of maps",
            self.cpu, self.resident, self.maps
        )
    }

    fn is_little(&self) -> bool {
        self.cpu < 1.0 && self.resident + self.maps < 150.0
    }
}

fn idle(bench: &Bench) -> anyhow::Result<Row> {
    let sleeping = || Group::spawn(Command::new("sleep").arg("3600"));
    let _idle: Vec<Group> = (0..IDLE).map(|_| sleeping()).collect::<Result<_, _>>()?;
    let directory = tempfile::tempdir()?;
    let daemon = Daemon::start(&bench.memtrace, directory.path(), &[])?;
    daemon.look()?;
    let meter = Meter::begin(&daemon)?;
    for _ in 0..if bench.quick { 2 } else { 12 } {
        daemon.look()?;
    }
    let taken = meter.end(&daemon)?;
    daemon.stop()?;
    Ok(Row::goal(
        &format!("memtrace host, {IDLE} processes that sleep"),
        taken.told(),
        GOAL,
        taken.is_little(),
    ))
}

/// Requests a second, and the server's CPU time of one, by turns; the ratio of each turn.
fn busy(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (server, port) = server(bench, "plain")?;
    let directory = tempfile::tempdir()?;
    // As long as the time between two looks: each turn has one.
    let seconds = if bench.quick { 3 } else { 10 };
    let turn = || {
        let before = cpu_seconds(server.pid())?;
        let progress = Progress::run(bench, &port, seconds)?;
        let cpu = cpu_seconds(server.pid())? - before;
        anyhow::Ok((progress.rate(), progress.answers() / cpu))
    };
    turn()?;
    let (mut by_time, mut by_cpu, mut taken) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..bench.rounds() * 3 {
        let watched = || {
            let daemon = Daemon::start(&bench.memtrace, directory.path(), &[])?;
            let meter = Meter::begin(&daemon)?;
            let result = turn()?;
            let cpu = meter.end(&daemon)?.cpu;
            daemon.stop()?;
            anyhow::Ok((result, cpu))
        };
        // Which comes first changes.
        let ((with, cpu), without) = if round % 2 == 0 {
            (watched()?, turn()?)
        } else {
            let without = turn()?;
            (watched()?, without)
        };
        by_time.push(with.0 / without.0 * 100.0);
        by_cpu.push(with.1 / without.1 * 100.0);
        taken.push(cpu);
    }
    let (time, spread) = (median(by_time.clone()), spread(by_time));
    Ok(vec![
        Row::goal(
            "node HTTP server beside memtrace host",
            format!(
                "{time:.1}% of the requests/s without it (half of the rounds: {:.1} to {:.1}%)",
                spread.0, spread.1
            ),
            "≥ 99%",
            time >= 99.0,
        ),
        Row::plain(
            "the same, in the server's CPU time",
            format!(
                "{:.1}% of the requests in a second of it; the daemon itself {:.1}% of a core",
                median(by_cpu),
                median(taken)
            ),
        ),
    ])
}

/// Between which half of some numbers are.
fn spread(mut numbers: Vec<f64>) -> (f64, f64) {
    numbers.sort_by(f64::total_cmp);
    let at = |part: usize| numbers.get(numbers.len() * part / 4).copied();
    (at(1).unwrap_or(f64::NAN), at(3).unwrap_or(f64::NAN))
}

/// Half of them end at once, half live for a second.
fn coming(bench: &Bench) -> anyhow::Result<Row> {
    let directory = tempfile::tempdir()?;
    let daemon = Daemon::start(&bench.memtrace, directory.path(), &[])?;
    let meter = Meter::begin(&daemon)?;
    let minute = Duration::from_secs(if bench.quick { 10 } else { 60 });
    let started = Instant::now();
    let (mut number, mut living) = (0_u32, Vec::<Child>::new());
    while started.elapsed() < minute {
        let mut command = Command::new(if number.is_multiple_of(2) {
            "true"
        } else {
            "sleep"
        });
        living.push(command.arg("1").spawn()?);
        number += 1;
        living.retain_mut(|it| matches!(it.try_wait(), Ok(None)));
        let due = started + Duration::from_secs(60) * number / COMING;
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let rate = f64::from(number) / started.elapsed().as_secs_f64() * 60.0;
    let taken = meter.end(&daemon)?;
    daemon.look()?;
    daemon.stop()?;
    for mut child in living {
        child.wait()?;
    }
    Ok(Row::goal(
        &format!("the same while {rate:.0} processes a minute come and go"),
        taken.told(),
        GOAL,
        taken.is_little(),
    ))
}
