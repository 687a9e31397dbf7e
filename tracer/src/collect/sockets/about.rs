//! What is said of a process beside its sockets: what anybody may read of it.

use std::fs;

use crate::{
    collect::{CollectError, TargetProcess},
    model::socket_look::About,
};

/// Longest name kept of what a process says of itself.
const NAME_MAX: usize = 4096;

/// Makes sure that there is such a process. One of the kernel's own has no socket,
/// which is an answer.
///
/// # Errors
/// [`CollectError`], with what to do.
pub fn check(pid: u32) -> Result<(), CollectError> {
    match TargetProcess::open_own(pid) {
        Ok(_) | Err(CollectError::KernelThread(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What a process is called, and its resident set; nothing of one that has gone.
#[must_use]
pub fn about(pid: u32) -> About {
    About {
        command: command(pid),
        resident_bytes: resident(pid),
    }
}

/// `argv[0]`; of who has none, as kernel threads, what the kernel calls it.
fn command(pid: u32) -> String {
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = cmdline.split(|byte| *byte == 0).next().unwrap_or_default();
    let bounded = |text: &[u8]| {
        String::from_utf8_lossy(text)
            .chars()
            .take(NAME_MAX)
            .collect()
    };
    if !first.is_empty() {
        return bounded(first);
    }
    let comm = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    bounded(comm.trim_ascii_end())
}

/// Second field of `statm`, in pages (Documentation/filesystems/proc.rst). Up to a
/// few pages a thread behind the truth from Linux 6.2 on.
fn resident(pid: u32) -> Option<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    // A kernel thread has no memory of its own.
    (pages > 0).then(|| pages.saturating_mul(procfs::page_size()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Of this process its name and a plausible resident set; of none, nothing.
    #[test]
    fn tells_of_processes() {
        let own = about(std::process::id());
        let argv0 = std::env::args().next().unwrap();
        assert_eq!(own.command, argv0);
        assert!((1 << 20..1 << 36).contains(&own.resident_bytes.unwrap()));
        assert_eq!(about(u32::MAX), About::default());
        assert!(check(std::process::id()).is_ok());
        let missing = check(u32::MAX).unwrap_err();
        assert!(matches!(missing, CollectError::NoSuchProcess(u32::MAX)));
    }
}
