//! A running trace under a budget: probes come and go as the plan says.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use super::{
    phase::{Cost, Phase, Recorded},
    plan::Planner,
    probes::{AllocatorProbes, Wanted},
};
use crate::{
    collect::{CollectError, Session, clock::Moment, cost::cpu_ns, machine::processors},
    probe::{Group, ProgramName},
};

/// How long the kernel goes on measuring programs after the last probe has gone.
const SETTLE: Duration = Duration::from_millis(100);

/// Time for which breakpoints stay after their programs have gone: these traps nobody counts.
const UNCOUNTED_NS: f64 = 30e6;

/// The slices of a trace.
pub struct Slices {
    /// Of one processor's time.
    pub percent: f64,
    planner: Planner,
    /// Since when.
    began: Instant,
    /// The same by `CLOCK_MONOTONIC`, ns.
    began_ns: u64,
    attached: Wanted,
    /// Where the probes of all processes go.
    pub probes: Vec<AllocatorProbes>,
    /// The kernel measures our programs as long as any of them can run.
    statistics: Option<OwnedFd>,
    turned: Instant,
    /// What was spent before the gate opened.
    before: Cost,
    /// When sampling began.
    pub sampled_since: Option<Duration>,
    /// When the latest gap in watching frees ended, if there was any, as `now_mark`.
    pub gap_ended: Option<u32>,
    /// CPU time of memtrace itself when the gate opened, ns.
    own_ns_before: u64,
    /// The same within the window, its children included.
    pub own_ns: u64,
    /// What the whole trace has cost, ns.
    pub spent_ns: f64,
    ended_in_gap: bool,
    /// What traps without a program are taken to have cost, ns.
    uncounted_ns: f64,
}

impl Slices {
    /// Slices under a budget, percent of one processor.
    pub fn new(percent: f64, seed: u64) -> Self {
        Self {
            percent,
            planner: Planner::new(percent, processors(), seed),
            began: Instant::now(),
            began_ns: 0,
            attached: Wanted::ALL,
            probes: Vec::new(),
            statistics: None,
            turned: Instant::now(),
            before: Cost::default(),
            sampled_since: None,
            gap_ended: None,
            own_ns_before: 0,
            own_ns: 0,
            spent_ns: 0.0,
            ended_in_gap: false,
            uncounted_ns: 0.0,
        }
    }

    /// Which probes a process that comes under trace now is to have.
    pub const fn wanted(&self) -> Wanted {
        self.attached
    }

    /// For how long what was recorded.
    pub const fn recorded(&self) -> Recorded {
        self.planner.recorded()
    }

    /// Blocks stamped before this may have been freed unseen.
    pub fn unresolved_before(&self) -> u32 {
        if self.ended_in_gap {
            u32::MAX
        } else {
            self.gap_ended.unwrap_or(0)
        }
    }

    /// Closes the account: what the trace has cost in all.
    pub fn close(&mut self, cost: Cost) {
        self.spent_ns = cost.ns;
        self.ended_in_gap = !self.attached.frees;
        self.statistics = None;
    }

    /// When the slice ends (`CLOCK_MONOTONIC`, ns), 0 if that is not known.
    fn slice_ends(&self) -> u64 {
        let ends = self.planner.slice_ends();
        ends.map_or(0, |ends| self.began_ns.saturating_add(ends))
    }

    fn since_start(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Session {
    /// When [`Self::turn`] is to be called next, of a trace under a budget.
    #[must_use]
    pub fn next_turn(&self) -> Option<Instant> {
        let slices = self.slices.as_ref().filter(|_| self.control.gate != 0)?;
        Some(slices.began + Duration::from_nanos(slices.planner.due()))
    }

    /// Begins the first slice, before the gate opens.
    pub(in crate::collect) fn begin_slices(&mut self) {
        let cost = self.spent();
        if let Some(slices) = &mut self.slices {
            slices.statistics = aya::sys::enable_stats(aya::sys::Stats::RunTime).ok();
            slices.before = cost;
            slices.own_ns_before = own_cpu_ns();
            slices.began = Instant::now();
            slices.began_ns = Moment::now().monotonic_ns;
        }
    }

    /// What tracing has cost the targets under a budget, ns of a processor.
    pub(in crate::collect) fn cost(&self) -> Cost {
        let now = self.spent();
        let slices = self.slices.as_ref();
        let before = slices.map_or(Cost::default(), |it| it.before);
        Cost {
            ns: now.ns - before.ns + slices.map_or(0.0, |it| it.uncounted_ns),
            frees_ns: now.frees_ns - before.frees_ns,
        }
    }

    /// The gate is about to shut.
    pub(in crate::collect) fn last_turn(&mut self) {
        let cost = self.cost();
        if let Some(slices) = &mut self.slices {
            let now = slices.since_start();
            slices.planner.end(now, cost);
            slices.own_ns = own_cpu_ns().saturating_sub(slices.own_ns_before);
        }
    }

    /// Begins or ends a slice, if it is time. Nothing without a budget.
    pub fn turn(&mut self) -> Result<(), CollectError> {
        if let Some(slices) = &mut self.slices
            && slices.planner.phase() == Phase::Nothing
            && slices.turned.elapsed() > SETTLE
            && !self.kernel.is_releasing()
        {
            slices.statistics = None;
        }
        if self.next_turn().is_none_or(|due| Instant::now() < due) {
            return Ok(());
        }
        let cost = self.cost();
        let Some(slices) = &mut self.slices else {
            return Ok(());
        };
        let now = slices.since_start();
        match slices.planner.step(now, cost) {
            Phase::Slice { weight } => self.slice(weight)?,
            Phase::Frees => self.watch_frees()?,
            Phase::Nothing => self.watch_nothing()?,
        }
        Ok(())
    }

    fn slice(&mut self, weight: u32) -> Result<(), CollectError> {
        let Some(slices) = &mut self.slices else {
            return Ok(());
        };
        let missing = Wanted {
            frees: !slices.attached.frees,
            allocations: !slices.attached.allocations,
        };
        if missing.allocations {
            if slices.statistics.is_none() {
                slices.statistics = aya::sys::enable_stats(aya::sys::Stats::RunTime).ok();
            }
            slices.probes.retain(|probes| {
                // It may have ended, which is told elsewhere.
                probes.attach(&mut self.kernel, missing).is_ok()
            });
            slices.attached = Wanted::ALL;
        }
        self.control.now_mark = self.start.mark();
        if missing.frees {
            slices.gap_ended = Some(self.control.now_mark);
            self.control.is_gap = 0;
        }
        let cost = self.cost();
        let Some(slices) = &mut self.slices else {
            return Ok(());
        };
        if missing.allocations {
            let now = slices.since_start();
            slices.planner.began(now, cost);
        }
        // A slice may go over into another without an end, and the reverse.
        let slice_ends = slices.slice_ends();
        if (self.control.weight, self.control.slice_ends) != (weight, slice_ends) {
            (self.control.weight, self.control.slice_ends) = (weight, slice_ends);
            self.kernel.set_control(&self.control)?;
        }
        Ok(())
    }

    /// Ends a slice: what allocates is let go.
    fn watch_frees(&mut self) -> Result<(), CollectError> {
        let Some(slices) = &mut self.slices else {
            return Ok(());
        };
        if !slices.attached.allocations {
            return Ok(());
        }
        self.control.weight = 0;
        self.control.slice_ends = 0;
        self.control.slice = self.control.slice.wrapping_add(1).max(1);
        self.kernel.set_control(&self.control)?;
        slices.attached.allocations = false;
        slices.uncounted_ns += slices.planner.rate() * UNCOUNTED_NS;
        slices.sampled_since.get_or_insert(slices.began.elapsed());
        self.kernel.let_go(Group::Allocations);
        Ok(())
    }

    /// Lets all go.
    fn watch_nothing(&mut self) -> Result<(), CollectError> {
        self.watch_frees()?;
        let Some(slices) = &mut self.slices else {
            return Ok(());
        };
        if slices.attached.frees {
            self.control.has_gaps = 1;
            self.control.is_gap = 1;
            // What reallocates now has no return either.
            self.control.slice = self.control.slice.wrapping_add(1).max(1);
            self.kernel.set_control(&self.control)?;
            slices.attached.frees = false;
            slices.uncounted_ns += slices.planner.rate() * UNCOUNTED_NS;
            slices.turned = Instant::now();
            self.kernel.let_go(Group::Frees);
        }
        Ok(())
    }

    /// What all programs on allocators have cost since they were loaded.
    fn spent(&self) -> Cost {
        let traps = &self.findings.traps;
        let frees = self.kernel.run_statistics(ProgramName::Free);
        Cost {
            ns: self.load().tracing_ns(traps),
            frees_ns: frees.count as f64 * traps.entry_ns + frees.ns as f64,
        }
    }
}

/// CPU time of this process and of its children that have ended, ns.
fn own_cpu_ns() -> u64 {
    let Ok(own) = procfs::process::Process::myself() else {
        return 0;
    };
    let ended = own
        .stat()
        .map_or(0, |it| (it.cutime + it.cstime).max(0) as u64);
    let ended_ns = ended.saturating_mul(1_000_000_000 / procfs::ticks_per_second().max(1));
    let tasks = own.tasks().into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| task.children().ok()).flatten();
    let alive: u64 = children.map(cpu_ns).sum();
    ended_ns + alive + cpu_ns(std::process::id())
}
