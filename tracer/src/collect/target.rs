//! What is known of a target from /proc, and holding on to it.

use std::{
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use procfs::process::{ProcState, Process as ProcProcess, Stat};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::CollectError;
use crate::model::{Exit, Process};

/// `PF_KTHREAD` (include/linux/sched.h).
const KERNEL_THREAD: u32 = 0x0020_0000;
/// Longest name kept of what a target says of itself.
const NAME_MAX: usize = 4096;

/// `TASK_COMM_LEN` (include/linux/sched.h) without the NUL.
const NAME_KEPT: usize = 15;

/// A process, held by a pidfd so that its pid is not reused unseen.
pub struct TargetProcess {
    /// Process id, as memtrace sees it.
    pub pid: u32,
    /// Process id in its innermost namespace.
    pub ns_pid: u32,
    /// Ns since boot.
    pub start_time: u64,
    /// User id it runs as.
    pub uid: u32,
    /// Whether a seccomp filter or strict mode is on.
    pub has_seccomp: bool,
    /// A debugger holds it stopped.
    pub is_stopped_by_debugger: bool,
    /// It is stopped by a signal.
    pub is_stopped: bool,
    pidfd: OwnedFd,
}

impl TargetProcess {
    /// The processes that have this name (`/proc/PID/comm`, of which the kernel
    /// keeps 15 bytes), memtrace itself left out.
    #[must_use]
    pub fn pids_named(name: &str) -> Vec<u32> {
        let wanted = name.as_bytes();
        let wanted = &wanted[..wanted.len().min(NAME_KEPT)];
        let is_it = |pid: &u32| {
            fs::read(format!("/proc/{pid}/comm"))
                .is_ok_and(|comm| comm.strip_suffix(b"\n").unwrap_or(&comm) == wanted)
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut pids: Vec<u32> = pids
            .filter(|pid| is_it(pid) && !is_memtrace(*pid))
            .collect();
        pids.sort_unstable();
        pids
    }

    /// Looks at a process and makes sure that it can be traced.
    pub fn open(pid: u32) -> Result<Self, CollectError> {
        if is_memtrace(pid) {
            return Err(CollectError::Itself(pid));
        }
        Self::open_own(pid)
    }

    /// The same for a child of memtrace's own, which may run memtrace's program.
    pub fn open_own(pid: u32) -> Result<Self, CollectError> {
        let rustix_pid = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(CollectError::NoSuchProcess(pid))?;
        let proc = ProcProcess::new(rustix_pid.as_raw_nonzero().get())
            .map_err(|_| CollectError::NoSuchProcess(pid))?;
        let status = proc.status().map_err(|error| proc_error(pid, &error))?;
        let stat = proc.stat().map_err(|error| proc_error(pid, &error))?;
        if status.tgid as u32 != pid {
            return Err(CollectError::Thread {
                thread: pid,
                process: status.tgid as u32,
            });
        }
        let state = stat.state().map_err(|error| proc_error(pid, &error))?;
        if stat.flags & KERNEL_THREAD != 0 {
            return Err(CollectError::KernelThread(pid));
        }
        if matches!(state, ProcState::Zombie | ProcState::Dead) {
            return Err(CollectError::Zombie(pid));
        }
        let pidfd =
            pidfd_open(rustix_pid, PidfdFlags::empty()).map_err(|source| CollectError::System {
                what: "pidfd_open",
                source: source.into(),
            })?;
        let process = Self {
            pid,
            ns_pid: status
                .nspid
                .as_ref()
                .and_then(|pids| pids.last())
                .map_or(pid, |pid| *pid as u32),
            start_time: ticks_to_ns(stat.starttime),
            uid: status.euid,
            has_seccomp: status.seccomp.unwrap_or(0) != 0,
            is_stopped_by_debugger: status.tracerpid != 0
                && matches!(state, ProcState::Tracing | ProcState::Stopped),
            is_stopped: matches!(state, ProcState::Stopped | ProcState::Tracing),
            pidfd,
        };
        // The pidfd may be of a later process of this pid: the start time tells.
        match proc.stat() {
            Ok(again) if again.starttime == stat.starttime => Ok(process),
            _ => Err(CollectError::Gone(pid)),
        }
    }

    /// Whether a pid is by now another process's than of the one that started then
    /// (ns since boot).
    #[must_use]
    pub fn is_reused(pid: u32, start_time: u64) -> bool {
        let stat = procfs::process::Process::new(pid as i32).and_then(|process| process.stat());
        stat.is_ok_and(|stat| ticks_to_ns(stat.starttime) != start_time)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut watched = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut watched, Some(&Timespec::default())).is_ok_and(|events| events > 0)
    }

    /// The file name of its program.
    #[must_use]
    pub fn name(&self) -> String {
        let executable = fs::read_link(self.path("exe")).unwrap_or_default();
        bounded(&executable.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Its description for the report. Its program may have changed since the last time.
    #[must_use]
    pub fn describe(&self, id: u32, allocator: String) -> Process {
        let executable = fs::read_link(self.path("exe")).unwrap_or_default();
        Process {
            id,
            pid: self.pid,
            ns_pid: self.ns_pid,
            start_time: self.start_time,
            command: self.command(&executable),
            executable: bounded(&executable.to_string_lossy()),
            allocator,
            followed: None,
            exit: None,
        }
    }

    /// `argv[0]`, or what else names it.
    fn command(&self, executable: &Path) -> String {
        let cmdline = fs::read(self.path("cmdline")).unwrap_or_default();
        let first = cmdline.split(|byte| *byte == 0).next().unwrap_or_default();
        if !first.is_empty() {
            return bounded(&String::from_utf8_lossy(first));
        }
        bounded(&executable.file_name().unwrap_or_default().to_string_lossy())
    }

    /// How it ended, if its parent has not asked yet: `exit_code` of
    /// `/proc/PID/stat` (Linux 3.5), which is a wait status.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let Some(stat) = self
            .stat()
            .filter(|stat| ticks_to_ns(stat.starttime) == self.start_time)
        else {
            return Exit::Unknown;
        };
        match (stat.state(), stat.exit_code) {
            (Ok(ProcState::Zombie | ProcState::Dead), Some(status)) => exit_of(status),
            _ => Exit::Unknown,
        }
    }

    fn stat(&self) -> Option<Stat> {
        ProcProcess::new(self.pid as i32).ok()?.stat().ok()
    }

    /// A file of its directory in /proc.
    #[must_use]
    pub fn path(&self, file: &str) -> PathBuf {
        format!("/proc/{}/{file}", self.pid).into()
    }
}

/// What a wait status says.
pub(super) fn exit_of(status: i32) -> Exit {
    match status & 0x7f {
        0 => Exit::Status(status >> 8 & 0xff),
        signal => Exit::Signal(signal),
    }
}

/// Whether the process runs this very program.
fn is_memtrace(pid: u32) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &str| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    pid == std::process::id()
        || identity(&format!("/proc/{pid}/exe"))
            .is_some_and(|it| Some(it) == identity("/proc/self/exe"))
}

fn bounded(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}

fn ticks_to_ns(ticks: u64) -> u64 {
    ticks.saturating_mul(1_000_000_000 / procfs::ticks_per_second().max(1))
}

fn proc_error(pid: u32, error: &procfs::ProcError) -> CollectError {
    match error {
        procfs::ProcError::NotFound(_) => CollectError::Gone(pid),
        other => CollectError::NotPermitted {
            pid,
            reason: other.to_string(),
        },
    }
}
