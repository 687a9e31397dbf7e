//! Starting a program under trace, from its first allocation.
//!
//! The child waits before its exec until it is a target. At exec the kernel
//! side stops it before its first instruction; its loader then gets a probe,
//! stops it again when the libraries are mapped, and the allocator's probes go
//! in. memtrace may do so with children of its own, and with nothing else.

use std::{
    ffi::{CString, OsString},
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command},
    thread,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, waitid};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

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
    /// The user who called sudo, if memtrace runs under it.
    #[must_use]
    pub fn invoking_user() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
        let (uid, gid) = (number("SUDO_UID")?, number("SUDO_GID")?);
        let name = CString::new(std::env::var("SUDO_USER").ok()?).ok()?;
        Some(Self { uid, gid, groups: groups_of(&name, gid) })
    }
}

/// The user's groups, as the system's database has them.
fn groups_of(name: &CString, gid: u32) -> Vec<u32> {
    let mut groups = vec![0; 256];
    let mut count = groups.len() as i32;
    // SAFETY: the name ends with NUL, and there is room for `count` groups.
    let found = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &raw mut count) };
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
    // Reaped by `wait`; held because dropping it would not be.
    _child: Child,
}

impl Launched {
    /// Starts `command`, stopped at its first instruction.
    pub fn start(session: &mut Session, command: &[OsString], run_as: Option<RunAs>) -> Result<Self, CollectError> {
        let program = command.first().cloned().unwrap_or_default();
        let named = program.to_string_lossy().into_owned();
        let failed = |error: std::io::Error| CollectError::Start { program: named.clone(), reason: error.to_string() };
        let (mut pid_reader, pid_writer) = std::io::pipe().map_err(failed)?;
        let (go_reader, mut go_writer) = std::io::pipe().map_err(failed)?;
        let mut start = Command::new(&program);
        start.args(&command[1..]);
        // SAFETY: only system calls, on descriptors that outlive the closure.
        unsafe {
            start.pre_exec(move || {
                if let Some(run_as) = &run_as {
                    drop_to(run_as)?;
                }
                (&pid_writer).write_all(&std::process::id().to_ne_bytes())?;
                // Until the parent has made it a target; end of file if that failed.
                (&go_reader).read_exact(&mut [0])
            });
        }
        // `spawn` returns when the exec is done, so it must not be waited for here.
        let spawning = thread::spawn(move || start.spawn());
        let mut pid = [0; 4];
        let ready = pid_reader.read_exact(&mut pid).map_err(failed).and_then(|()| {
            session.expect(u32::from_ne_bytes(pid))?;
            go_writer.write_all(&[1]).map_err(failed)
        });
        drop(go_writer);
        let child = spawning.join().map_err(|_| failed(std::io::Error::other("the starting thread died")))?.map_err(failed)?;
        ready?;
        let pid = Pid::from_child(&child);
        Ok(Self { pid, program: named, _child: child })
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

    /// What becomes of the child, from a thread that waits for it.
    #[must_use]
    pub fn waits(&self) -> UnboundedReceiver<Result<Wait, CollectError>> {
        let (sender, receiver) = unbounded_channel();
        let pid = self.pid;
        thread::spawn(move || {
            loop {
                let wait = wait_for(pid);
                let is_last = !matches!(wait, Ok(Wait::Stopped));
                if sender.send(wait).is_err() || is_last {
                    return;
                }
            }
        });
        receiver
    }

    /// As the user named it.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }
}

/// Waits until a child stops or ends.
fn wait_for(pid: Pid) -> Result<Wait, CollectError> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED;
    loop {
        match waitid(WaitId::Pid(pid), options) {
            Ok(Some(status)) => return Ok(wait_of(&status)),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(CollectError::System { what: "waitid", source: error.into() }),
        }
    }
}

fn wait_of(status: &WaitIdStatus) -> Wait {
    if status.stopped() {
        Wait::Stopped
    } else if let Some(signal) = status.terminating_signal() {
        Wait::Ended(Exit::Signal(signal))
    } else {
        status.exit_status().map_or(Wait::Ended(Exit::Unknown), |code| Wait::Ended(Exit::Status(code)))
    }
}

/// Becomes another user for good.
fn drop_to(run_as: &RunAs) -> std::io::Result<()> {
    let check = |result: i32| if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    // SAFETY: the list outlives the call; the others take numbers.
    unsafe {
        check(libc::setgroups(run_as.groups.len(), run_as.groups.as_ptr()))?;
        check(libc::setresgid(run_as.gid, run_as.gid, run_as.gid))?;
        check(libc::setresuid(run_as.uid, run_as.uid, run_as.uid))
    }
}
