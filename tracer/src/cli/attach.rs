//! `memtrace -p PID`: attach to a running process.

use std::{
    fs::File,
    io::Write as _,
    os::fd::{FromRawFd as _, OwnedFd},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use anyhow::Context as _;
use rustix::io::FdFlags;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};

use super::{
    arguments,
    gate::{self, Passed},
    outcome,
    printer::Printer,
};
use crate::{
    collect::{Attaching, CollectError, Ended, Options, Session, Status, TargetProcess},
    model::Level,
    probe::watch,
    render::status::{StatusView, status},
};

/// Time between ticks, at which the ledger's clock moves on.
pub const TICK: Duration = Duration::from_millis(250);

pub fn run(arguments: &arguments::Attach, printer: &Printer) -> anyhow::Result<ExitCode> {
    let ready = claim_ready(arguments.trace.ready_fd)?;
    let targets = targets(arguments, printer)?;
    let options = arguments.trace.options(arguments.limit(), arguments.follow);
    let (_, passed) = trace_processes(targets, &arguments.trace, &options, ready, printer)?;
    Ok(passed.into())
}

/// The processes that are asked for. Of those found by name, one that cannot
/// be traced keeps the others from nothing.
fn targets(arguments: &arguments::Attach, printer: &Printer) -> anyhow::Result<Vec<TargetProcess>> {
    let mut targets = Vec::new();
    for &pid in &arguments.pid {
        if targets
            .iter()
            .all(|target: &TargetProcess| target.pid != pid)
        {
            targets.push(TargetProcess::open(pid)?);
        }
    }
    if let Some(name) = &arguments.comm {
        let pids = TargetProcess::pids_named(name);
        if pids.is_empty() {
            anyhow::bail!("no process has the name {name}; `ps -eo pid,comm` lists them");
        }
        for pid in pids {
            if targets.iter().any(|target| target.pid == pid) {
                continue;
            }
            match TargetProcess::open(pid) {
                Ok(target) => targets.push(target),
                Err(error) => printer.say(&format!("left out: {error}")),
            }
        }
    }
    if targets.is_empty() {
        anyhow::bail!("none of these processes can be traced");
    }
    Ok(targets)
}

/// Traces running processes from here to files and report; where they are, and what
/// the gate says of them.
pub fn trace_processes(
    targets: Vec<TargetProcess>,
    trace: &arguments::Trace,
    options: &Options,
    ready: Option<File>,
    printer: &Printer,
) -> anyhow::Result<(PathBuf, Passed)> {
    let first = targets.first().context("which process? memtrace -p PID")?;
    let output = outcome::output_dir(trace.output.as_deref(), &first.name(), first.pid)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // From here on Ctrl-C ends the trace with its results, however early it comes.
    let asked = {
        let _entered = runtime.enter();
        AskedToEnd::listen()?
    };
    let (mut session, names) = match attach_all(targets, options, printer) {
        Ok(attached) => attached,
        Err(error) => {
            output.discard();
            return Err(error.into());
        }
    };
    for note in session.notes() {
        printer.say(&note);
    }
    session.open_gate(false)?;
    say_ready(ready);
    printer.say(&format!("tracing {}, Ctrl-C ends", names.join(", ")));
    let ended = runtime.block_on(follow(&mut session, trace.duration, asked, printer))?;
    let report = session.finish(ended)?;
    if trace.for_host {
        outcome::deliver_to_host(&report, &output)?;
        return Ok((output.path().to_path_buf(), Passed::Yes));
    }
    outcome::deliver(&report, &output, printer, false)?;
    let passed = gate::check(&trace.gate, trace.duration, &report, printer);
    Ok((output.path().to_path_buf(), passed))
}

/// Attaches to all targets; of several, to those that can be.
fn attach_all(
    targets: Vec<TargetProcess>,
    options: &Options,
    printer: &Printer,
) -> Result<(Session, Vec<String>), CollectError> {
    let is_one = targets.len() == 1;
    let mut session = Session::prepare(options, targets.first().map(|target| target.pid))?;
    let mut names = Vec::new();
    let mut refused = None;
    for target in targets {
        let name = format!("{} ({})", target.name(), target.pid);
        match session.attach(target, Attaching::Running) {
            Ok(()) => names.push(name),
            Err(error) if is_one => return Err(error),
            Err(error) => {
                printer.say(&format!("left out: {error}"));
                refused = Some(error);
            }
        }
    }
    match refused {
        Some(error) if names.is_empty() => Err(error),
        _ => Ok((session, names)),
    }
}

/// The signals that ask for the end of a trace.
struct AskedToEnd {
    interrupted: Signal,
    terminated: Signal,
    hung_up: Signal,
}

impl AskedToEnd {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupted: signal(SignalKind::interrupt())?,
            terminated: signal(SignalKind::terminate())?,
            hung_up: signal(SignalKind::hangup())?,
        })
    }
}

/// Follows the trace until something ends it.
async fn follow(
    session: &mut Session,
    duration: Option<Duration>,
    mut asked: AskedToEnd,
    printer: &Printer,
) -> anyhow::Result<Ended> {
    let mut events = watch(session.events()?)?;
    let end = duration.map(|duration| Instant::now() + duration);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next_child = session.next_child().map(Instant::from_std);
        let next_turn = session.next_turn().map(Instant::from_std);
        tokio::select! {
            _ = asked.interrupted.recv() => return Ok(Ended::Asked),
            _ = asked.terminated.recv() => return Ok(Ended::Asked),
            _ = asked.hung_up.recv() => return Ok(Ended::Asked),
            () = until(end) => return Ok(Ended::Asked),
            ready = events.readable_mut() => {
                let mut ready = ready?;
                session.take_in(ready.get_inner_mut())?;
                ready.clear_ready();
            }
            () = until(next_child) => {
                // Not every end and exec of a child wakes us.
                session.take_in(events.get_mut())?;
                session.attach_children()?;
            }
            () = until(next_turn) => session.turn()?,
            _ = ticks.tick() => {
                session.take_in(events.get_mut())?;
                if let Some(now) = session.tick()? {
                    show(&now, duration, printer);
                    if now.must_end {
                        return Ok(Ended::Overhead);
                    }
                }
            }
        }
        for news in session.take_news() {
            printer.say(&news);
        }
        if session.is_over() {
            return Ok(Ended::Targets);
        }
    }
}

/// When the time is over; never without one.
pub async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Shows where the trace stands.
fn show(now: &Status, duration: Option<Duration>, printer: &Printer) {
    let view = StatusView {
        elapsed: now.elapsed,
        duration,
        live_bytes: now.counts.live_bytes,
        live_blocks: now.counts.live_blocks,
        calls_per_second: now.calls_per_second as u64,
        growers: &now.growers,
        lost_calls: now.lost_calls,
        level: if now.is_sampled {
            Level::Sampled
        } else {
            Level::Exact
        },
    };
    printer.status(&status(&view, printer.columns()));
}

/// Takes over the descriptor that `--ready-fd` names. To be called before
/// anything is opened: later the number may be a descriptor of memtrace's own.
pub fn claim_ready(fd: Option<i32>) -> anyhow::Result<Option<File>> {
    let Some(fd) = fd else { return Ok(None) };
    // Nor is it the business of a program that memtrace starts.
    if rustix::io::fcntl_setfd(borrow(fd), FdFlags::CLOEXEC).is_err() {
        anyhow::bail!(
            "--ready-fd {fd}: no such file descriptor is open; open one, as in `--ready-fd 3 3>FILE`"
        );
    }
    // SAFETY: it is open, was handed over by the caller for this, and is used nowhere else.
    Ok(Some(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
}

/// Tells whoever waits that calls count from now on.
pub fn say_ready(ready: Option<File>) {
    if let Some(mut file) = ready {
        // Whoever no longer waits need not be told.
        let _ = file.write_all(b"ready\n");
    }
}

fn borrow(fd: i32) -> std::os::fd::BorrowedFd<'static> {
    // SAFETY: only for one system call, which tells if it is not open.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) }
}
