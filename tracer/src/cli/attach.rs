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

use super::{arguments, outcome, printer::Printer};
use crate::{
    collect::{Ended, Session, Status, TargetProcess},
    model::{Exit, Level},
    probe::watch,
    render::status::{StatusView, status},
};

/// Time between ticks, at which the ledger's clock moves on.
pub const TICK: Duration = Duration::from_millis(250);

pub fn run(arguments: &arguments::Attach, printer: &Printer) -> anyhow::Result<ExitCode> {
    let pid = arguments.pid.context("which process? memtrace -p PID")?;
    let trace = &arguments.trace;
    let ready = claim_ready(trace.ready_fd)?;
    let target = TargetProcess::open(pid)?;
    trace_process(&target, trace, arguments.max_overhead, ready, printer)?;
    Ok(ExitCode::SUCCESS)
}

/// Traces a running process from here to its files and report; where they are.
pub fn trace_process(
    target: &TargetProcess,
    trace: &arguments::Trace,
    overhead: arguments::Overhead,
    ready: Option<File>,
    printer: &Printer,
) -> anyhow::Result<PathBuf> {
    let output = outcome::output_dir(trace.output.as_deref(), &target.name(), target.pid)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    // From here on Ctrl-C ends the trace with its results, however early it comes.
    let asked = {
        let _entered = runtime.enter();
        AskedToEnd::listen()?
    };
    let attached =
        Session::prepare(&trace.options(overhead), Some(target.pid)).and_then(|mut session| {
            session.attach(target, false)?;
            Ok(session)
        });
    let mut session = match attached {
        Ok(session) => session,
        Err(error) => {
            output.discard();
            return Err(error.into());
        }
    };
    for note in session.notes() {
        printer.say(note);
    }
    session.open_gate(false)?;
    say_ready(ready);
    printer.say(&format!(
        "tracing {} ({}), Ctrl-C ends",
        target.name(),
        target.pid
    ));
    let ended = runtime.block_on(follow(&mut session, target, trace.duration, asked, printer))?;
    let report = session.finish(target, ended)?;
    outcome::deliver(&report, &output, printer, false)?;
    Ok(output.path().to_path_buf())
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
    target: &TargetProcess,
    duration: Option<Duration>,
    mut asked: AskedToEnd,
    printer: &Printer,
) -> anyhow::Result<Ended> {
    let pidfd = watch(target.pidfd().try_clone()?)?;
    let mut events = watch(session.events()?)?;
    let end = duration.map(|duration| Instant::now() + duration);
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = asked.interrupted.recv() => return Ok(Ended::Asked),
            _ = asked.terminated.recv() => return Ok(Ended::Asked),
            _ = asked.hung_up.recv() => return Ok(Ended::Asked),
            () = until(end) => return Ok(Ended::Asked),
            ready = pidfd.readable() => {
                drop(ready?);
                // An exec may have come before, and its event with it.
                let exit = if events.get_mut().saw_exec(target.pid) { Exit::Exec } else { target.exit() };
                return Ok(Ended::Target(exit));
            }
            ready = events.readable_mut() => {
                let mut ready = ready?;
                let seen = ready.get_inner_mut().saw_exec(target.pid);
                ready.clear_ready();
                if seen {
                    return Ok(Ended::Target(Exit::Exec));
                }
                // The loader has changed something: before it does so again.
                session.follow_mappings(target)?;
            }
            _ = ticks.tick() => {
                if let Some(now) = session.tick(target)? {
                    show(&now, duration, printer);
                    if now.must_end {
                        return Ok(Ended::Overhead);
                    }
                }
            }
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
