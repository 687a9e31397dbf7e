//! One trace: preparing it, its gate, and ending it. How processes come in is
//! `space`'s, what becomes of them `follow`'s.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    thread,
    time::Instant,
};

use tracer_common::control::Control;

use super::{
    CollectError, TargetProcess,
    budget::Slices,
    clock::Moment,
    finish,
    follow::Follow,
    growth,
    heap::{self, Heaps, report::AtEnd, traced},
    javascript::Javascript,
    javascript_heap::JavascriptHeaps,
    mapped::{self, Watch, intervals::Origin},
    overhead::{ALWAYS_BYTES, Governor, Limit},
    sockets,
    space::{Space, Survey},
    tables::Tables,
};
use crate::{
    model::{Counts, ENDED_EARLY, Report, Sampling},
    probe::{Kernel, KernelTypes, Limits, UnwindLimits, Uprobes, canary, features},
    symbolize::FileWorker,
};

/// How to trace.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much the kernel side may keep.
    pub limits: Limits,
    /// How much of the targets' CPU time tracing may take.
    pub overhead: Limit,
    /// Whether child processes are traced too.
    pub follow: bool,
    /// Whether mapping calls are watched too.
    pub mappings: bool,
    /// Whether the heaps are looked at too.
    pub heaps: bool,
    /// Whether V8's heaps are looked at too, and who allocates in them.
    pub javascript_heaps: bool,
    /// Whether the sockets are looked at too.
    pub sockets: bool,
    /// How stacks of senders are taken.
    pub socket_probes: sockets::Choice,
}

/// Why a trace ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The duration was over, or the user said so.
    Asked,
    /// No target is left.
    Targets,
    /// It cost more than the limit, even sampling.
    Overhead,
}

/// A trace that runs.
pub struct Session {
    pub(super) kernel: Kernel,
    pub(super) limits: Limits,
    pub(super) worker: FileWorker,
    pub(super) tables: Tables,
    /// When what is recorded, under a budget.
    pub(super) slices: Option<Slices>,
    /// [`Tables::changes`] when the spaces were last told.
    pub(super) tables_told: u64,
    /// In the order in which they came under trace.
    pub(super) spaces: Vec<Space>,
    /// The number of the next one.
    pub(super) next_space: u32,
    /// The child of ours that stops at its exec, so that its next program is
    /// traced from its first instruction.
    pub(super) stopped_at_exec: Option<u32>,
    /// It has done so.
    pub(super) has_execed: bool,
    pub(super) follow: Follow,
    /// The mapping calls, where they are watched.
    pub(super) watch: Option<Watch>,
    /// The heaps, where they are looked at.
    pub(super) heaps: Option<Heaps>,
    /// V8's heaps, where they are looked at.
    pub(super) javascript_heaps: Option<JavascriptHeaps>,
    /// The sockets, where they are looked at.
    pub(super) sockets: Option<sockets::Sockets>,
    /// For the user, as it happens.
    pub(super) news: Vec<String>,
    pub(super) control: Control,
    pub(super) start: Moment,
    pub(super) from_start: bool,
    pub(super) sampling: Option<Sampling>,
    pub(super) notes: Vec<String>,
    /// What its processes have of allocators that are not traced.
    pub(super) not_covered: Vec<String>,
    pub(super) names: super::names::Names,
    pub(super) javascript: Javascript,
    pub(super) governor: Governor,
    pub(super) findings: canary::Findings,
    /// Allocators that have their probes: process, and device and inode.
    pub(super) probed: HashSet<(u32, (u64, u64))>,
    /// The same of loaders.
    pub(super) loaders: HashSet<(u32, (u64, u64))>,
    /// And of what has a V8 in it.
    pub(super) javascript_probed: HashSet<(u32, (u64, u64))>,
    pub(super) survey: Option<Survey>,
    pub(super) statistics: Option<super::cost::Statistics>,
    pub(super) last: Option<(Instant, Counts)>,
    /// The most live bytes that each site was seen to have, where heaps are looked at.
    pub(super) peaks: HashMap<u64, u64>,
    pub(super) following: growth::Following,
    pub(super) ticks: u32,
}

/// Starts the file worker and has it look at a process, if there is one yet,
/// whose unwind tables are then being built.
fn survey(
    pid: Option<u32>,
    limits: &UnwindLimits,
) -> Result<(FileWorker, Tables, Option<Survey>), CollectError> {
    let mut worker = FileWorker::start()?;
    let mut tables = Tables::new(limits);
    let survey = pid.map(|pid| Survey::of(pid, &mut worker)).transpose()?;
    if let Some(survey) = &survey {
        tables.ask(survey.mappings.current());
    }
    Ok((worker, tables, survey))
}

impl Session {
    /// Loads the kernel side and tries it on a child of our own; meanwhile
    /// looks at what is mapped in the process to attach to, if it runs already.
    pub fn prepare(options: &Options, pid: Option<u32>) -> Result<Self, CollectError> {
        if !features::is_in_first_pid_namespace() {
            return Err(CollectError::PidNamespace);
        }
        let unwind = options.limits.unwind;
        let surveying = thread::spawn(move || survey(pid, &unwind));
        let types = KernelTypes::of_this_kernel()?;
        let mut kernel = Kernel::load(&types, &options.limits, true)?;
        let mut findings = canary::examine(&mut kernel)?;
        if kernel.uprobes() == Uprobes::Multi && !findings.sees_threads {
            // Linux 6.6 to 6.9: the filter of a multi link sees the main thread only.
            kernel = Kernel::load(&types, &options.limits, false)?;
            findings = canary::examine(&mut kernel)?;
        }
        kernel.attach_life()?;
        let watch = (options.mappings)
            .then(|| Watch::start(&mut kernel))
            .transpose()?;
        let sockets = (options.sockets)
            .then(|| sockets::Sockets::start(&mut kernel, &types, options.socket_probes))
            .transpose()?;
        drop(types);
        let seed = random()?;
        let slices = match options.overhead {
            Limit::Budget(percent) => Some(Slices::new(percent, seed)),
            Limit::Percent(_) | Limit::Off => None,
        };
        let (worker, tables, survey) = surveying.join().map_err(|_| CollectError::System {
            what: "looking at the target's files",
            source: std::io::Error::other("the thread died"),
        })??;
        Ok(Self {
            kernel,
            limits: options.limits,
            worker,
            tables,
            slices,
            tables_told: 0,
            survey,
            spaces: Vec::new(),
            next_space: 1,
            stopped_at_exec: None,
            has_execed: false,
            follow: Follow::new(options.follow),
            watch,
            heaps: options.heaps.then(Heaps::default),
            javascript_heaps: options.javascript_heaps.then(JavascriptHeaps::default),
            sockets,
            news: Vec::new(),
            control: Control {
                seed,
                always_bytes: ALWAYS_BYTES,
                weight: 1,
                ..Control::default()
            },
            start: Moment::now(),
            from_start: false,
            sampling: None,
            notes: Vec::new(),
            not_covered: Vec::new(),
            names: super::names::Names::default(),
            javascript: Javascript::default(),
            governor: Governor::new(options.overhead, findings.traps),
            findings,
            probed: HashSet::new(),
            loaders: HashSet::new(),
            javascript_probed: HashSet::new(),
            statistics: None,
            last: None,
            peaks: HashMap::new(),
            following: growth::Following::default(),
            ticks: 0,
        })
    }

    /// Opens the gate: from here on calls count.
    pub fn open_gate(&mut self, from_start: bool) -> Result<(), CollectError> {
        self.from_start = from_start;
        self.start = Moment::now();
        if let Some(sockets) = &mut self.sockets {
            sockets.begin(pids(&self.spaces), self.start);
            self.start = Moment::now();
        }
        self.begin_slices();
        self.control.gate = 1;
        self.control.is_alone = u32::from(self.spaces.len() <= 1 && !self.follow.is_on);
        self.kernel.set_control(&self.control)?;
        // What was mapped while the gate was shut nobody has told.
        if self.watch.is_some() {
            for space in &mut self.spaces {
                mapped::compare(space, Origin::Before);
            }
        }
        Ok(())
    }

    /// What the user should know at once.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let not_covered = self.not_covered.iter();
        not_covered
            .map(|what| format!("not covered: {what}"))
            .chain(self.notes.iter().cloned())
    }

    /// Ends the trace: shuts the gate, takes the probes away and reads the quiet ledger.
    pub fn finish(mut self, ended: Ended) -> Result<Report, CollectError> {
        self.last_turn();
        self.control.gate = 0;
        self.kernel.set_control(&self.control)?;
        let end = Moment::now();
        // First: what goes on being sent has no stack any more.
        let sockets = self.look_at_sockets_last()?;
        // The perf maps' last words, where the process still lives.
        let _ = self.follow_all_mappings();
        self.follow_mapped(true)?;
        // At once: what the ledger says and what the heaps look like belong together.
        let heaps = self.look_at_heaps_last()?;
        self.look_at_javascript_heaps(true);
        let mapped = match self.watch {
            Some(_) => self.spaces.iter().filter_map(mapped::measure).collect(),
            None => Vec::new(),
        };
        self.follow_growth()?;
        self.kernel.detach();
        self.end_slices();
        if let Some(failure) = self.javascript.finish() {
            let note = format!("Some JavaScript functions have no names or lines: {failure}.");
            self.note_once(note);
        }
        if ended == Ended::Overhead {
            self.notes.push(format!(
                "{ENDED_EARLY}: the probes alone took up to {:.0}% of its CPU time. To trace longer raise --max-overhead, or turn it off.",
                self.governor.worst_share * 100.0
            ));
        }
        finish::report(self, mapped, heaps, sockets, end)
    }
}

impl Session {
    /// The last moment of growth, which belongs to the quiet ledger.
    fn follow_growth(&mut self) -> Result<(), CollectError> {
        let mut growth = self.following.read(self.start);
        (self.kernel)
            .sites(|key, site| growth.site(*key, site, finish::counts_of(site).live_bytes))?;
        growth.end(live_pids(&self.spaces));
        Ok(())
    }

    /// Has the heaps looked at if it is time.
    pub(super) fn look_at_heaps(&mut self) {
        if let Some(heaps) = &mut self.heaps {
            heaps.tick(on_glibc(&self.spaces), self.start);
        }
    }

    /// Looks at the heaps for the last time.
    fn look_at_heaps_last(&mut self) -> Result<AtEnd, CollectError> {
        let Some(heaps) = &mut self.heaps else {
            return Ok(AtEnd::default());
        };
        let walked = heaps.finish(on_glibc(&self.spaces), self.start);
        let is_told = self.watch.is_some() && self.sampling.is_none();
        let of = |space| traced::Pages::of(space, self.from_start);
        let pages = match is_told {
            true => self.spaces.iter().filter_map(of).collect(),
            false => Vec::new(),
        };
        let traced = traced::look(pages, &self.kernel)?;
        Ok(AtEnd { walked, traced })
    }
}

impl Session {
    /// Has the sockets looked at if it is time.
    pub(super) fn look_at_sockets(&mut self) {
        let live_bytes = (self.last.as_ref()).map_or(0, |(_, counts)| counts.live_bytes);
        let Some(sockets) = &mut self.sockets else {
            return;
        };
        sockets.tick(pids(&self.spaces), live_bytes, self.start);
        let (senders, readers) = sockets.watches(self.start, self.statistics.is_some());
        if let Err(error) = self.kernel.watch_socket_calls(senders, readers) {
            self.note_once(format!("Who uses sockets is not watched: {error}."));
        }
    }

    /// Looks at the sockets for the last time.
    fn look_at_sockets_last(&mut self) -> Result<sockets::report::AtEnd, CollectError> {
        let Some(sockets) = &mut self.sockets else {
            return Ok(sockets::report::AtEnd::default());
        };
        let mut live_bytes = 0_u64;
        self.kernel.sites(|_, site| {
            live_bytes = live_bytes.saturating_add(finish::counts_of(site).live_bytes);
        })?;
        let processes = pids(&self.spaces);
        sockets.finish(processes.clone(), live_bytes, self.start);
        Ok(sockets::report::AtEnd::of(sockets, &processes))
    }
}

/// Those that live, with their pids.
pub(super) fn live_pids(spaces: &[Space]) -> impl Iterator<Item = (u32, u32)> {
    (spaces.iter()).filter_map(|space| Some((space.id, space.pid()?)))
}

/// Of every program that is or was traced its process, unless its pid is another's now.
fn pids(spaces: &[Space]) -> sockets::Processes {
    let is_it = |space: &&Space| {
        let process = &space.process;
        space.pid().is_some() || !TargetProcess::is_reused(process.pid, process.start_time)
    };
    let pid = |space: &Space| (space.id, space.process.pid);
    spaces.iter().filter(is_it).map(pid).collect()
}

/// Those that live and have a glibc: no other's heap can be walked.
fn on_glibc(spaces: &[Space]) -> impl Iterator<Item = heap::Process> {
    spaces.iter().filter_map(|space| {
        let allocator = &space.process.allocator;
        let pid = space.pid().filter(|_| allocator.contains("glibc"))?;
        Some(heap::Process {
            space: space.id,
            pid,
            has_others: !allocator.starts_with("glibc") || allocator.contains('+'),
        })
    })
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
