//! What tracing costs the target, and keeping it under a limit.
//!
//! Cost = hits × cost of a trap + run time of the programs. The kernel's
//! run-time statistics leave the traps out, which are most of it, so the trap
//! is measured on a child of our own at start (`probe::canary`).

use crate::probe::canary::TrapCosts;

/// How much of the target's CPU time tracing may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// Percent of the CPU time that the target uses, tracing included.
    Percent(f64),
    /// Percent of one processor's time, on average over the trace: kept by recording in
    /// slices of time, whatever the target does (`budget`).
    Budget(f64),
    /// No limit.
    Off,
}

/// What happened within a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Hits of probes at entries (allocating functions and free).
    pub entry_hits: u64,
    /// Hits of probes at returns.
    pub return_hits: u64,
    /// Run time of the programs, ns.
    pub run_ns: u64,
    /// CPU time of the target, ns, tracing included.
    pub target_cpu_ns: u64,
    /// How long the stretch was, ns.
    pub wall_ns: u64,
}

impl Load {
    /// CPU time that tracing took, ns.
    #[must_use]
    pub fn tracing_ns(&self, traps: &TrapCosts) -> f64 {
        self.entry_hits as f64 * traps.entry_ns
            + self.return_hits as f64 * traps.return_ns
            + self.run_ns as f64
    }

    /// The part of the target's CPU time that tracing took, 0 to 1; of one processor's
    /// time, where the target used less: one that mostly waits loses little of what
    /// it has by a few percent of a processor, were they most of what it uses.
    #[must_use]
    pub fn share(&self, traps: &TrapCosts) -> f64 {
        let whole = self.target_cpu_ns.max(self.wall_ns);
        if whole == 0 {
            0.0
        } else {
            (self.tracing_ns(traps) / whole as f64).min(1.0)
        }
    }
}

/// What to do about the cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decision {
    /// Go on.
    Keep,
    /// Record one allocation in `1 << shift` from now on.
    Sample {
        /// See [`Decision::Sample`].
        shift: u32,
    },
    /// End the trace: the traps alone cost more than the limit.
    End,
}

/// One allocation in 64: enough to leave little but the traps.
pub const SAMPLE_SHIFT: u32 = 6;
/// Blocks from this size on are recorded even when sampling: they are few.
pub const ALWAYS_BYTES: u32 = 64 * 1024;
/// Stretches over the limit, even sampled, before the trace ends.
const PATIENCE: u32 = 3;
/// Less CPU time than this says nothing, ns.
const TARGET_IDLE_NS: u64 = 5_000_000;

/// Looks between two stretches while all is well.
const RESTS: u32 = 7;
/// So many times the calls of the last stretch are worth a new one at once.
const MORE_CALLS: f64 = 1.5;

/// Keeps the cost under the limit.
#[derive(Debug)]
pub struct Governor {
    limit: Limit,
    traps: TrapCosts,
    is_sampling: bool,
    stretches_over: u32,
    /// Looks that pass before the next stretch is measured.
    rest: u32,
    /// Calls a second in the last stretch.
    calls_then: f64,
    /// The largest share seen.
    pub worst_share: f64,
}

impl Governor {
    /// A governor for a trace that starts exact.
    #[must_use]
    pub const fn new(limit: Limit, traps: TrapCosts) -> Self {
        Self {
            limit,
            traps,
            is_sampling: false,
            stretches_over: 0,
            rest: 0,
            calls_then: 0.0,
            worst_share: 0.0,
        }
    }

    /// Whether a stretch is to be measured from now on. The kernel's statistics cost
    /// every run of every BPF program of the host two readings of a clock, so most
    /// of the time they are off, unless calls have become more since.
    pub fn is_due(&mut self, calls_per_second: f64) -> bool {
        self.rest = self.rest.saturating_sub(1);
        let is_due = self.rest == 0 || calls_per_second > MORE_CALLS * self.calls_then;
        if is_due {
            self.calls_then = calls_per_second;
        }
        is_due
    }

    /// Judges one stretch of time.
    pub fn judge(&mut self, load: &Load) -> Decision {
        if load.target_cpu_ns < TARGET_IDLE_NS {
            self.rest = RESTS;
            return Decision::Keep;
        }
        let share = load.share(&self.traps);
        self.worst_share = self.worst_share.max(share);
        let Limit::Percent(percent) = self.limit else {
            self.rest = RESTS;
            return Decision::Keep;
        };
        if share * 100.0 <= percent {
            self.stretches_over = 0;
            self.rest = RESTS;
            return Decision::Keep;
        }
        self.rest = 0;
        if !self.is_sampling {
            self.is_sampling = true;
            return Decision::Sample {
                shift: SAMPLE_SHIFT,
            };
        }
        self.stretches_over += 1;
        if self.stretches_over >= PATIENCE {
            Decision::End
        } else {
            Decision::Keep
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAPS: TrapCosts = TrapCosts {
        entry_ns: 700.0,
        return_ns: 900.0,
    };

    fn load(pairs: u64) -> Load {
        Load {
            entry_hits: 2 * pairs,
            return_hits: pairs,
            run_ns: pairs * 1000,
            target_cpu_ns: 100_000_000,
            wall_ns: 80_000_000,
        }
    }

    /// The share is traps and programs over the target's time: 10,000 pairs of
    /// 2,300 + 1,000 ns in 100 ms are 33%.
    #[test]
    fn share_is_traps_and_programs() {
        assert!((load(10_000).share(&TRAPS) - 0.33).abs() < 1e-9);
        assert_eq!(Load::default().share(&TRAPS), 0.0);
    }

    /// Of a target that mostly waits it is the share of a processor.
    #[test]
    fn share_of_a_processor_where_little_is_used() {
        let waiting = Load {
            wall_ns: 1_000_000_000,
            ..load(10_000)
        };
        assert!((waiting.share(&TRAPS) - 0.033).abs() < 1e-9);
    }

    /// Over the limit: first sampling, then the end; under it: nothing.
    #[test]
    fn falls_back_in_steps() {
        let mut governor = Governor::new(Limit::Percent(20.0), TRAPS);
        assert_eq!(governor.judge(&load(5_000)), Decision::Keep);
        assert_eq!(
            governor.judge(&load(10_000)),
            Decision::Sample {
                shift: SAMPLE_SHIFT
            }
        );
        assert_eq!(governor.judge(&load(10_000)), Decision::Keep);
        assert_eq!(governor.judge(&load(10_000)), Decision::Keep);
        assert_eq!(governor.judge(&load(10_000)), Decision::End);
    }

    /// After a stretch within the limit there is a rest, which more calls cut short;
    /// after one beyond it there is none.
    #[test]
    fn rests_while_all_is_well() {
        let mut governor = Governor::new(Limit::Percent(20.0), TRAPS);
        assert!(governor.is_due(1000.0));
        governor.judge(&load(5_000));
        for _ in 1..RESTS {
            assert!(!governor.is_due(1400.0));
        }
        assert!(governor.is_due(1400.0));
        governor.judge(&load(5_000));
        assert!(governor.is_due(2200.0));
        governor.judge(&load(10_000));
        assert!(governor.is_due(0.0));
    }

    /// Without a limit nothing changes, but the cost is known.
    #[test]
    fn off_never_interferes() {
        let mut governor = Governor::new(Limit::Off, TRAPS);
        assert_eq!(governor.judge(&load(100_000)), Decision::Keep);
        assert_eq!(governor.worst_share, 1.0);
    }
}
