//! One trace: attaching, following the target while it runs, and ending.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use tracer_common::{
    control::{
        Control, EVENT_EXEC, SpaceSettings, TARGET_STOP_AT_EXEC, TARGET_STOP_AT_LOADER, Target,
    },
    site::Site as KernelSite,
    source::Source,
};

use super::{
    CollectError, TargetProcess,
    allocator::{self, Found},
    clock::Moment,
    finish,
    mappings::Mappings,
    overhead::{ALWAYS_BYTES, Decision, Governor, Limit, Load},
};
use crate::{
    model::{Counts, Exit, Process, Report, Sampling},
    probe::{Kernel, Limits, Point, ProgramName, canary},
    symbolize::{FileWorker, open::open_perf_map},
};

/// Ticks that each bring a look: a costly trace must be noticed at once.
const TICKS_AT_FIRST: u32 = 4;
/// Later one in so many does.
const TICKS_A_LOOK: u32 = 4;
/// How many sites the status names.
const GROWERS: usize = 3;

/// How to trace.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much the kernel side may keep.
    pub limits: Limits,
    /// How much of the target's CPU time tracing may take.
    pub overhead: Limit,
}

/// Why a trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The duration was over, or the user said so.
    Asked,
    /// The target ended or execed.
    Target(Exit),
    /// It cost more than the limit, even sampling.
    Overhead,
}

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

/// One address space under trace.
pub(super) struct Space {
    /// Its number.
    pub id: u32,
    /// As the report has it.
    pub process: Process,
    /// Its executable mappings over time.
    pub mappings: Mappings,
    /// Its perf map, once it wrote one.
    pub perf_map: Option<File>,
    allocator_code: [[u64; 2]; tracer_common::control::ALLOCATOR_RANGES],
}

/// A trace that runs.
pub struct Session {
    pub(super) kernel: Kernel,
    pub(super) worker: FileWorker,
    pub(super) spaces: Vec<Space>,
    pub(super) control: Control,
    pub(super) start: Moment,
    pub(super) from_start: bool,
    pub(super) sampling: Option<Sampling>,
    pub(super) notes: Vec<String>,
    pub(super) names: super::names::Names,
    pub(super) governor: Governor,
    findings: canary::Findings,
    probed: Vec<((u64, u64), u32)>,
    statistics: Option<Statistics>,
    last: Option<(Instant, Counts)>,
    ticks: u32,
}

/// A stretch of time over which the kernel measures our programs.
struct Statistics {
    _enabled: std::os::fd::OwnedFd,
    target_cpu_ns: u64,
    before: Load,
}

impl Session {
    /// Loads the kernel side and tries it on a child of our own.
    pub fn prepare(options: &Options) -> Result<Self, CollectError> {
        let mut kernel = Kernel::load(&options.limits, true)?;
        let mut findings = canary::examine(&mut kernel)?;
        if kernel.is_multi() && !findings.sees_threads {
            // Linux 6.6 to 6.9: the filter of a multi link sees the main thread only.
            kernel = Kernel::load(&options.limits, false)?;
            findings = canary::examine(&mut kernel)?;
        }
        kernel.attach_life()?;
        Ok(Self {
            kernel,
            worker: FileWorker::start()?,
            spaces: Vec::new(),
            control: Control {
                seed: random()?,
                always_bytes: ALWAYS_BYTES,
                ..Control::default()
            },
            start: Moment::now(),
            from_start: false,
            sampling: None,
            notes: Vec::new(),
            names: super::names::Names::default(),
            governor: Governor::new(options.overhead, findings.traps),
            findings,
            probed: Vec::new(),
            statistics: None,
            last: None,
            ticks: 0,
        })
    }

    /// Names a process as target before its program runs, so that it stops at exec.
    pub(super) fn expect(&mut self, pid: u32) -> Result<(), CollectError> {
        let target = Target {
            mm: 0,
            space: 0,
            flags: TARGET_STOP_AT_EXEC,
        };
        Ok(self.kernel.set_target(pid, &target)?)
    }

    /// Puts a probe on the loader of a stopped child of ours, so that it stops
    /// when its libraries are mapped. `Err`: it has no loader.
    pub fn stop_at_loader(&mut self, pid: u32) -> Result<(), CollectError> {
        let mut mappings = Mappings::default();
        mappings.refresh(pid)?;
        let found = allocator::find(mappings.current(), &mut self.worker)?;
        let Some((loader, offset)) = found.loader else {
            return Err(no_allocator(pid, &found));
        };
        let point = Point { offset, cookie: 0 };
        if !self.probed.contains(&(loader.identity, pid)) {
            self.kernel.attach(
                ProgramName::Loader,
                allocator::open_file(&loader, pid)?,
                &[point],
                pid,
            )?;
            self.probed.push((loader.identity, pid));
        }
        let target = Target {
            mm: 0,
            space: 0,
            flags: TARGET_STOP_AT_EXEC | TARGET_STOP_AT_LOADER,
        };
        Ok(self.kernel.set_target(pid, &target)?)
    }

    /// Attaches to a process. `stop_at_exec`: it is a child of ours, whose next
    /// program is to be traced as well.
    pub fn attach(
        &mut self,
        target: &TargetProcess,
        stop_at_exec: bool,
    ) -> Result<(), CollectError> {
        let pid = target.pid;
        if target.has_seccomp && !self.findings.seccomp_safe {
            return Err(CollectError::SeccompUnsafe(pid));
        }
        let mut mappings = Mappings::default();
        mappings.refresh(pid)?;
        let found = allocator::find(mappings.current(), &mut self.worker)?;
        if found.allocators.is_empty() {
            return Err(no_allocator(pid, &found));
        }
        let id = self.spaces.len() as u32 + 1;
        let name = found
            .allocators
            .iter()
            .map(|allocator| allocator.name.as_str())
            .collect::<Vec<_>>()
            .join(" + ");
        let code = allocator::code_ranges(&found.allocators, mappings.current());
        self.kernel.set_space(
            id,
            &SpaceSettings {
                mapping_generation: 0,
                allocator: code,
            },
        )?;
        self.kernel.add_site_without_stack(id)?;
        let flags = if stop_at_exec { TARGET_STOP_AT_EXEC } else { 0 };
        self.kernel.set_target(
            pid,
            &Target {
                mm: 0,
                space: id,
                flags,
            },
        )?;
        for allocator in &found.allocators {
            if self.probed.contains(&(allocator.file.identity, pid)) {
                continue;
            }
            let file = allocator::open_file(&allocator.file, pid)?;
            // Returns first: an entry whose return has no probe would be lost.
            self.kernel
                .attach(ProgramName::Return, file, &allocator.returns, pid)?;
            self.kernel
                .attach(ProgramName::Entry, file, &allocator.entries, pid)?;
            self.kernel
                .attach(ProgramName::Free, file, &allocator.frees, pid)?;
            self.probed.push((allocator.file.identity, pid));
        }
        if let Some((loader, offset)) = &found.loader
            && !self.probed.contains(&(loader.identity, pid))
        {
            let point = Point {
                offset: *offset,
                cookie: 0,
            };
            self.kernel.attach(
                ProgramName::Loader,
                allocator::open_file(loader, pid)?,
                &[point],
                pid,
            )?;
            self.probed.push((loader.identity, pid));
        }
        self.notes.extend(
            found
                .not_covered
                .iter()
                .map(|what| format!("Not covered: {what}.")),
        );
        if target.is_stopped_by_debugger {
            self.notes.push(format!(
                "Process {pid} was stopped by a debugger when the trace began."
            ));
        } else if target.is_stopped && !stop_at_exec {
            self.notes.push(format!(
                "Process {pid} was stopped (SIGSTOP) when the trace began."
            ));
        }
        let process = target.describe(id, name);
        self.spaces.push(Space {
            id,
            process,
            mappings,
            perf_map: None,
            allocator_code: code,
        });
        Ok(())
    }

    /// Opens the gate: from here on calls count.
    pub fn open_gate(&mut self, from_start: bool) -> Result<(), CollectError> {
        self.from_start = from_start;
        self.start = Moment::now();
        self.control.gate = 1;
        Ok(self.kernel.set_control(&self.control)?)
    }

    /// What the user should know at once.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The processes under trace.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.spaces.iter().map(|space| &space.process)
    }

    /// To be called every quarter of a second: moves the ledger's clock, and at
    /// first each time, later once a second, follows the target and tells
    /// where the trace stands.
    pub fn tick(&mut self, target: &TargetProcess) -> Result<Option<Status>, CollectError> {
        self.control.now_mark = self.start.mark();
        self.kernel.set_control(&self.control)?;
        self.ticks += 1;
        if self.ticks > TICKS_AT_FIRST && self.ticks % TICKS_A_LOOK != 0 {
            return Ok(None);
        }
        self.look(target).map(Some)
    }

    fn look(&mut self, target: &TargetProcess) -> Result<Status, CollectError> {
        self.follow_mappings(target)?;
        let mut counts = Counts::default();
        let mut largest: Vec<(u64, KernelSite)> = Vec::with_capacity(GROWERS + 1);
        self.kernel.sites(|_, site| {
            let one = finish::counts_of(site);
            counts += one;
            if one.live_bytes > largest.last().map_or(0, |(live, _)| *live)
                || largest.len() < GROWERS
            {
                largest.push((one.live_bytes, *site));
                largest.sort_by_key(|(live, _)| std::cmp::Reverse(*live));
                largest.truncate(GROWERS);
            }
        })?;
        let growers = self.name_growers(&largest);
        let now = Instant::now();
        let calls = |counts: &Counts| counts.allocated_blocks + counts.freed_blocks;
        let calls_per_second = self.last.as_ref().map_or(0.0, |(then, before)| {
            calls(&counts).saturating_sub(calls(before)) as f64
                / now.duration_since(*then).as_secs_f64().max(1e-3)
        });
        self.last = Some((now, counts));
        let must_end = self.govern(target)?;
        Ok(Status {
            elapsed: Duration::from_nanos(
                Moment::now()
                    .monotonic_ns
                    .saturating_sub(self.start.monotonic_ns),
            ),
            counts,
            calls_per_second,
            growers,
            lost_calls: finish::losses(&self.kernel.counts()?)
                .iter()
                .map(|loss| loss.calls)
                .sum(),
            is_sampled: self.sampling.is_some(),
            must_end,
        })
    }

    /// Looks at the mappings and the perf map again: both must be had while the process lives.
    fn follow_mappings(&mut self, target: &TargetProcess) -> Result<(), CollectError> {
        let Some(space) = self.spaces.last_mut() else {
            return Ok(());
        };
        if space.perf_map.is_none() {
            space.perf_map = open_perf_map(target.pid, target.ns_pid, target.uid).ok();
        }
        // The process may be gone by now; its end is seen elsewhere.
        if matches!(space.mappings.refresh(target.pid), Ok(true)) {
            let settings = SpaceSettings {
                mapping_generation: space.mappings.generation(),
                allocator: space.allocator_code,
            };
            self.kernel.set_space(space.id, &settings)?;
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
            let places = finish::places_of(space, site);
            self.names
                .look_up(places.iter(), space.perf_map.as_ref(), &mut self.worker);
            let frames = self.names.frames(&places);
            let name = frames.iter().find_map(|frame| frame.function.clone());
            growers.push((name.unwrap_or_else(|| "(no name)".to_owned()), *live as i64));
        }
        growers
    }

    /// Measures what tracing costs in every other call, and acts on it.
    fn govern(&mut self, target: &TargetProcess) -> Result<bool, CollectError> {
        let Some(statistics) = self.statistics.take() else {
            self.statistics =
                aya::sys::enable_stats(aya::sys::Stats::RunTime)
                    .ok()
                    .map(|enabled| Statistics {
                        _enabled: enabled,
                        target_cpu_ns: cpu_ns(target.pid),
                        before: self.load(),
                    });
            return Ok(false);
        };
        let after = self.load();
        let load = Load {
            entry_hits: after.entry_hits - statistics.before.entry_hits,
            return_hits: after.return_hits - statistics.before.return_hits,
            run_ns: after.run_ns - statistics.before.run_ns,
            target_cpu_ns: cpu_ns(target.pid).saturating_sub(statistics.target_cpu_ns),
        };
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
                });
                Ok(false)
            }
        }
    }

    fn load(&self) -> Load {
        let run = |name| self.kernel.run_statistics(name).unwrap_or_default();
        let (entry, at_return, free) = (
            run(ProgramName::Entry),
            run(ProgramName::Return),
            run(ProgramName::Free),
        );
        Load {
            entry_hits: entry.0 + free.0,
            return_hits: at_return.0,
            run_ns: entry.1 + at_return.1 + free.1,
            target_cpu_ns: 0,
        }
    }

    /// Ends the trace: shuts the gate, takes the probes away and reads the quiet ledger.
    pub fn finish(mut self, target: &TargetProcess, ended: Ended) -> Result<Report, CollectError> {
        self.control.gate = 0;
        self.kernel.set_control(&self.control)?;
        let end = Moment::now();
        // The perf map's last words, if the process still lives.
        let _ = self.follow_mappings(target);
        self.kernel.detach();
        if let (Ended::Target(exit), Some(space)) = (ended, self.spaces.last_mut()) {
            space.process.exit = Some(exit);
        }
        if ended == Ended::Overhead {
            self.notes.push(format!(
                "Ended early to spare the target: the probes alone took up to {:.0}% of its CPU time. To trace longer raise --max-overhead, or turn it off.",
                self.governor.worst_share * 100.0
            ));
        }
        finish::report(self, end)
    }

    /// Takes the kernel's events; `saw_exec` must be asked when they come.
    pub fn events(&mut self) -> Result<Events, CollectError> {
        Ok(Events {
            ring: self.kernel.take_events()?,
        })
    }

    /// Marks the newest program as replaced by another.
    pub fn execed(&mut self) {
        if let Some(space) = self.spaces.last_mut() {
            space.process.exit = Some(Exit::Exec);
        }
    }

    /// Kernel memory of the maps, bytes.
    #[must_use]
    pub fn map_bytes(&self) -> u64 {
        self.kernel.map_bytes()
    }
}

/// What the kernel side reports as it happens.
pub struct Events {
    ring: RingBuf<MapData>,
}

impl Events {
    /// Takes what has come; whether the process replaced its program.
    pub fn saw_exec(&mut self, pid: u32) -> bool {
        let exec = [EVENT_EXEC.to_ne_bytes(), pid.to_ne_bytes()].concat();
        let mut seen = false;
        while let Some(event) = self.ring.next() {
            seen |= *event == exec[..];
        }
        seen
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}

/// Attaches empty programs where a trace of malloc and free has its own. They
/// go when the result is dropped.
pub fn attach_floor(pid: u32) -> Result<Kernel, CollectError> {
    let mut kernel = Kernel::load(&Limits::default(), true)?;
    let mut mappings = Mappings::default();
    mappings.refresh(pid)?;
    let found = allocator::find(mappings.current(), &mut FileWorker::start()?)?;
    let allocator = found
        .allocators
        .first()
        .ok_or_else(|| no_allocator(pid, &found))?;
    let file = allocator::open_file(&allocator.file, pid)?;
    let malloc: Vec<Point> = allocator
        .entries
        .iter()
        .filter(|point| point.cookie == Source::Malloc as u64)
        .copied()
        .collect();
    kernel.attach(ProgramName::EmptyReturn, file, &malloc, pid)?;
    kernel.attach(
        ProgramName::EmptyEntry,
        file,
        &[malloc, allocator.frees.clone()].concat(),
        pid,
    )?;
    Ok(kernel)
}

fn no_allocator(pid: u32, found: &Found) -> CollectError {
    let found = if found.is_static {
        "it is a static program, with a malloc of its own".to_owned()
    } else if !found.not_covered.is_empty() {
        found.not_covered.join("; ")
    } else {
        "no glibc is mapped".to_owned()
    };
    CollectError::NoAllocator { pid, found }
}

/// CPU time of a process, ns; 0 when it is gone.
fn cpu_ns(pid: u32) -> u64 {
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

fn random() -> Result<u64, CollectError> {
    let mut bytes = [0; 8];
    File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut bytes))
        .map_err(|source| CollectError::System {
            what: "/dev/urandom",
            source,
        })?;
    Ok(u64::from_ne_bytes(bytes))
}
