//! `memtrace run -- CMD`: start a program and trace it from its first allocation.

use std::{fs::File, process::ExitCode, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    arguments,
    attach::{TICK, claim_ready, say_ready, until},
    gate, outcome,
    printer::Printer,
};
use crate::{
    collect::{
        Attaching, CollectError, Ended, Events, Launched, RunAs, Session, TargetProcess, Wait,
        Waits,
    },
    model::Exit,
    probe::watch,
    store::OutputDir,
};

/// How long a child may take to end of a signal that ends the trace too.
const LAST_WORD: Duration = Duration::from_millis(500);

pub fn run(arguments: &arguments::Run, printer: &Printer) -> anyhow::Result<ExitCode> {
    let ready = claim_ready(arguments.trace.ready_fd)?;
    let name = arguments
        .command
        .first()
        .map(|program| program.to_string_lossy().into_owned())
        .unwrap_or_default();
    let output = outcome::output_dir(arguments.trace.output.as_deref(), &name, std::process::id())?;
    let traced = trace(arguments, &output, ready, printer);
    if traced.is_err() {
        output.discard();
    }
    traced
}

/// The whole trace; how the program ended.
fn trace(
    arguments: &arguments::Run,
    output: &OutputDir,
    ready: Option<File>,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let trace = &arguments.trace;
    let run_as = if arguments.as_root {
        None
    } else {
        invoking_user()
    };
    let options = trace.options(arguments.max_overhead, !arguments.no_follow);
    let mut session = Session::prepare(&options, None)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let events = session.events()?;
    let (launched, waits) = Launched::start(&mut session, &arguments.command, run_as)?;
    let mut child = Child {
        waits,
        launched,
        is_traced: false,
        stage: Stage::Starting,
        ready,
    };
    let followed = child.follow(&mut session, events, trace.duration, printer);
    let (ended, exit) = match runtime.block_on(followed) {
        Ok(ended) => ended,
        Err(error) => {
            // It has not run an instruction of its own that anybody waits for.
            child.launched.kill();
            return Err(error);
        }
    };
    if !child.is_traced {
        return Err(CollectError::Gone(child.launched.pid()).into());
    }
    if let Some(exit) = exit {
        session.end_space(child.launched.pid(), exit);
    }
    let report = session.finish(ended)?;
    let delivered = outcome::deliver(&report, output, printer, true);
    // What ends by itself before the time is over was seen whole.
    let asked = exit.is_none().then_some(trace.duration).flatten();
    let passed = gate::check(&trace.gate, asked, &report, printer);
    let exit = match exit {
        Some(exit) => exit,
        None => {
            printer.say(&format!(
                "the trace has ended, {} goes on; Ctrl-C ends it",
                child.launched.program()
            ));
            runtime.block_on(child.wait_for_end())?
        }
    };
    delivered?;
    // The program's own failure says more than that it leaked while it failed.
    Ok(match exit {
        Exit::Status(0) => passed.into(),
        _ => code_of(exit),
    })
}

/// The user who called sudo, if memtrace runs under it.
fn invoking_user() -> Option<RunAs> {
    let owner = outcome::owner()?;
    Some(RunAs::user(
        owner.uid,
        owner.gid,
        &std::env::var("SUDO_USER").ok()?,
    ))
}

/// Where the child's newest program stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It will stop at its exec.
    Starting,
    /// It will stop when its loader has mapped libraries.
    Loading,
    /// It is traced.
    Running,
    /// It is not traced: it execed into something that cannot be.
    Untraced,
}

struct Child {
    launched: Launched,
    waits: Waits,
    /// Some program of it is or was.
    is_traced: bool,
    stage: Stage,
    ready: Option<File>,
}

impl Child {
    /// Follows the child until it ends (then with its status) or something else ends the trace.
    async fn follow(
        &mut self,
        session: &mut Session,
        events: Events,
        duration: Option<Duration>,
        printer: &Printer,
    ) -> anyhow::Result<(Ended, Option<Exit>)> {
        let mut events = watch(events)?;
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        let end = duration.map(|duration| Instant::now() + duration);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next_child = session.next_child().map(Instant::from_std);
            tokio::select! {
                wait = self.waits.recv() => match wait {
                    Some(Ok(Wait::Ended(exit))) => {
                        // Its exec, and its children's ends, may have come before.
                        session.take_in(events.get_mut())?;
                        return Ok((Ended::Targets, Some(exit)));
                    }
                    Some(Ok(Wait::Stopped)) => {
                        session.take_in(events.get_mut())?;
                        self.stopped(session, printer)?;
                    }
                    Some(Err(error)) => return Err(error.into()),
                    None => anyhow::bail!("the child can no longer be waited for"),
                },
                // The terminal tells the child as well; if it ends of it, that is the end to report.
                _ = interrupted.recv() => return Ok(self.last_word().await),
                _ = terminated.recv() => {
                    self.launched.terminate();
                    return Ok(self.last_word().await);
                }
                () = until(end) => return Ok((Ended::Asked, None)),
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
                _ = ticks.tick() => if self.is_traced
                    && session.tick()?.is_some_and(|now| now.must_end)
                {
                    return Ok((Ended::Overhead, None));
                },
            }
            for news in session.take_news() {
                printer.say(&news);
            }
        }
    }

    /// The child stopped: at an exec, in its loader, or by somebody else.
    fn stopped(&mut self, session: &mut Session, printer: &Printer) -> anyhow::Result<()> {
        let pid = self.launched.pid();
        if session.take_exec() {
            match session.stop_at_loader(pid) {
                Ok(true) => self.stage = Stage::Loading,
                Ok(false) => {
                    session.attach(TargetProcess::open(pid)?, Attaching::Stopped)?;
                    self.attached(session, printer)?;
                }
                Err(error) if self.is_traced => {
                    printer.say(&format!("what it has become is not traced: {error}"));
                    self.stage = Stage::Untraced;
                }
                Err(error) => return Err(error.into()),
            }
        } else if self.stage == Stage::Loading {
            let target = TargetProcess::open(pid)?;
            match session.attach(target, Attaching::Stopped) {
                // The first stop comes before any library is mapped.
                Err(CollectError::NoAllocator { .. }) => {}
                Err(error) => return Err(error.into()),
                Ok(()) => self.attached(session, printer)?,
            }
        } else {
            return Ok(());
        }
        self.launched.go_on();
        Ok(())
    }

    /// The probes of the newest program are in.
    fn attached(&mut self, session: &mut Session, printer: &Printer) -> anyhow::Result<()> {
        if !self.is_traced {
            for note in session.notes() {
                printer.say(&note);
            }
            session.open_gate(true)?;
            say_ready(self.ready.take());
        }
        self.is_traced = true;
        self.stage = Stage::Running;
        Ok(())
    }

    /// A moment for the child to end of the same signal.
    async fn last_word(&mut self) -> (Ended, Option<Exit>) {
        match timeout(LAST_WORD, self.waits.recv()).await {
            Ok(Some(Ok(Wait::Ended(exit)))) => (Ended::Targets, Some(exit)),
            _ => (Ended::Asked, None),
        }
    }

    /// Waits for the child, untraced, passing on what asks it to end.
    async fn wait_for_end(&mut self) -> anyhow::Result<Exit> {
        let mut interrupted = signal(SignalKind::interrupt())?;
        let mut terminated = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                wait = self.waits.recv() => match wait {
                    Some(Ok(Wait::Ended(exit))) => return Ok(exit),
                    Some(Ok(Wait::Stopped)) => {}
                    Some(Err(error)) => return Err(error.into()),
                    None => return Ok(Exit::Unknown),
                },
                _ = interrupted.recv() => self.launched.terminate(),
                _ = terminated.recv() => self.launched.terminate(),
            }
        }
    }
}

/// As a shell tells a child's end.
fn code_of(exit: Exit) -> ExitCode {
    match exit {
        Exit::Status(code) => ExitCode::from(code as u8),
        Exit::Signal(signal) => ExitCode::from((128 + signal) as u8),
        Exit::Exec | Exit::Unknown => ExitCode::FAILURE,
    }
}
