//! Following a trace while it runs: the ledger's clock, the target's mappings,
//! and where it stands.

use std::time::{Duration, Instant};

use tracer_common::site::Site as KernelSite;

use super::{
    CollectError, Session, allocator,
    clock::Moment,
    finish,
    losses::losses,
    session::live_pids,
    space::{files_of, names_of},
};
use crate::{
    model::{Counts, Exit},
    symbolize::open::open_perf_map,
};

/// Ticks that each bring a look: a costly trace must be noticed at once.
const TICKS_AT_FIRST: u32 = 4;
/// Later one in so many does.
const TICKS_A_LOOK: u32 = 4;
/// How many sites the status names.
const GROWERS: usize = 3;

/// Where a trace stands, while it runs.
#[derive(Clone, Debug)]
pub struct Status {
    /// Since the gate opened.
    pub elapsed: Duration,
    /// Sums over all sites; approximate while calls run.
    pub counts: Counts,
    /// Allocations and frees a second, since the last status.
    pub calls_per_second: f64,
    /// Sites that grew most since the start: a name and live bytes.
    pub growers: Vec<(String, i64)>,
    /// Calls lost so far.
    pub lost_calls: u64,
    /// Whether it is sampling.
    pub is_sampled: bool,
    /// The cost came over the limit and stays there: end the trace.
    pub must_end: bool,
}

impl Session {
    /// To be called every quarter of a second: moves the ledger's clock, and at
    /// first each time, later once a second, follows the targets and tells
    /// where the trace stands.
    pub fn tick(&mut self) -> Result<Option<Status>, CollectError> {
        self.control.now_mark = self.start.mark();
        self.kernel.set_control(&self.control)?;
        self.turn()?;
        self.ticks += 1;
        self.place_tables()?;
        self.follow_mapped(false)?;
        if self.ticks > TICKS_AT_FIRST && !self.ticks.is_multiple_of(TICKS_A_LOOK) {
            return Ok(None);
        }
        self.look_at_heaps();
        let status = self.look()?;
        self.look_at_javascript_heaps(false);
        self.look_at_sockets();
        Ok(Some(status))
    }

    fn look(&mut self) -> Result<Status, CollectError> {
        self.follow_all_mappings()?;
        self.find_ended();
        let mut counts = Counts::default();
        let mut largest: Vec<(u64, KernelSite)> = Vec::with_capacity(GROWERS + 1);
        let (has_heaps, peaks) = (self.heaps.is_some(), &mut self.peaks);
        let mut growth = self.following.read(self.start);
        self.kernel.sites(|key, site| {
            let one = finish::counts_of(site);
            counts += one;
            growth.site(*key, site, one.live_bytes);
            if has_heaps {
                let peak = peaks.entry(*key).or_default();
                *peak = one.live_bytes.max(*peak);
            }
            if one.live_bytes > largest.last().map_or(0, |(live, _)| *live)
                || largest.len() < GROWERS
            {
                largest.push((one.live_bytes, *site));
                largest.sort_by_key(|(live, _)| std::cmp::Reverse(*live));
                largest.truncate(GROWERS);
            }
        })?;
        growth.end(live_pids(&self.spaces));
        // Symbols are read then, for a second at worst: not while everything is new.
        let growers = if self.ticks > TICKS_AT_FIRST {
            self.name_growers(&largest)
        } else {
            Vec::new()
        };
        let now = Instant::now();
        let calls = |counts: &Counts| counts.allocated_blocks + counts.freed_blocks;
        let calls_per_second = self.last.as_ref().map_or(0.0, |(then, before)| {
            calls(&counts).saturating_sub(calls(before)) as f64
                / now.duration_since(*then).as_secs_f64().max(1e-3)
        });
        self.last = Some((now, counts));
        let must_end = self.govern(calls_per_second)?;
        Ok(Status {
            elapsed: Duration::from_nanos(
                Moment::now()
                    .monotonic_ns
                    .saturating_sub(self.start.monotonic_ns),
            ),
            counts,
            calls_per_second,
            growers,
            lost_calls: losses(&self.kernel.counts()?)
                .iter()
                .map(|loss| loss.calls)
                .sum(),
            is_sampled: !self.control.is_exact(),
            must_end,
        })
    }

    /// Brings the unwind tables that were built meanwhile to those who need them.
    fn place_tables(&mut self) -> Result<(), CollectError> {
        self.tables.settle(&mut self.kernel, Duration::ZERO)?;
        self.tables
            .bring_back(&mut self.kernel, self.control.now_mark)?;
        if self.tables_told == self.tables.changes {
            return Ok(());
        }
        self.tables_told = self.tables.changes;
        for space in self.spaces.iter().filter(|space| space.target.is_some()) {
            let v8 = space.v8.as_deref();
            (self.tables).tell(&mut self.kernel, space.id, &space.mappings, v8)?;
        }
        Ok(())
    }

    /// Looks for targets whose end the kernel side could not tell: its buffer was full.
    /// One that was gone at the last look already: of the others the event, which knows
    /// how they ended, may only not have been read yet.
    fn find_ended(&mut self) {
        let mut ended: Vec<(u32, Exit)> = Vec::new();
        for space in &mut self.spaces {
            let Some(target) = space.target.as_ref().filter(|target| target.has_ended()) else {
                continue;
            };
            if space.seems_ended {
                ended.push((target.pid, target.exit()));
            }
            space.seems_ended = true;
        }
        for (pid, exit) in ended {
            self.end_space(pid, exit);
        }
    }

    /// Looks at the mappings and the perf maps of all live targets again: both
    /// must be had while the process lives.
    pub(super) fn follow_all_mappings(&mut self) -> Result<(), CollectError> {
        (0..self.spaces.len()).try_for_each(|index| self.follow_mappings_of(index))
    }

    /// The same for one process, whose loader has just changed something.
    pub(super) fn follow_mappings(&mut self, pid: u32) -> Result<(), CollectError> {
        let is_it =
            |space: &super::space::Space| space.process.pid == pid && space.target.is_some();
        match self.spaces.iter().position(is_it) {
            Some(index) => self.follow_mappings_of(index),
            None => Ok(()),
        }
    }

    fn follow_mappings_of(&mut self, index: usize) -> Result<(), CollectError> {
        let space = &mut self.spaces[index];
        let Some(target) = &space.target else {
            return Ok(());
        };
        let pid = target.pid;
        if space.perf_map.is_none() {
            space.perf_map = open_perf_map(pid, target.ns_pid, target.uid).ok();
        }
        let mut settings = self.kernel.space(space.id)?;
        if !settings.mapping_generation.is_multiple_of(2) {
            // Before the look: what changes during it is a change again.
            settings.mapping_generation += 1;
            self.kernel.set_space(space.id, &settings)?;
        }
        let generation = settings.mapping_generation;
        let changes = space.mappings.changes();
        // The process may be gone by now; its end is seen elsewhere.
        if let Ok(Some(generation)) = space.mappings.refresh(pid, generation) {
            settings.mapping_generation = generation;
            self.kernel.set_space(space.id, &settings)?;
        }
        if space.mappings.changes() != changes {
            self.tables.ask(space.mappings.current());
            if let Some(v8) = &space.v8 {
                let mappings = space.mappings.current();
                (self.javascript).follow(&mut self.kernel, (space.id, pid), v8, mappings)?;
            }
            let v8 = space.v8.as_deref();
            (self.tables).tell(&mut self.kernel, space.id, &space.mappings, v8)?;
            self.cover_what_came(index, pid)?;
        }
        Ok(())
    }

    /// Puts probes on allocators that were loaded in mid-run.
    fn cover_what_came(&mut self, index: usize, pid: u32) -> Result<(), CollectError> {
        let space = &self.spaces[index];
        let id = space.id;
        let found = allocator::find(space.mappings.current(), &mut self.worker)?;
        let mut came = Vec::new();
        let mut settings = self.kernel.space(id)?;
        settings.allocator = allocator::code_ranges(&found.allocators, space.mappings.current());
        self.kernel.set_space(id, &settings)?;
        for allocator in &found.allocators {
            match self.attach_allocator(allocator, pid) {
                Ok(true) => came.push(allocator.name.clone()),
                Ok(false) => {}
                Err(error) => {
                    let what = format!("{}, loaded in mid-run: {error}", allocator.name);
                    self.keep_not_covered(&[what]);
                }
            }
        }
        self.keep_not_covered(&found.not_covered);
        if !came.is_empty() {
            let came = came.join(" and ");
            (self.news).push(format!(
                "process {pid} has loaded {came}, which is traced too now"
            ));
            self.note_once(format!(
                "Process {pid} loaded {came} in mid-run: what that allocated in its first moments is not counted."
            ));
            let space = &mut self.spaces[index];
            space.process.allocator = names_of(&found.allocators);
            space.allocator_files = files_of(&found.allocators);
        }
        Ok(())
    }

    /// Short names of sites with their live bytes, for the status line.
    fn name_growers(&mut self, sites: &[(u64, KernelSite)]) -> Vec<(String, i64)> {
        let mut growers = Vec::new();
        for (live, site) in sites.iter().filter(|(live, _)| *live > 0) {
            let Some(space) = self
                .spaces
                .iter()
                .find(|space| space.id == site.identity.space)
            else {
                continue;
            };
            let (places, _) = finish::places_of(space, &self.javascript, site);
            self.names.look_up(
                places.iter(),
                space.pid(),
                space.perf_map.as_ref(),
                &mut self.worker,
            );
            let frames = self.names.frames(&places);
            let name = frames.iter().find_map(|frame| frame.function.clone());
            growers.push((name.unwrap_or_else(|| "(no name)".to_owned()), *live as i64));
        }
        growers
    }
}
