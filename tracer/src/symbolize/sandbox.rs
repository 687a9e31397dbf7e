//! What the file worker gives up before it reads a target's file: its user,
//! its capabilities, its memory beyond a limit, and every system call that it
//! does not need.
//!
//! Fails closed: what cannot be given up is an error, and nothing is read then.

use std::collections::BTreeMap;

use libc::c_long;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getpid, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};
use thiserror::Error;

/// Files and memory together. The largest file is [`super::MAX_FILE_BYTES`].
const ADDRESS_SPACE_BYTES: u64 = 4 << 30;
/// Memory without the files.
const DATA_BYTES: u64 = 1 << 30;
/// Standard streams, the socket, and the file in hand.
const OPEN_FILES: u64 = 16;
/// User and group `nobody`.
const NOBODY: u32 = 65_534;

/// What could not be given up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// A resource limit.
    #[error("cannot limit {resource:?}")]
    Limit {
        /// Which one.
        resource: Resource,
        /// The system's answer.
        source: rustix::io::Errno,
    },
    /// The user, the groups or the capabilities.
    #[error("cannot give up {what}")]
    Privilege {
        /// Which of them.
        what: &'static str,
        /// The system's answer.
        source: rustix::io::Errno,
    },
    /// The filter of system calls.
    #[error("cannot filter system calls")]
    Filter(#[from] seccompiler::Error),
    /// The filter's own form.
    #[error("cannot build the filter of system calls")]
    FilterForm(#[from] seccompiler::BackendError),
}

/// Closes every file but the standard streams.
pub(crate) fn close_inherited_files() {
    // SAFETY: nothing in this process has opened a file yet; inherited ones
    // belong to no Rust object. Without this call (before Linux 5.9) nothing
    // happens, and the parent's files are close-on-exec anyway.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32);
    }
}

/// Gives everything up, for good. To be called with one thread running.
///
/// There is no death signal from the parent: it would follow the parent's
/// *thread*, and blocking threads come and go. The closed socket ends the worker,
/// and within a request [`end_after`].
pub(crate) fn enter() -> Result<(), SandboxError> {
    limit(Resource::Core, 0)?;
    limit(Resource::Fsize, 0)?;
    limit(Resource::Memlock, 0)?;
    limit(Resource::Nofile, OPEN_FILES)?;
    limit(Resource::As, ADDRESS_SPACE_BYTES)?;
    limit(Resource::Data, DATA_BYTES)?;
    become_nobody()?;
    let filter: seccompiler::BpfProgram = filter()?.try_into()?;
    Ok(seccompiler::apply_filter(&filter)?)
}

/// Ends the process by SIGALRM after this many seconds; 0 takes that back.
pub(crate) fn end_after(seconds: u32) {
    // SAFETY: sets this process's timer; SIGALRM is not handled.
    unsafe {
        libc::alarm(seconds);
    }
}

fn limit(resource: Resource, bytes: u64) -> Result<(), SandboxError> {
    let limit = Rlimit {
        current: Some(bytes),
        maximum: Some(bytes),
    };
    setrlimit(resource, limit).map_err(|source| SandboxError::Limit { resource, source })
}

fn become_nobody() -> Result<(), SandboxError> {
    let failed = |what| move |source| SandboxError::Privilege { what, source };
    if rustix::process::geteuid().is_root() {
        let (user, group) = (
            rustix::process::Uid::from_raw(NOBODY),
            rustix::process::Gid::from_raw(NOBODY),
        );
        set_thread_groups(&[]).map_err(failed("supplementary groups"))?;
        set_thread_res_gid(group, group, group).map_err(failed("the group"))?;
        set_thread_res_uid(user, user, user).map_err(failed("the user root"))?;
    }
    // A binary with file capabilities has them without being root.
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(failed("capabilities"))?;
    // Other processes of `nobody` must not trace this one.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(failed("being traced"))?;
    set_no_new_privs(true).map_err(failed("new privileges"))
}

/// Allows what parsing needs, and dying with a message; kills on anything else.
fn filter() -> Result<SeccompFilter, SandboxError> {
    let always: [c_long; 22] = [
        // The socket, and the file that came over it.
        libc::SYS_recvmsg,
        libc::SYS_recvfrom,
        libc::SYS_sendmsg,
        libc::SYS_sendto,
        libc::SYS_read,
        libc::SYS_pread64,
        libc::SYS_fstat,
        libc::SYS_close,
        // Memory.
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_brk,
        libc::SYS_madvise,
        // The standard library's locks, hash seeds and clocks.
        libc::SYS_futex,
        libc::SYS_getrandom,
        libc::SYS_clock_gettime,
        libc::SYS_alarm,
        // Ending, also by a signal (whose handler lets it pass).
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_exit,
        libc::SYS_exit_group,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        always.into_iter().map(|call| (call, Vec::new())).collect();
    // abort(3): asks who it is, and signals itself.
    rules.insert(libc::SYS_getpid, Vec::new());
    rules.insert(libc::SYS_gettid, Vec::new());
    let own = u64::from(getpid().as_raw_nonzero().get().unsigned_abs());
    rules.insert(libc::SYS_tgkill, vec![argument(0, SeccompCmpOp::Eq, own)?]);
    // A panic's message goes to standard error.
    rules.insert(
        libc::SYS_write,
        vec![argument(0, SeccompCmpOp::Eq, libc::STDERR_FILENO as u64)?],
    );
    // Debug builds of the standard library ask whether a file is open before
    // they close it.
    rules.insert(
        libc::SYS_fcntl,
        vec![argument(1, SeccompCmpOp::Eq, libc::F_GETFD as u64)?],
    );
    // Memory that can be executed is never needed.
    let executable = libc::PROT_EXEC as u64;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let rule = argument(2, SeccompCmpOp::MaskedEq(executable), 0)?;
        rules.insert(call, vec![rule]);
    }
    Ok(SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TargetArch::x86_64,
    )?)
}

fn argument(
    index: u8,
    comparison: SeccompCmpOp,
    value: u64,
) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, comparison, value)?;
    SeccompRule::new(vec![condition])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, ExitStatus};

    use super::*;

    const DEED: &str = "MEMTRACE_TEST_DEED";

    /// Runs [`within`] in a process of its own, which then does the deed.
    fn outcome(deed: &str) -> ExitStatus {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "symbolize::sandbox::tests::within"])
            .args(["--test-threads=1", "--nocapture"])
            .env(DEED, deed)
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap()
            .status
    }

    /// Not a test of its own: the child of the tests below. It passes when
    /// they did not start it.
    #[test]
    fn within() {
        let Ok(deed) = std::env::var(DEED) else {
            return;
        };
        enter().unwrap();
        match deed.as_str() {
            "open" => drop(std::fs::File::open("/etc/passwd")),
            "connect" => drop(std::net::TcpStream::connect("127.0.0.1:1")),
            "execute" => drop(Command::new("/bin/true").status()),
            "signal" => drop(rustix::process::kill_process(
                rustix::process::Pid::INIT,
                rustix::process::Signal::USR1,
            )),
            "abort" => std::process::abort(),
            "time" => end_after(1),
            "memory" => {
                let mut kept: Vec<Vec<u8>> = Vec::new();
                loop {
                    kept.push(vec![1; 64 << 20]);
                }
            }
            _ => {}
        }
        if deed == "time" {
            loop {
                std::hint::spin_loop();
            }
        }
        std::process::exit(7);
    }

    /// A parser taken over by a hostile file reaches no file, host or process.
    #[test]
    fn everything_but_parsing_is_fatal() {
        for deed in ["open", "connect", "execute", "signal"] {
            assert_eq!(outcome(deed).signal(), Some(libc::SIGSYS), "{deed}");
        }
    }

    /// Ordinary ends stay what they are, so that the parent can tell them apart.
    #[test]
    fn ordinary_ends_are_possible() {
        assert_eq!(outcome("nothing").code(), Some(7));
        assert_eq!(outcome("abort").signal(), Some(libc::SIGABRT));
    }

    /// A file that makes the parser ask for ever more memory, or loop, ends the
    /// worker only.
    #[test]
    fn memory_and_time_are_limited() {
        assert_eq!(outcome("memory").signal(), Some(libc::SIGABRT));
        assert_eq!(outcome("time").signal(), Some(libc::SIGALRM));
    }
}
