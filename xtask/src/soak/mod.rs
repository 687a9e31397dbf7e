//! `cargo xtask soak`: memtrace's daemon for an hour beside a busy node host, killed again and
//! again as its targets are. What it took, what it lost and what it told.

mod kept;
mod programs;
mod requests;

use std::{
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::bench::{self, Bench, watch::Daemon};
use kept::Kept;
use programs::Programs;
use requests::Requests;

#[derive(Args)]
pub struct Options {
    /// For how long the daemon runs.
    #[arg(long, default_value_t = 60)]
    minutes: u64,
}

/// Before and after it, the server is alone for so long.
const ALONE: Duration = Duration::from_secs(90);
/// The daemon is killed when that part of the time is over, besides in the midst of its looks.
const KILLS: [f64; 4] = [0.3, 0.5, 0.7, 0.9];
/// What closer looks may take of a processor, by default.
const BUDGET: f64 = 0.01;
/// A look is disturbed when it has been under way for so long.
const INTO_LOOK: Duration = Duration::from_secs(20);

/// What was seen of the daemons meanwhile.
#[derive(Default)]
struct Seen {
    cpu_seconds: f64,
    resident_bytes: f64,
    map_bytes: f64,
    /// Unix ms.
    killed_ms: Vec<u64>,
    /// A look has lost its target, and a daemon was killed in its midst.
    look_lost_target: bool,
    look_lost_daemon: bool,
}

pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let bench = bench::prepare(root, false)?;
    let directory = root.join("target/soak");
    let _ = std::fs::remove_dir_all(&directory);
    let mut programs = Programs::start(root)?;
    let requests = Requests::start(&bench)?;
    tend_for(&mut programs, ALONE)?;
    let (from, from_ms) = (Instant::now(), now_ms()?);
    let seen = watch(&bench, &directory, options, &mut programs)?;
    let (until, until_ms) = (Instant::now(), now_ms()?);
    tend_for(&mut programs, ALONE)?;
    let kept = Kept::read(&bench.memtrace, &directory.join("history"), from_ms)?;
    let seconds = (until - from).as_secs_f64();
    let looks = kept.looks_seconds() / seconds.max(3600.0);
    println!(
        "memtrace host for {:.0} minutes, killed {} times (in the midst of a look: {}); the worker that leaks {} times (in the midst of a look: {})",
        seconds / 60.0,
        seen.killed_ms.len(),
        seen.look_lost_daemon,
        programs.kills,
        seen.look_lost_target,
    );
    println!(
        "it took {:.2}% of a core, at most {:.0} MB resident and {:.0} MB of maps; closer looks {:.2}% of a core",
        seen.cpu_seconds / seconds * 100.0,
        seen.resident_bytes / 1e6,
        seen.map_bytes / 1e6,
        looks * 100.0,
    );
    println!("{}", requests.told(from, until)?);
    for line in kept.told() {
        println!("{line}");
    }
    let lost = kept.lost(&seen.killed_ms, until_ms)?;
    println!("lost before each kill: at most {lost:.1} s");
    ensure!(looks <= BUDGET, "closer looks took more than their budget");
    kept.check()
}

/// The daemon's time.
fn watch(
    bench: &Bench,
    directory: &Path,
    options: &Options,
    programs: &mut Programs,
) -> anyhow::Result<Seen> {
    let time = Duration::from_secs(options.minutes * 60);
    let started = Instant::now();
    let mut seen = Seen::default();
    let mut kills = KILLS.iter().map(|part| time.mul_f64(*part)).peekable();
    let mut look_since: Option<Instant> = None;
    let mut daemon = Daemon::start(&bench.memtrace, directory, &[])?;
    let mut cpu = 0.0;
    while started.elapsed() < time {
        std::thread::sleep(Duration::from_secs(1));
        programs.tend()?;
        ensure!(daemon.is_alive(), "the daemon has ended by itself");
        cpu = daemon.cpu_seconds()?;
        let (resident, maps) = daemon.memory_bytes()?;
        seen.resident_bytes = seen.resident_bytes.max(resident);
        seen.map_bytes = seen.map_bytes.max(maps);
        let target = looked_at(directory);
        look_since = target.and(look_since.or_else(|| Some(Instant::now())));
        // One look loses its target, one its daemon; the others are left in peace.
        let is_into = look_since.is_some_and(|it| it.elapsed() >= INTO_LOOK);
        let mut is_cut = false;
        if is_into && target == Some(programs.worker()) && !seen.look_lost_target {
            seen.look_lost_target = true;
            programs.kill_worker()?;
        } else if is_into && !seen.look_lost_daemon {
            seen.look_lost_daemon = true;
            is_cut = true;
        }
        let is_due = kills.next_if(|at| started.elapsed() >= *at).is_some();
        if is_due || is_cut {
            look_since = None;
            seen.killed_ms.push(now_ms()?);
            daemon.kill()?;
            seen.cpu_seconds += cpu;
            daemon = Daemon::start(&bench.memtrace, directory, &[])?;
        }
    }
    seen.cpu_seconds += cpu;
    daemon.stop()?;
    Ok(seen)
}

/// At whom a closer look is under way.
fn looked_at(directory: &Path) -> Option<u32> {
    let under_way = std::fs::read_dir(directory.join("history/incoming"));
    let name = under_way.ok()?.flatten().next()?.file_name();
    let (_, pid) = name.to_str()?.rsplit_once('-')?;
    pid.parse().ok()
}

fn tend_for(programs: &mut Programs, time: Duration) -> anyhow::Result<()> {
    let started = Instant::now();
    while started.elapsed() < time {
        std::thread::sleep(Duration::from_secs(1));
        programs.tend()?;
    }
    Ok(())
}

fn now_ms() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Ok(u64::try_from(
        since.context("a clock before 1970")?.as_millis(),
    )?)
}
