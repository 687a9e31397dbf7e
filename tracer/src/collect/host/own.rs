//! What memtrace itself takes.

use std::{collections::VecDeque, fs};

use super::{line::Now, proc_files};

/// The share is of the last five minutes.
const SPAN_NS: u64 = 300 * 1_000_000_000;
/// A closer look's child is a file worker.
const GENERATIONS: u32 = 2;
/// Looks remembered at most, should they come faster.
const MOST: usize = 400;

/// Processor time of this process and of children that have ended.
#[derive(Debug, Default)]
pub struct Own {
    /// When, ns since boot, and how much, ns.
    marks: VecDeque<(u64, u64)>,
}

impl Own {
    /// Takes a mark; the share of one processor since the oldest that is kept.
    pub fn share(&mut self, now: Now) -> f64 {
        self.marks.push_back((now.boot_ns, cpu_ns(true)));
        let is_old = |mark: &(u64, u64)| now.boot_ns.saturating_sub(mark.0) > SPAN_NS;
        while self.marks.len() > MOST
            || (self.marks.len() > 2 && self.marks.front().is_some_and(is_old))
        {
            self.marks.pop_front();
        }
        match (self.marks.front(), self.marks.back()) {
            (Some(first), Some(last)) if last.0 > first.0 => {
                last.1.saturating_sub(first.1) as f64 / (last.0 - first.0) as f64
            }
            _ => 0.0,
        }
    }
}

/// Processor time of this process, with that of children that were waited for, ns.
#[must_use]
pub fn cpu_ns(with_children: bool) -> u64 {
    let text = fs::read("/proc/self/stat").unwrap_or_default();
    let after = text.iter().rposition(|byte| *byte == b')').unwrap_or(0);
    let fields = proc_files::words(text.get(after + 1..).unwrap_or_default());
    // utime, stime, cutime, cstime: fields 14 to 17; the first here is 3.
    let count = if with_children { 4 } else { 2 };
    let ticks = (fields.skip(11).take(count))
        .filter_map(proc_files::number)
        .fold(0, u64::saturating_add);
    ticks.saturating_mul(1_000_000_000 / procfs::ticks_per_second().max(1))
}

/// Resident of this process and those that it has started: closer looks, and who reads files
/// for them. Bytes.
#[must_use]
pub fn resident() -> u64 {
    resident_pages("self", GENERATIONS).saturating_mul(procfs::page_size())
}

fn resident_pages(pid: &str, generations: u32) -> u64 {
    let text = fs::read(format!("/proc/{pid}/statm")).unwrap_or_default();
    let own = proc_files::resident_pages(&text).unwrap_or(0);
    if generations == 0 {
        return own;
    }
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let children = threads.into_iter().flatten().flatten().map(|thread| {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let resident = |pid| resident_pages(pid, generations - 1);
        children.split_ascii_whitespace().map(resident).sum::<u64>()
    });
    own + children.sum::<u64>()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// This process has used some time, and has memory.
    #[test]
    fn measures_itself() {
        assert!(resident() > 1 << 20);
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        assert!(resident() > resident_pages("self", 0) * procfs::page_size());
        child.kill().unwrap();
        child.wait().unwrap();
        let mut busy = 0_u64;
        while cpu_ns(false) < 20_000_000 {
            busy = std::hint::black_box(busy.wrapping_add(1));
        }
        assert!(cpu_ns(true) >= 20_000_000);
        let mut own = Own::default();
        let at = |seconds: u64| Now {
            boot_ns: seconds * 1_000_000_000,
            utc_ms: 0,
        };
        assert!(own.share(at(1000)).abs() < f64::EPSILON);
        assert!(own.share(at(2000)) < 0.1);
    }
}
