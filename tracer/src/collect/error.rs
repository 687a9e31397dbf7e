//! What can go wrong with a target, and what to do about it.

use crate::{probe::ProbeError, symbolize::FileWorkerError};

/// An error of finding, following or reading a target.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// No such process.
    #[error(
        "no process has pid {0}. `ps -e` lists them; in a container use the pid that the host sees"
    )]
    NoSuchProcess(u32),
    /// memtrace stands in a pid namespace of its own.
    #[error(
        "memtrace runs in a pid namespace (a container), where its pids are not the kernel's. Run it on the host, or start its container with the host's pid namespace (docker run --pid=host)"
    )]
    PidNamespace,
    /// The pid is a thread's.
    #[error("{thread} is a thread of process {process}. Trace the process: memtrace -p {process}")]
    Thread {
        /// What was asked for.
        thread: u32,
        /// Its process.
        process: u32,
    },
    /// A kernel thread.
    #[error("{0} is a kernel thread: it has no heap of its own. Choose a process of a program")]
    KernelThread(u32),
    /// Already dead.
    #[error("process {0} has already ended and waits for its parent to notice: its memory is gone")]
    Zombie(u32),
    /// memtrace itself.
    #[error(
        "process {0} is a memtrace: tracing the tracer would count its own work. Choose another process"
    )]
    Itself(u32),
    /// Return probes kill processes under seccomp on this kernel.
    #[error(
        "process {0} runs under a seccomp filter, and on this kernel return probes kill such processes (seen with a child of memtrace's own just now). Upgrade the kernel, or run the process without the filter"
    )]
    SeccompUnsafe(u32),
    /// The process may not be looked at.
    #[error(
        "process {pid} may not be read: {reason}. Run memtrace as root, or with CAP_SYS_PTRACE, CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN"
    )]
    NotPermitted {
        /// The process.
        pid: u32,
        /// The system's words.
        reason: String,
    },
    /// No allocator in it that can be traced.
    #[error(
        "process {pid} uses no allocator that memtrace covers: {found}. It needs the names of the allocator's functions: do not strip the program, or link it with a shared libc"
    )]
    NoAllocator {
        /// The process.
        pid: u32,
        /// What there is instead.
        found: String,
    },
    /// It went while we looked.
    #[error("process {0} ended before it could be traced")]
    Gone(u32),
    /// More processes than the trace has room for.
    #[error(
        "the trace has room for {0} programs and their children, and they have been; what starts now is not traced"
    )]
    TooManyProcesses(u32),
    /// The program could not be started.
    #[error("cannot start {program}: {reason}")]
    Start {
        /// What was to be started.
        program: String,
        /// The system's words.
        reason: String,
    },
    /// The kernel boundary.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// The file worker.
    #[error(transparent)]
    Worker(#[from] FileWorkerError),
    /// The probes on sockets that were asked for.
    #[error(
        "the probes that --socket-probes asks for cannot be had here: {0} Choose others, or auto"
    )]
    SocketProbes(String),
    /// Anything of the system.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
}

impl CollectError {
    /// Whether the process ended while it was looked at.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(
            self,
            Self::NoSuchProcess(_) | Self::Gone(_) | Self::Zombie(_)
        )
    }
}
