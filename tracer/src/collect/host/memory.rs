//! The host's memory: `/proc/meminfo`, `/proc/pressure/memory`, `/proc/vmstat`,
//! `/proc/net/sockstat`; and how many tasks began and ended.

use std::fs;

use super::proc_files::{kibibytes, number, words};
use crate::{
    collect::sockets::host::sockstat,
    model::host::{Gauge, HostMemory},
};

/// At one moment, as the kernel counts; counters since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// `MemTotal`.
    pub total: u64,
    /// `MemAvailable`.
    pub available: u64,
    /// `AnonPages`.
    pub anonymous: u64,
    /// `Slab`.
    pub slab: u64,
    /// `SwapTotal` − `SwapFree`.
    pub swapped: u64,
    /// TCP's and UDP's.
    pub sockets: u64,
    /// `some total`, µs.
    pub stalled_us: u64,
    /// `oom_kill`.
    pub oom_kills: u64,
    /// `processes` of `/proc/stat`: tasks ever begun, threads too (`total_forks`,
    /// kernel/fork.c).
    pub forks: u64,
    /// Tasks that are there: fourth field of `/proc/loadavg`.
    pub tasks: u64,
}

/// Reads them; what is not to be had is 0.
#[must_use]
pub fn read() -> Counters {
    let text = |path: &str| fs::read(path).unwrap_or_default();
    let mut found = Counters::default();
    meminfo(&text("/proc/meminfo"), &mut found);
    found.stalled_us = stalled(&text("/proc/pressure/memory"));
    found.oom_kills = value_of(&text("/proc/vmstat"), b"oom_kill");
    found.forks = value_of(&text("/proc/stat"), b"processes");
    found.tasks = tasks(&text("/proc/loadavg"));
    let sockets = sockstat(&String::from_utf8_lossy(&text("/proc/net/sockstat")));
    let pages = sockets.tcp_pages.saturating_add(sockets.udp_pages);
    found.sockets = pages.saturating_mul(procfs::page_size());
    found
}

impl Counters {
    /// What happened since `before`.
    #[must_use]
    pub const fn since(&self, before: &Self) -> HostMemory {
        HostMemory {
            total_bytes: self.total,
            available: Gauge::of(self.available),
            anonymous: Gauge::of(self.anonymous),
            slab: Gauge::of(self.slab),
            swapped: Gauge::of(self.swapped),
            sockets: Gauge::of(self.sockets),
            stalled_us: self.stalled_us.saturating_sub(before.stalled_us),
            oom_kills: self.oom_kills.saturating_sub(before.oom_kills),
        }
    }

    /// Tasks that began since `before`, and that ended.
    #[must_use]
    pub const fn tasks_since(&self, before: &Self) -> (u64, u64) {
        let starts = self.forks.saturating_sub(before.forks);
        let ends = starts.saturating_add(before.tasks);
        (starts, ends.saturating_sub(self.tasks))
    }
}

fn meminfo(text: &[u8], found: &mut Counters) {
    let (mut swap, mut free) = (0, 0);
    for line in text.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (key, value) = line.split_at(colon);
        let to = match key {
            b"MemTotal" => &mut found.total,
            b"MemAvailable" => &mut found.available,
            b"AnonPages" => &mut found.anonymous,
            b"Slab" => &mut found.slab,
            b"SwapTotal" => &mut swap,
            b"SwapFree" => &mut free,
            _ => continue,
        };
        *to = kibibytes(value.get(1..).unwrap_or_default()).unwrap_or(0);
    }
    found.swapped = swap.saturating_sub(free);
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=13457507` (Linux 4.20).
fn stalled(text: &[u8]) -> u64 {
    let mut lines = text.split(|byte| *byte == b'\n');
    let some = lines.find(|line| line.starts_with(b"some "));
    let total = some.and_then(|line| words(line).find_map(|word| word.strip_prefix(b"total=")));
    total.and_then(number).unwrap_or(0)
}

/// Of lines `NAME VALUE`.
pub(super) fn value_of(text: &[u8], name: &[u8]) -> u64 {
    let mut lines = text.split(|byte| *byte == b'\n').map(words);
    let value = lines.find_map(|mut line| {
        let is_it = line.next()? == name;
        is_it.then(|| number(line.next()?))?
    });
    value.unwrap_or(0)
}

/// `1.46 1.41 1.36 1/118 24194`.
fn tasks(text: &[u8]) -> u64 {
    let of = words(text).nth(3).unwrap_or_default();
    let all = of.splitn(2, |byte| *byte == b'/').nth(1);
    all.and_then(number).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Each figure is found by its name, in bytes.
    #[test]
    fn reads_what_the_kernel_writes() {
        let mut found = Counters::default();
        let text = b"MemTotal:  100 kB\nMemFree: 7 kB\nMemAvailable: 60 kB\nSwapTotal: 9 kB\nSwapFree: 4 kB\nAnonPages: 3 kB\nSlab: 2 kB\nHugePages_Total: 5\n";
        meminfo(text, &mut found);
        assert_eq!((found.total, found.available), (102_400, 61_440));
        assert_eq!(
            (found.swapped, found.anonymous, found.slab),
            (5120, 3072, 2048)
        );
        assert_eq!(stalled(b"some avg10=0.00 total=17\nfull total=5\n"), 17);
        assert_eq!(value_of(b"oom_kill_x 2\noom_kill 3\n", b"oom_kill"), 3);
        assert_eq!(tasks(b"0.0 0.0 0.0 2/118 24194\n"), 118);
    }

    /// Of ten tasks that began, those that are not there have ended.
    #[test]
    fn ends_are_what_began_and_is_not_there() {
        let at = |forks, tasks| Counters {
            forks,
            tasks,
            ..Counters::default()
        };
        assert_eq!(at(110, 52).tasks_since(&at(100, 50)), (10, 8));
        assert_eq!(at(100, 40).tasks_since(&at(100, 50)), (0, 10));
        // The two are not read at one moment.
        assert_eq!(at(100, 60).tasks_since(&at(100, 50)), (0, 0));
    }

    /// This very host has memory and tasks.
    #[test]
    fn reads_this_host() {
        let now = read();
        assert!(now.total > now.available && now.available > 0);
        assert!(now.forks > 0 && now.tasks > 1);
    }

    proptest! {
        /// No text makes them panic.
        #[test]
        fn any_text_is_read(bytes: Vec<u8>) {
            meminfo(&bytes, &mut Counters::default());
            let _ = (stalled(&bytes), value_of(&bytes, b"x"), tasks(&bytes));
        }
    }
}
