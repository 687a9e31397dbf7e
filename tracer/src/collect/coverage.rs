//! What a trace of each running process would cover, without tracing any.

use procfs::process::{Process, all_processes};

use super::{
    CollectError, TargetProcess,
    space::{Survey, names_of, no_allocator},
};
use crate::symbolize::FileWorker;

/// What a trace of a process would cover.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// Process id.
    pub pid: u32,
    /// File name of its program.
    pub name: String,
    /// Resident anonymous memory, bytes (`RssAnon` of `/proc/PID/status`, Linux 4.5).
    pub resident: u64,
    /// Its allocators, such as `glibc 2.36`, or why it cannot be traced.
    pub allocators: Result<String, String>,
    /// What of it would not be covered.
    pub not_covered: Vec<String>,
}

/// Looks at the processes that hold the most memory, the largest first.
///
/// `seccomp_safe`: return probes do not kill processes under seccomp here.
pub fn coverage(processes: usize, seccomp_safe: bool) -> Result<Vec<Coverage>, CollectError> {
    let mut worker = FileWorker::start()?;
    let mut largest: Vec<(u64, u32)> = all_processes()
        .into_iter()
        .flatten()
        .filter_map(|process| resident(&process.ok()?))
        .collect();
    largest.sort_by_key(|(resident, pid)| (std::cmp::Reverse(*resident), *pid));
    let targets = largest.into_iter().filter_map(|(resident, pid)| {
        // Kernel threads, memtrace itself, and what has just ended are no targets.
        Some((resident, TargetProcess::open(pid).ok()?))
    });
    Ok(targets
        .take(processes)
        .map(|(resident, target)| look_at(&target, resident, seccomp_safe, &mut worker))
        .collect())
}

fn resident(process: &Process) -> Option<(u64, u32)> {
    let kib = process.status().ok()?.rssanon?;
    Some((kib * 1024, u32::try_from(process.pid()).ok()?))
}

fn look_at(
    target: &TargetProcess,
    resident: u64,
    seccomp_safe: bool,
    worker: &mut FileWorker,
) -> Coverage {
    let mut not_covered = Vec::new();
    let allocators = Survey::of(target.pid, worker).and_then(|survey| {
        if target.has_seccomp && !seccomp_safe {
            return Err(CollectError::SeccompUnsafe(target.pid));
        }
        if survey.found.allocators.is_empty() {
            return Err(no_allocator(target.pid, &survey.found));
        }
        let unsampled = survey.found.unsampled_javascript();
        not_covered = survey.found.not_covered;
        not_covered.extend(unsampled);
        Ok(names_of(&survey.found.allocators))
    });
    Coverage {
        pid: target.pid,
        name: target.name(),
        resident,
        allocators: allocators.map_err(|error| error.to_string()),
        not_covered,
    }
}
