//! Starting a program under trace, from its first allocation.
//!
//! The child waits before its exec until it is a target. At exec the kernel
//! side stops it before its first instruction; its loader then gets a probe,
//! stops it again when the libraries are mapped, and the allocator's probes go
//! in. memtrace may do so with children of its own, and with nothing else.

use std::{
    ffi::OsString,
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command},
    thread,
};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, waitid};

use super::{CollectError, Session, TargetProcess};
use crate::model::Exit;

/// Whose child it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// What became of the child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It stopped, by this signal.
    Stopped(i32),
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
    pub fn start(session: &mut Session, command: &[OsString], owner: Option<Owner>) -> Result<Self, CollectError> {
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
                if let Some(owner) = &owner {
                    drop_to(owner)?;
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

    /// Takes the stopped child from its exec to where its libraries are
    /// mapped, and attaches. The child is stopped then; [`Self::go_on`] lets it run.
    pub fn attach(&self, session: &mut Session) -> Result<TargetProcess, CollectError> {
        session.stop_at_loader(self.pid())?;
        loop {
            self.go_on();
            match self.wait()? {
                Wait::Stopped(_) => {}
                Wait::Ended(_) => return Err(CollectError::Gone(self.pid())),
            }
            let target = TargetProcess::open(self.pid())?;
            match session.attach(&target, true) {
                // The first stop comes before any library is mapped.
                Err(CollectError::NoAllocator { .. }) => {}
                Err(error) => return Err(error),
                Ok(()) => return Ok(target),
            }
        }
    }

    /// Lets a stopped child run.
    pub fn go_on(&self) {
        let _ = kill_process(self.pid, Signal::CONT);
    }

    /// Ends a child that cannot be traced.
    pub fn kill(&self) {
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = self.wait();
    }

    /// Waits until the child stops or ends.
    pub fn wait(&self) -> Result<Wait, CollectError> {
        wait_for(self.pid)
    }

    /// As the user named it.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }
}

/// Waits until a child stops or ends.
pub fn wait_for(pid: Pid) -> Result<Wait, CollectError> {
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
    if let Some(signal) = status.stopping_signal() {
        Wait::Stopped(signal)
    } else if let Some(signal) = status.terminating_signal() {
        Wait::Ended(Exit::Signal(signal))
    } else {
        status.exit_status().map_or(Wait::Ended(Exit::Unknown), |code| Wait::Ended(Exit::Status(code)))
    }
}

/// Becomes another user for good.
fn drop_to(owner: &Owner) -> std::io::Result<()> {
    let check = |result: i32| if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    // SAFETY: the list outlives the call; the others take numbers.
    unsafe {
        check(libc::setgroups(owner.groups.len(), owner.groups.as_ptr()))?;
        check(libc::setresgid(owner.gid, owner.gid, owner.gid))?;
        check(libc::setresuid(owner.uid, owner.uid, owner.uid))
    }
}
