//! Stopping a target for the time of a walk, only where that is asked for, and
//! making sure that it goes on however memtrace ends.
//!
//! A guard, a child of ours, holds the target's pidfd and one end of a pipe. When
//! the pipe closes without the word that all is well, or when time is up, it sends
//! SIGCONT. It is up before SIGSTOP is sent. (The freezer of cgroups would not
//! show in the target's state, but cgroups are not ours to write to.)

use std::convert::Infallible;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::symbolize::worker::run_as;

/// First argument of the guard.
const SUBCOMMAND: &str = "freeze-guard";
/// A stop that lasts longer is ended by the guard.
const STOP_MAX: Duration = Duration::from_secs(30);
/// Threads in the kernel stop when they come out.
const STOPPING_MAX: Duration = Duration::from_secs(2);

/// Why the target was not stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FreezeError {
    /// The guard is not there, so nothing was stopped.
    #[error("the target was not stopped: the guard that lets it go on did not start")]
    NoGuard(#[source] io::Error),
    /// The signal was not sent, or did not stop it in time; it goes on.
    #[error("the target could not be stopped")]
    NotStopped(#[source] io::Error),
}

/// A stopped process. It goes on when this is dropped.
pub struct Frozen {
    pidfd: OwnedFd,
    guard: Child,
    since: Instant,
    /// It was stopped already, by somebody else: that stays.
    was_stopped: bool,
}

impl Frozen {
    /// Stops all threads of a process.
    pub fn stop(pid: u32) -> Result<Self, FreezeError> {
        let no_guard = |error: io::Error| FreezeError::NoGuard(error);
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| no_guard(io::ErrorKind::NotFound.into()))?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(|error| no_guard(error.into()))?;
        let copy = pidfd.try_clone().map_err(no_guard)?;
        let guard = start_guard(copy).map_err(no_guard)?;
        let frozen = Self {
            pidfd,
            guard,
            since: Instant::now(),
            was_stopped: is_stopped(pid),
        };
        if frozen.was_stopped {
            return Ok(frozen);
        }
        pidfd_send_signal(&frozen.pidfd, Signal::STOP)
            .map_err(|error| FreezeError::NotStopped(error.into()))?;
        while !is_stopped(pid) {
            if frozen.since.elapsed() > STOPPING_MAX {
                return Err(FreezeError::NotStopped(io::ErrorKind::TimedOut.into()));
            }
            std::thread::yield_now();
        }
        Ok(frozen)
    }

    /// Lets it go on; how long it stood.
    pub fn go_on(self) -> Duration {
        // Dropping does it.
        match self.was_stopped {
            true => Duration::ZERO,
            false => {
                let since = self.since;
                drop(self);
                since.elapsed()
            }
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if !self.was_stopped {
            let _gone = pidfd_send_signal(&self.pidfd, Signal::CONT);
        }
        // The word; a guard that hears nothing would do the same again.
        if let Some(pipe) = &mut self.guard.stdin {
            let _dead = pipe.write_all(b".");
        }
        drop(self.guard.stdin.take());
        let _reaped = self.guard.wait();
    }
}

/// Whether every thread stands still.
fn is_stopped(pid: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let stat = fs::read(thread.path().join("stat")).unwrap_or_default();
        // The name in brackets may hold anything.
        let state = stat
            .iter()
            .rposition(|byte| *byte == b')')
            .and_then(|at| stat.get(at + 2));
        matches!(state, Some(b'T' | b't' | b'Z' | b'X') | None)
    })
}

fn start_guard(pidfd: OwnedFd) -> io::Result<Child> {
    let mut child = Command::new("/proc/self/exe")
        .arg0("memtrace")
        .arg(SUBCOMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(pidfd))
        // Ctrl-C is for memtrace.
        .process_group(0)
        .spawn()?;
    let mut ready = [0];
    let is_ready = match &mut child.stdout {
        Some(stdout) => stdout.read_exact(&mut ready),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    if let Err(error) = is_ready {
        let _already_dead = child.kill();
        let _reaped = child.wait();
        return Err(error);
    }
    Ok(child)
}

/// Is the guard, if this process was started as one.
#[must_use]
pub fn guard_if_asked() -> Option<ExitCode> {
    run_as(SUBCOMMAND, || {
        let _unnamed = rustix::thread::set_name(c"memtrace-guard");
        if !guard() {
            let _gone = pidfd_send_signal(io::stderr(), Signal::CONT);
        }
        Ok::<(), Infallible>(())
    })
}

/// Waits for the end of the stop; whether it was told that all is well.
fn guard() -> bool {
    let mut stdout = io::stdout();
    if stdout
        .write_all(b".")
        .and_then(|()| stdout.flush())
        .is_err()
    {
        return false;
    }
    let limit = Timespec::try_from(STOP_MAX).ok();
    let stdin = io::stdin();
    let mut watched = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN)];
    match poll(&mut watched, limit.as_ref()) {
        Ok(1..) => {
            let mut word = [0];
            matches!(rustix::io::read(stdin.as_fd(), &mut word), Ok(1))
        }
        _ => false,
    }
}
