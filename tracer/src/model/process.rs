//! A traced process: one program in one address space.

use serde::{Deserialize, Serialize};

/// One program in one address space. A process that execs becomes another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// How it came under trace, if it is the child of a process that was traced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followed: Option<Followed>,
    /// How it ended, if it ended within the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
}

impl Process {
    /// What it runs, such as `node`: of its command the last part, else of its
    /// executable. As the process wrote it.
    #[must_use]
    pub fn program(&self) -> &str {
        let last = |path: &'_ str| {
            let name = path.trim_end_matches('/').rsplit('/').next();
            name.unwrap_or_default().trim().len()
        };
        let path = if last(&self.command) > 0 {
            &self.command
        } else {
            &self.executable
        };
        let path = path.trim_end_matches('/');
        path.rsplit('/').next().unwrap_or_default().trim()
    }
}

/// How a child process came under trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Followed {
    /// Process id of the one that started it.
    pub parent: u32,
    /// What its address space began with.
    pub since: Beginning,
    /// From that beginning until its calls counted, ms: what it allocated
    /// meanwhile is not in the report.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub gap_ms: f64,
}

/// What an address space begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Beginning {
    /// A copy of its parent's: the blocks it inherited are not counted as its own.
    Fork,
    /// A new program.
    Exec,
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
