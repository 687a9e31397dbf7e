//! `memtrace faults`: samples the host's page faults as `memtrace host` does, until
//! standard input closes. After `{"event":"ready"}` it writes a line of JSON each time that
//! it takes what was sampled.

use std::{
    collections::BTreeMap,
    io,
    process::ExitCode,
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use super::{arguments, printer::Printer};
use crate::{
    collect::host::faults::Faults,
    model::{Frame, host::FaultedStack},
    probe::{FaultLimits, KernelTypes},
};

/// Stacks of a process that are told.
const STACKS: usize = 50;

#[derive(Serialize)]
struct Line {
    processes: Vec<Process>,
    stacks: BTreeMap<u64, Vec<Frame>>,
    /// From here on, since the start.
    faults: u64,
    runs: u64,
    samples: u64,
    sample_ns: u64,
    map_bytes: u64,
    longest_take_ms: f64,
    losses: BTreeMap<String, u64>,
    notes: Vec<String>,
}

#[derive(Default, Serialize)]
struct Process {
    pid: u32,
    start_time: u64,
    faulted: Vec<FaultedStack>,
    file_bytes: u64,
}

pub fn run(arguments: &arguments::Faults, printer: &Printer) -> anyhow::Result<ExitCode> {
    let types = KernelTypes::of_this_kernel()?;
    let mut faults = Faults::start(&types, FaultLimits::default())?;
    drop(types);
    printer.text(b"{\"event\":\"ready\"}\n");
    let every = Duration::from_millis(u64::from(arguments.every_ms));
    let (mut longest, mut is_over) = (Duration::ZERO, false);
    while !is_over {
        is_over = has_closed(every)?;
        let begun = Instant::now();
        let mut line = take(&mut faults, &arguments.pid)?;
        longest = longest.max(begun.elapsed());
        line.longest_take_ms = longest.as_secs_f64() * 1e3;
        let mut text = serde_json::to_string(&line)?;
        text.push('\n');
        printer.text(text.as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}

/// What was sampled of these processes, or of all, since the last time.
fn take(faults: &mut Faults, pids: &[u32]) -> anyhow::Result<Line> {
    let taken = faults.take()?;
    let is_wanted = |pid: u32| pids.is_empty() || pids.contains(&pid);
    let named = faults.name(&taken, |pid, _| is_wanted(pid), STACKS);
    let mut processes: BTreeMap<(u32, u64), Process> = BTreeMap::new();
    for (process, faulted) in named.of {
        processes.entry(process).or_default().faulted = faulted;
    }
    for it in taken.iter().filter(|it| is_wanted(it.pid)) {
        let process = processes.entry((it.pid, it.start_time)).or_default();
        process.file_bytes += it.file_bytes;
    }
    for ((pid, start_time), process) in &mut processes {
        (process.pid, process.start_time) = (*pid, *start_time);
    }
    let cost = faults.cost();
    Ok(Line {
        processes: processes.into_values().collect(),
        stacks: named.stacks,
        faults: cost.faults,
        runs: cost.runs,
        samples: cost.samples,
        sample_ns: cost.sample_ns,
        map_bytes: faults.map_bytes(),
        longest_take_ms: 0.0,
        losses: faults.losses(),
        notes: faults.notes(),
    })
}

/// Waits so long; whether standard input has closed by then.
fn has_closed(patience: Duration) -> io::Result<bool> {
    let stdin = io::stdin();
    let mut watched = [PollFd::new(&stdin, PollFlags::IN)];
    let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
    match poll(&mut watched, Some(&patience)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(false),
        Ok(_) => Ok(io::read_to_string(stdin)?.is_empty()),
        Err(error) => Err(error.into()),
    }
}
