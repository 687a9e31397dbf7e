//! When allocations are recorded, and for how long frees are watched, so that tracing
//! costs no more than its budget. Pure: time and cost come from outside.
//!
//! Time is divided into cycles, each with one slice at a random place in it, so that
//! what the program does in step with a clock is neither always met nor always missed. A
//! block that is recorded in a slice stands for all that were allocated in the cycle.
//! Between slices the probes of free stay; where these alone cost too much they go a
//! while after the slice.
//!
//! Only what has been earned is spent: at any moment the cost is within the budget's
//! part of the time that has passed, but for the first slice, what is spent between two
//! looks ([`CHECK_NS`], [`CHECK_FREES_NS`]) and while probes go ([`LAG_NS`]).

use super::phase::{After, Cost, Phase, Planned, Recorded};

/// The first slice, from which the first rates are known: a process may allocate three
/// million times a second.
const FIRST_SLICE_NS: u64 = 10_000_000;
/// The shortest slice that is worth a switch.
const SLICE_NS_MIN: u64 = 4_000_000;
/// Time between the end of a slice and the last trap: the kernel waits for a grace
/// period before it takes the first breakpoint out.
pub const LAG_NS: u64 = 8_000_000;
/// In a slice of which the cost is not known the cost is looked at so often.
pub const CHECK_NS: u64 = 10_000_000;
/// The same between slices, where free alone is watched.
const CHECK_FREES_NS: u64 = 50_000_000;
/// And so often where little can happen.
const CHECK_NS_MAX: u64 = 250_000_000;
/// A cycle is so much of the time since the start: some 24 of them in any window, ten in
/// its last third.
const CYCLES: u64 = 24;
const CYCLE_NS_MIN: u64 = 300_000_000;
const CYCLE_NS_MAX: u64 = 3_000_000_000;
/// What was not spent is kept for so long: no burst after an hour of calm.
const KEPT_NS: u64 = 10_000_000_000;
/// And so long may watching frees be ahead of the budget.
const OWED_NS: u64 = 1_000_000_000;
/// Where frees cost more than this part of the budget they cannot be watched all the time.
const FREES_PART: f64 = 0.7;
/// What slices get of it where frees are let go; the rest watches the frees after them.
const SLICE_PART: f64 = 0.7;
/// Where all calls cost no more than this part of the budget there are no slices.
const ALL_PART: f64 = 0.9;
/// What the latest stretch counts for in a rate.
const LATEST: f64 = 0.5;

/// Plans slices under a budget. All times in ns since the start.
#[derive(Debug)]
pub struct Planner {
    /// Of one processor's time.
    budget: f64,
    processors: f64,
    random: u64,
    phase: Phase,
    since: u64,
    until: u64,
    planned: Option<Planned>,
    now: u64,
    cost: Cost,
    /// Cost of recording all, and of watching frees, by the time for which it was done.
    rate: f64,
    frees_rate: f64,
    /// Time for which recorded blocks stand.
    represented: f64,
    /// What the first slice cost.
    first: f64,
    recorded: Recorded,
}

impl Planner {
    /// A planner for a trace that begins now, with a slice. `percent`: of one processor.
    #[must_use]
    pub fn new(percent: f64, processors: u32, seed: u64) -> Self {
        Self {
            budget: percent / 100.0,
            processors: f64::from(processors.max(1)),
            random: seed | 1,
            phase: Phase::Slice { weight: 1 },
            since: 0,
            until: FIRST_SLICE_NS,
            planned: None,
            now: 0,
            cost: Cost::default(),
            rate: 0.0,
            frees_rate: 0.0,
            represented: 0.0,
            first: 0.0,
            recorded: Recorded {
                slices: 1,
                ..Recorded::default()
            },
        }
    }

    /// What is recorded now.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What recording all costs of each ns.
    #[must_use]
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// For how long what was recorded.
    #[must_use]
    pub const fn recorded(&self) -> Recorded {
        self.recorded
    }

    /// What has been earned and not been spent, ns. The first slice is paid for later.
    fn earned(&self) -> f64 {
        let lent = 1.0 - self.now as f64 / KEPT_NS as f64;
        self.budget * self.now as f64 - self.cost.ns + self.first * lent.max(0.0)
    }

    /// When the next step is due.
    #[must_use]
    pub fn due(&self) -> u64 {
        if self.phase == Phase::Nothing {
            return self.until;
        }
        // All that was earned can go on each processor at once.
        let safe = (self.earned().max(0.0) / self.processors) as u64;
        let least = match self.phase {
            Phase::Frees => CHECK_FREES_NS,
            _ => CHECK_NS,
        };
        let check = safe.clamp(least, CHECK_NS_MAX);
        self.until.min(self.now.saturating_add(check))
    }

    /// Takes in what has been spent by now; the phase from now on.
    pub fn step(&mut self, now: u64, cost: Cost) -> Phase {
        self.take_in(now.max(self.now), cost);
        let next = match self.phase {
            Phase::Slice { .. } => self.after_slice(),
            Phase::Frees if self.earned() < self.owed() => {
                self.planned = None;
                Some((Phase::Nothing, self.can_plan_at()))
            }
            Phase::Frees | Phase::Nothing if self.now >= self.until => Some(self.next()),
            Phase::Frees | Phase::Nothing => None,
        };
        if let Some((phase, until)) = next {
            self.turn_to(phase, until);
        }
        self.phase
    }

    /// The trace ends: takes in what has been spent by now.
    pub fn end(&mut self, now: u64, cost: Cost) {
        self.take_in(now.max(self.now), cost);
    }

    /// The probes of a slice are in, from now on calls count.
    pub fn began(&mut self, now: u64, cost: Cost) {
        (self.now, self.cost) = (now.max(self.now), cost);
        if let Some(planned) = self.planned {
            self.until = self.now + planned.slice;
        }
    }

    /// When the slice that runs ends, if that is known: one that is all of its cycle goes
    /// over into the next.
    pub fn slice_ends(&self) -> Option<u64> {
        let planned = self.planned.filter(|it| !it.is_whole)?;
        (planned.has_begun && matches!(self.phase, Phase::Slice { .. })).then_some(self.until)
    }

    fn turn_to(&mut self, phase: Phase, until: u64) {
        let is_slice = |phase| matches!(phase, Phase::Slice { .. });
        if is_slice(phase) && !is_slice(self.phase) {
            self.recorded.slices += 1;
        }
        if is_slice(phase) != is_slice(self.phase) {
            self.since = self.now;
        }
        (self.phase, self.until) = (phase, until);
    }

    fn take_in(&mut self, now: u64, cost: Cost) {
        let (then, before) = (self.now, self.cost);
        (self.now, self.cost) = (now, cost);
        let passed = now - then;
        if passed == 0 {
            return;
        }
        let latest = |known: f64, spent: f64| {
            let rate = (spent / passed as f64).max(0.0);
            if known == 0.0 {
                rate
            } else {
                LATEST * rate + (1.0 - LATEST) * known
            }
        };
        let frees = cost.frees_ns - before.frees_ns;
        match self.phase {
            Phase::Slice { weight } => {
                // What came after the end was not recorded.
                let until = self.slice_ends().unwrap_or(now);
                let sliced = now.min(until).saturating_sub(then);
                self.recorded.sliced_ns += sliced;
                self.recorded.frees_ns += passed;
                self.represented += f64::from(weight) * sliced as f64;
                self.rate = latest(self.rate, cost.ns - before.ns);
                self.frees_rate = latest(self.frees_rate, frees);
            }
            Phase::Frees => {
                self.recorded.frees_ns += passed;
                // Reallocations are watched too; at first what goes is in it.
                let has_gone = then >= self.since + 2 * LAG_NS;
                let spent = if has_gone { cost.ns - before.ns } else { frees };
                self.frees_rate = latest(self.frees_rate, spent);
            }
            Phase::Nothing => {}
        }
        self.rate = self.rate.max(self.frees_rate);
    }

    /// Whether a slice ends.
    fn after_slice(&mut self) -> Option<(Phase, u64)> {
        let lag = match self.can_all() {
            true => 0.0,
            false => self.rate * LAG_NS as f64,
        };
        let is_spent = self.earned() < lag;
        if self.now < self.until && (!is_spent || self.planned.is_none()) {
            return None;
        }
        let Some(planned) = self.planned.take() else {
            self.first = self.cost.ns;
            return Some(self.next());
        };
        if is_spent {
            let until = self.can_plan_at().max(planned.cycle_ends);
            return Some(match planned.after {
                // What watching frees costs is earned meanwhile.
                After::Frees if self.earned() >= self.owed() && self.can_watch() => {
                    (Phase::Frees, until)
                }
                _ => (Phase::Nothing, until),
            });
        }
        Some(match planned.after {
            // A cycle that is a slice all along goes over into the next.
            After::Frees if self.now >= planned.cycle_ends => self.next(),
            After::Frees => (Phase::Frees, planned.cycle_ends),
            After::FreesFor(ns) => {
                self.planned = Some(planned);
                (Phase::Frees, self.now + ns)
            }
        })
    }

    /// What frees may owe, as a negative number: nothing, unless they earn it again.
    fn owed(&self) -> f64 {
        if self.can_watch() {
            -self.budget * OWED_NS as f64
        } else {
            0.0
        }
    }

    /// Whether all calls can be recorded all the time.
    fn can_all(&self) -> bool {
        self.rate <= ALL_PART * self.budget
    }

    /// Whether frees can be watched all the time.
    fn can_watch(&self) -> bool {
        self.frees_rate <= FREES_PART * self.budget
    }

    /// What comes when a phase without allocations is over.
    fn next(&mut self) -> (Phase, u64) {
        match self.planned {
            // The frees after a slice have been watched.
            Some(planned) if planned.has_begun => {
                self.planned = None;
                (Phase::Nothing, planned.cycle_ends.max(self.can_plan_at()))
            }
            Some(planned) if self.now >= planned.begins => {
                self.planned = Some(Planned {
                    has_begun: true,
                    ..planned
                });
                let weight = planned.weight;
                (Phase::Slice { weight }, self.now + planned.slice)
            }
            Some(planned) => (self.between(), planned.begins),
            None => self.plan(),
        }
    }

    /// What is watched until the next slice begins.
    fn between(&self) -> Phase {
        let is_watched = self.phase != Phase::Nothing && self.can_watch();
        if is_watched {
            Phase::Frees
        } else {
            Phase::Nothing
        }
    }

    /// What the shortest slice costs, ns.
    fn least(&self) -> f64 {
        let part = if self.can_watch() { 1.0 } else { SLICE_PART };
        self.rate * (SLICE_NS_MIN + LAG_NS) as f64 / part
    }

    /// When enough for a slice will have been earned.
    fn can_plan_at(&self) -> u64 {
        let missing = self.least() - self.earned();
        if missing <= 0.0 {
            return self.now;
        }
        self.now.saturating_add((missing / self.budget) as u64 + 1)
    }

    /// Plans the next cycle.
    fn plan(&mut self) -> (Phase, u64) {
        if self.can_all() && self.earned() >= 0.0 {
            return self.all();
        }
        let can = self.can_plan_at();
        if can > self.now {
            return (self.between(), can.min(self.now + CYCLE_NS_MAX));
        }
        let cycle = (self.now / CYCLES).clamp(CYCLE_NS_MIN, CYCLE_NS_MAX);
        let earned = self.earned().min(self.budget * KEPT_NS as f64);
        let longest = cycle / 10 * 9;
        let can_watch = self.can_watch();
        let part = if can_watch { 1.0 } else { SLICE_PART };
        let affordable = (earned * part / self.rate.max(1e-9)) as u64;
        let slice = (affordable.saturating_sub(LAG_NS)).clamp(SLICE_NS_MIN, longest);
        let after = if can_watch {
            After::Frees
        } else {
            let left = earned - self.rate * (slice + LAG_NS) as f64;
            let frees = (left.max(0.0) / self.frees_rate.max(1e-9)) as u64;
            After::FreesFor(frees.min(cycle - slice))
        };
        let taken = match after {
            After::Frees => slice,
            After::FreesFor(frees) => slice + frees,
        };
        let begins = self.now + self.random_below(cycle.saturating_sub(taken) + 1);
        let cycle_ends = self.now + cycle;
        self.planned = Some(Planned {
            begins,
            slice,
            has_begun: false,
            is_whole: false,
            weight: self.weight(cycle_ends, slice),
            after,
            cycle_ends,
        });
        self.next()
    }

    /// Records all, for a cycle.
    fn all(&mut self) -> (Phase, u64) {
        let ends = self.now + CYCLE_NS_MIN;
        let weight = self.weight(ends, CYCLE_NS_MIN);
        self.planned = Some(Planned {
            begins: self.now,
            slice: CYCLE_NS_MIN,
            has_begun: true,
            is_whole: true,
            weight,
            after: After::Frees,
            cycle_ends: ends,
        });
        (Phase::Slice { weight }, ends)
    }

    /// For how many blocks one of a slice stands that is to make up for all time until
    /// its cycle ends. What one slice stood for too much or too little, as it came late
    /// or was cut short, the next takes off or adds.
    fn weight(&self, cycle_ends: u64, slice: u64) -> u32 {
        let missing = cycle_ends as f64 - self.represented;
        (missing / slice as f64).round().clamp(1.0, 1e6) as u32
    }

    /// xorshift64: any place in the cycle will do.
    fn random_below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % end.max(1)
    }
}

#[cfg(test)]
mod tests;
