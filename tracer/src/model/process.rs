//! A traced process: one program in one address space.

use serde::{Deserialize, Serialize};

/// One program in one address space. A process that execs becomes another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The address space's number in this report; `Site::process` refers to it.
    pub id: u32,
    /// Process id on the host.
    pub pid: u32,
    /// Process id in its own (innermost) pid namespace.
    pub ns_pid: u32,
    /// When it started, ns since boot (`/proc/PID/stat`, field 22).
    #[serde(with = "super::wide")]
    pub start_time: u64,
    /// `argv[0]` only: arguments hold secrets.
    pub command: String,
    /// Path of the executable as the process sees it.
    pub executable: String,
    /// Such as `glibc 2.36`.
    pub allocator: String,
    /// How it ended, if it ended within the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "value")]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// It was killed by this signal.
    Signal(i32),
    /// It replaced its program (execve).
    Exec,
    /// It ended; the status is known to its parent only.
    Unknown,
}
