//! Measuring what a running trace costs its target, and acting on it.

use std::{collections::HashMap, os::fd::OwnedFd, time::Instant};

use super::{
    CollectError, Session,
    clock::Moment,
    overhead::{Decision, Load},
};
use crate::{
    model::Sampling,
    probe::{ProgramName, ProgramRun},
};

/// A stretch of time over which the kernel measures our programs.
pub(super) struct Statistics {
    _enabled: OwnedFd,
    /// CPU time of each target, ns.
    target_cpu_ns: HashMap<u32, u64>,
    before: Load,
    sends: ProgramRun,
    began: Instant,
}

impl Session {
    /// Measures what tracing costs, now and then from one call to the next, and acts
    /// on it.
    pub(super) fn govern(&mut self, calls_per_second: f64) -> Result<bool, CollectError> {
        let Some(statistics) = self.statistics.take() else {
            if !self.governor.is_due(calls_per_second) {
                return Ok(false);
            }
            self.statistics =
                aya::sys::enable_stats(aya::sys::Stats::RunTime)
                    .ok()
                    .map(|enabled| Statistics {
                        _enabled: enabled,
                        target_cpu_ns: self.target_cpu_ns(),
                        before: self.load(),
                        sends: self.kernel.run_statistics_of_senders(),
                        began: Instant::now(),
                    });
            return Ok(false);
        };
        let after = self.load();
        // Of those that lived all the while, so that the share is not
        // underestimated for one that ended.
        let target_cpu_ns = (self.target_cpu_ns().iter())
            .filter_map(|(pid, now)| now.checked_sub(*statistics.target_cpu_ns.get(pid)?))
            .sum();
        let load = Load {
            entry_hits: after.entry_hits - statistics.before.entry_hits,
            return_hits: after.return_hits - statistics.before.return_hits,
            run_ns: after.run_ns - statistics.before.run_ns,
            target_cpu_ns,
            wall_ns: u64::try_from(statistics.began.elapsed().as_nanos()).unwrap_or(u64::MAX),
        };
        if let Some(sockets) = &mut self.sockets {
            let sends = self.kernel.run_statistics_of_senders();
            sockets.measured_sends(
                sends.count.saturating_sub(statistics.sends.count),
                sends.ns.saturating_sub(statistics.sends.ns),
                load.wall_ns,
            );
        }
        match self.governor.judge(&load) {
            Decision::Keep => Ok(false),
            Decision::End => Ok(true),
            Decision::Sample { shift } => {
                self.control.sample_shift = shift;
                self.kernel.set_control(&self.control)?;
                self.sampling = Some(Sampling {
                    reason: format!(
                        "tracing every call took {:.0}% of the target's CPU time",
                        load.share(&self.findings.traps) * 100.0
                    ),
                    since_seconds: Moment::now()
                        .monotonic_ns
                        .saturating_sub(self.start.monotonic_ns)
                        as f64
                        / 1e9,
                    one_in: 1 << shift,
                    always_bytes: u64::from(self.control.always_bytes),
                    passed_over: 0,
                    slices: None,
                });
                Ok(false)
            }
        }
    }

    fn target_cpu_ns(&self) -> HashMap<u32, u64> {
        let targets = self.spaces.iter().filter_map(|space| space.target.as_ref());
        targets
            .map(|target| (target.pid, cpu_ns(target.pid)))
            .collect()
    }

    pub(super) fn load(&self) -> Load {
        let run = |name| self.kernel.run_statistics(name);
        let (entry, at_return, exit, free, javascript) = (
            run(ProgramName::Entry),
            run(ProgramName::Return),
            run(ProgramName::Exit),
            run(ProgramName::Free),
            run(ProgramName::JavascriptHeap),
        );
        Load {
            entry_hits: entry.count + exit.count + free.count + javascript.count,
            return_hits: at_return.count,
            run_ns: entry.ns + at_return.ns + exit.ns + free.ns + javascript.ns,
            ..Load::default()
        }
    }
}

/// CPU time of a process, ns; 0 when it is gone.
pub(super) fn cpu_ns(pid: u32) -> u64 {
    let mut clock = 0;
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: both write to what they are given.
    let gone = unsafe {
        libc::clock_getcpuclockid(pid as i32, &raw mut clock) != 0
            || libc::clock_gettime(clock, &raw mut time) != 0
    };
    if gone {
        0
    } else {
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}
