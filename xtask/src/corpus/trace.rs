//! One run of a case under memtrace, at its default settings.

use std::{
    fs::File,
    os::fd::{AsRawFd as _, OwnedFd},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::io::{FdFlags, fcntl_setfd};
use serde_json::Value;

use super::{
    build::Workplace,
    case::{Case, Start},
    scenario::Scenario,
    truth::Truth,
};
use crate::bench::processes::{Group, Lines};

/// To attach, and to write everything after the window.
const PATIENCE: Duration = Duration::from_secs(180);

/// What came of it.
pub struct Run {
    pub report: Value,
    pub truth: Truth,
}

/// Runs a case once.
pub fn run(memtrace: &Path, place: &Workplace, case: &Case, seed: u64) -> anyhow::Result<Run> {
    let directory = tempfile::tempdir()?;
    match case.start {
        Start::Attach => attach(memtrace, place.command(case)?, case, seed, directory.path()),
        Start::Run => from_start(memtrace, place.command(case)?, case, seed, directory.path()),
    }
}

fn attach(
    memtrace: &Path,
    command: Command,
    case: &Case,
    seed: u64,
    directory: &Path,
) -> anyhow::Result<Run> {
    let mut scenario = Scenario::start(command, seed, directory)?;
    let pids: Vec<String> = scenario.ready()?.iter().map(u32::to_string).collect();
    let mut command = Command::new(memtrace);
    let (reader, writer) = ready_pipe()?;
    command.args(["-p", &pids.join(",")]);
    trace_arguments(&mut command, case, directory, &writer);
    let said = directory.join("memtrace");
    command.stdin(Stdio::null()).stdout(File::create(&said)?);
    command.stderr(File::options().append(true).open(&said)?);
    let mut tracer = Group::spawn(&mut command)?;
    drop(writer);
    let complaint = || std::fs::read_to_string(&said).unwrap_or_default();
    let line = Lines::new(reader).next(Instant::now() + PATIENCE);
    ensure!(
        line.is_ok_and(|line| line == "ready"),
        "memtrace did not get ready: {}",
        complaint()
    );
    scenario.go()?;
    let window = Duration::from_secs(case.seconds.into());
    let status = tracer.wait(Instant::now() + window + PATIENCE)?;
    ensure!(status.success(), "memtrace: {status}: {}", complaint());
    taken(&scenario, directory)
}

fn from_start(
    memtrace: &Path,
    program: Command,
    case: &Case,
    seed: u64,
    directory: &Path,
) -> anyhow::Result<Run> {
    let mut command = Command::new(memtrace);
    let (reader, writer) = ready_pipe()?;
    command.arg("run");
    trace_arguments(&mut command, case, directory, &writer);
    command
        .arg("--")
        .arg(program.get_program())
        .args(program.get_args());
    command.envs(
        program
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let mut scenario = Scenario::start(command, seed, directory)?;
    drop(writer);
    let line = Lines::new(reader).next(Instant::now() + PATIENCE);
    ensure!(
        line.is_ok_and(|line| line == "ready"),
        "memtrace did not get ready: {}",
        scenario.said()
    );
    scenario.ready()?;
    scenario.go()?;
    let window = Duration::from_secs(case.seconds.into());
    // It waits for the program's end when it has written everything.
    scenario.wait_for("end of the trace", window + PATIENCE, |scenario| {
        Ok(scenario
            .said()
            .contains("the trace has ended")
            .then_some(()))
    })?;
    let run = taken(&scenario, directory)?;
    scenario.end()?;
    Ok(run)
}

fn ready_pipe() -> anyhow::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = std::io::pipe()?;
    Ok((reader.into(), writer.into()))
}

fn trace_arguments(command: &mut Command, case: &Case, directory: &Path, ready: &OwnedFd) {
    for name in ["SUDO_USER", "SUDO_UID", "SUDO_GID"] {
        command.env_remove(name);
    }
    let fd = ready.as_raw_fd();
    command
        .args(["-d", &format!("{}s", case.seconds)])
        .args(["--ready-fd", &fd.to_string()])
        .arg("-o")
        .arg(directory.join("out"));
    let inherit = move || {
        // SAFETY: the descriptor is open until after the fork.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        Ok(fcntl_setfd(fd, FdFlags::empty())?)
    };
    // SAFETY: one system call between fork and exec. Only this child inherits it: others of other
    // threads would keep the pipe open.
    unsafe { std::os::unix::process::CommandExt::pre_exec(command, inherit) };
}

fn taken(scenario: &Scenario, directory: &Path) -> anyhow::Result<Run> {
    let report = std::fs::read(directory.join("out/report.json")).context("no report.json")?;
    Ok(Run {
        report: serde_json::from_slice(&report)?,
        truth: scenario.truth()?,
    })
}
