//! Starting a program under trace, from its first allocation.
//!
//! The child waits before its exec until it is a target. At exec the kernel
//! side stops it before its first instruction; its loader then gets a probe,
//! stops it again when the libraries are mapped, and the allocator's probes go
//! in. memtrace may do so with children of its own, and with nothing else.

use std::{
    ffi::{CString, OsString},
    io::{self, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::Command,
    sync::mpsc,
    thread,
};

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process,
    set_parent_process_death_signal, waitid,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{CollectError, Session};
use crate::model::Exit;

/// Whom the child is to run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunAs {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl RunAs {
    /// A user with all groups that the system's database has for `name`.
    #[must_use]
    pub fn user(uid: u32, gid: u32, name: &str) -> Self {
        let groups = CString::new(name).map_or_else(|_| vec![gid], |name| groups_of(&name, gid));
        Self { uid, gid, groups }
    }
}

fn groups_of(name: &CString, gid: u32) -> Vec<u32> {
    let mut groups = vec![0; 256];
    let mut count = groups.len() as i32;
    // SAFETY: the name ends with NUL, and there is room for `count` groups.
    let found =
        unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
    if found < 0 {
        return vec![gid];
    }
    groups.truncate(count.max(0) as usize);
    groups
}

/// What became of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It stopped.
    Stopped,
    /// It ended.
    Ended(Exit),
}

/// A started child.
pub struct Launched {
    pid: Pid,
    program: String,
}

/// What becomes of a child, as it happens.
pub type Waits = UnboundedReceiver<Result<Wait, CollectError>>;

impl Launched {
    /// Starts `command`, stopped at its first instruction. However memtrace
    /// ends, the child goes on.
    pub fn start(
        session: &mut Session,
        command: &[OsString],
        run_as: Option<RunAs>,
    ) -> Result<(Self, Waits), CollectError> {
        let program = command.first().cloned().unwrap_or_default();
        let named = program.to_string_lossy().into_owned();
        let failed = |error: io::Error| CollectError::Start {
            program: named.clone(),
            reason: error.to_string(),
        };
        let (mut pid_reader, pid_writer) = io::pipe().map_err(failed)?;
        let (go_reader, mut go_writer) = io::pipe().map_err(failed)?;
        let mut start = Command::new(&program);
        start.args(&command[1..]);
        // SAFETY: only system calls, on descriptors that outlive the closure.
        unsafe {
            start.pre_exec(move || {
                if let Some(run_as) = &run_as {
                    drop_to(run_as)?;
                }
                // Another user's process would lose it.
                set_parent_process_death_signal(Some(Signal::CONT))?;
                (&pid_writer).write_all(&std::process::id().to_ne_bytes())?;
                // Until the parent has made it a target; end of file if that failed.
                (&go_reader).read_exact(&mut [0])
            });
        }
        // `spawn` returns when the exec is done, so it must not be waited for
        // here. To the kernel this thread is the parent that may die.
        let (spawned_sender, spawned) = mpsc::channel();
        let (waits_sender, waits) = unbounded_channel();
        thread::spawn(move || {
            let child = start.spawn();
            let pid = child.as_ref().ok().map(Pid::from_child);
            let _ = spawned_sender.send(child);
            if let Some(pid) = pid {
                wait_until_it_ends(pid, &waits_sender);
            }
        });
        let mut pid = [0; 4];
        let ready = pid_reader
            .read_exact(&mut pid)
            .map_err(failed)
            .and_then(|()| {
                session.expect(u32::from_ne_bytes(pid))?;
                go_writer.write_all(&[1]).map_err(failed)
            });
        drop(go_writer);
        let child = spawned
            .recv()
            .map_err(|_| failed(io::Error::other("the starting thread died")))?
            .map_err(failed)?;
        ready?;
        let launched = Self {
            pid: Pid::from_child(&child),
            program: named,
        };
        Ok((launched, waits))
    }

    /// The child's pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get() as u32
    }

    /// Lets a stopped child run.
    pub fn go_on(&self) {
        let _ = kill_process(self.pid, Signal::CONT);
    }

    /// Ends a child that cannot be traced.
    pub fn kill(&self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }

    /// Asks the child to end.
    pub fn terminate(&self) {
        let _ = kill_process(self.pid, Signal::TERM);
    }

    /// As the user named it.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }
}

fn wait_until_it_ends(pid: Pid, waits: &UnboundedSender<Result<Wait, CollectError>>) {
    loop {
        let wait = wait_for(pid);
        let is_last = !matches!(wait, Ok(Wait::Stopped));
        if waits.send(wait).is_err() || is_last {
            return;
        }
    }
}

/// Waits until a child stops or ends.
fn wait_for(pid: Pid) -> Result<Wait, CollectError> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
    loop {
        match waitid(WaitId::Pid(pid), options) {
            Ok(Some(status)) => return Ok(wait_of(&status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                return Err(CollectError::System {
                    what: "waitid",
                    source: error.into(),
                });
            }
        }
    }
}

fn wait_of(status: &WaitIdStatus) -> Wait {
    if status.stopped() {
        Wait::Stopped
    } else if let Some(signal) = status.terminating_signal() {
        Wait::Ended(Exit::Signal(signal))
    } else {
        status
            .exit_status()
            .map_or(Wait::Ended(Exit::Unknown), |code| {
                Wait::Ended(Exit::Status(code))
            })
    }
}

/// Becomes another user for good.
fn drop_to(run_as: &RunAs) -> io::Result<()> {
    let check = |result: i32| {
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    };
    // SAFETY: the list outlives the call; the others take numbers.
    unsafe {
        check(libc::setgroups(run_as.groups.len(), run_as.groups.as_ptr()))?;
        check(libc::setresgid(run_as.gid, run_as.gid, run_as.gid))?;
        check(libc::setresuid(run_as.uid, run_as.uid, run_as.uid))
    }
}
