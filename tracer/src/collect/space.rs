//! Bringing a process under trace: what is mapped in it, which of it
//! allocates, and where the probes go. Following it afterwards is `look`'s and
//! `follow`'s.

use std::{fs::File, sync::Arc, time::Duration};

use tracer_common::control::{
    SpaceSettings, TARGET_FOLLOW, TARGET_STOP_AT_EXEC, TARGET_STOP_AT_LOADER, Target,
};

use super::{
    CollectError, Session, TargetProcess,
    allocator::{self, Allocator, Found},
    budget::{AllocatorProbes, Wanted},
    javascript::V8,
    mapped::{self, Mapped, intervals::Origin},
    mappings::Mappings,
};
use crate::{
    model::Process,
    probe::{Point, ProgramName},
    symbolize::FileWorker,
};

/// How long a process that is attached to waits for each unwind table.
pub(super) const TABLE_PATIENCE: Duration = Duration::from_secs(20);

/// What is told then.
const SITES_FULL: &str = "The site table was full when a process came: of its calls those without a stack of their own are not recorded, but counted as lost (raise --max-sites).";
/// Why JavaScript functions have no names before Linux 5.17.
const NO_LOOP: &str = "This kernel has no bpf_loop (Linux 5.17): JavaScript functions have names only where a perf map tells them.";

/// One address space under trace.
pub(super) struct Space {
    /// Its number.
    pub id: u32,
    /// As the report has it.
    pub process: Process,
    /// The process itself, until it ends or execs.
    pub target: Option<TargetProcess>,
    /// Its executable mappings over time.
    pub mappings: Mappings,
    /// Its perf map, once it wrote one.
    pub perf_map: Option<File>,
    /// Paths of the libraries that are allocators and nothing else.
    pub allocator_files: Vec<String>,
    /// The V8 in it.
    pub v8: Option<Arc<V8>>,
    /// It was found gone, and nobody has told of its end yet.
    pub seems_ended: bool,
    /// All its mappings, where mapping calls are watched.
    pub mapped: Mapped,
}

impl Space {
    /// The process's pid, while it lives.
    pub fn pid(&self) -> Option<u32> {
        self.target.as_ref().map(|target| target.pid)
    }
}

/// What is mapped in a process, and which of it allocates.
pub(super) struct Survey {
    pub pid: u32,
    pub mappings: Mappings,
    pub found: Found,
}

impl Survey {
    /// Looks at a process.
    pub fn of(pid: u32, worker: &mut FileWorker) -> Result<Self, CollectError> {
        let mut mappings = Mappings::default();
        mappings.refresh(pid, 0)?;
        let found = allocator::find(mappings.current(), worker)?;
        Ok(Self {
            pid,
            mappings,
            found,
        })
    }

    /// Whether the process still has the mappings that were seen.
    pub fn still_holds(&mut self) -> bool {
        let before = self.mappings.changes();
        self.mappings.refresh(self.pid, 0).is_ok() && self.mappings.changes() == before
    }
}

/// How a process is to be traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attaching {
    /// It runs, and is not to be stopped.
    Running,
    /// It is a child of ours, stopped; so is its next program to be.
    Stopped,
}

impl Session {
    /// Names a process as target before its program runs, so that it stops at exec.
    pub(super) fn expect(&mut self, pid: u32) -> Result<(), CollectError> {
        let target = Target {
            mm: 0,
            space: 0,
            flags: TARGET_STOP_AT_EXEC | self.follow_flag(),
        };
        self.stopped_at_exec = Some(pid);
        Ok(self.kernel.set_target(pid, &target)?)
    }

    pub(super) fn follow_flag(&self) -> u32 {
        if self.follow.is_on { TARGET_FOLLOW } else { 0 }
    }

    /// Puts a probe on the loader of a stopped child of ours, so that it stops
    /// when its libraries are mapped; `false`: it is static and needs none.
    pub fn stop_at_loader(&mut self, pid: u32) -> Result<bool, CollectError> {
        let Survey { found, .. } = Survey::of(pid, &mut self.worker)?;
        if found.loader.is_none() {
            return if found.allocators.is_empty() {
                Err(no_allocator(pid, &found))
            } else {
                Ok(false)
            };
        }
        self.attach_loader(&found, pid)?;
        let target = Target {
            mm: 0,
            space: 0,
            flags: TARGET_STOP_AT_EXEC | TARGET_STOP_AT_LOADER | self.follow_flag(),
        };
        self.kernel.set_target(pid, &target)?;
        Ok(true)
    }

    /// Attaches to a process.
    pub fn attach(
        &mut self,
        target: TargetProcess,
        attaching: Attaching,
    ) -> Result<(), CollectError> {
        let pid = target.pid;
        let survey = match self.survey.take().filter(|survey| survey.pid == pid) {
            Some(survey) => survey,
            None => Survey::of(pid, &mut self.worker)?,
        };
        self.tables.ask(survey.mappings.current());
        self.tables.settle(&mut self.kernel, TABLE_PATIENCE)?;
        self.refuse_what_cannot_be(&target, &survey)?;
        let stops = if attaching == Attaching::Stopped {
            TARGET_STOP_AT_EXEC
        } else {
            0
        };
        let space = self.add_space(&survey)?;
        let flags = stops | self.follow_flag();
        self.kernel.set_target(
            pid,
            &Target {
                mm: 0,
                space,
                flags,
            },
        )?;
        self.attach_probes(&survey, pid)?;
        if target.is_stopped_by_debugger {
            self.notes.push(format!(
                "Process {pid} was stopped by a debugger when the trace began."
            ));
        } else if target.is_stopped && attaching == Attaching::Running {
            self.notes.push(format!(
                "Process {pid} was stopped (SIGSTOP) when the trace began."
            ));
        }
        self.keep(space, survey, target);
        Ok(())
    }

    /// Whether a process can be traced at all.
    pub(super) fn refuse_what_cannot_be(
        &self,
        target: &TargetProcess,
        survey: &Survey,
    ) -> Result<(), CollectError> {
        if target.has_seccomp && !self.findings.seccomp_safe {
            return Err(CollectError::SeccompUnsafe(target.pid));
        }
        if survey.found.allocators.is_empty() {
            return Err(no_allocator(target.pid, &survey.found));
        }
        Ok(())
    }

    /// Gives a process's address space a number, and tells the kernel side of it.
    pub(super) fn add_space(&mut self, survey: &Survey) -> Result<u32, CollectError> {
        let id = self.next_space;
        if id >= self.limits.processes {
            return Err(CollectError::TooManyProcesses(self.limits.processes));
        }
        let code = allocator::code_ranges(&survey.found.allocators, survey.mappings.current());
        self.kernel.set_space(
            id,
            &SpaceSettings {
                mapping_generation: 0,
                allocator: code,
            },
        )?;
        let v8 = survey.found.v8.as_ref();
        if let Some(v8) = v8 {
            let mappings = survey.mappings.current();
            (self.javascript).follow(&mut self.kernel, (id, survey.pid), v8, mappings)?;
        }
        (self.tables).tell(
            &mut self.kernel,
            id,
            &survey.mappings,
            v8.map(AsRef::as_ref),
        )?;
        let old_kernel = v8.is_some() && !self.kernel.tells_functions();
        let unnamed = old_kernel.then(|| NO_LOOP.to_owned());
        if let Some(reason) = unnamed.or_else(|| survey.found.unknown_v8.clone()) {
            self.note_once(reason);
        }
        if !self.kernel.add_site_without_stack(id)? {
            self.note_once(SITES_FULL.to_owned());
        }
        self.next_space += 1;
        Ok(id)
    }

    /// Puts the probes into a process, on what has none yet.
    pub(super) fn attach_probes(&mut self, survey: &Survey, pid: u32) -> Result<(), CollectError> {
        for allocator in &survey.found.allocators {
            self.attach_allocator(allocator, pid)?;
        }
        self.attach_javascript_heap(&survey.found, pid)?;
        self.attach_loader(&survey.found, pid)
    }

    /// Puts probes on one allocator; whether it had none.
    pub(super) fn attach_allocator(
        &mut self,
        allocator: &Allocator,
        pid: u32,
    ) -> Result<bool, CollectError> {
        if self.probed.contains(&(pid, allocator.file.identity)) {
            return Ok(false);
        }
        let probes = AllocatorProbes::of(allocator, pid);
        match &mut self.slices {
            None => probes.attach(&mut self.kernel, Wanted::ALL)?,
            Some(slices) => {
                probes.attach(&mut self.kernel, slices.wanted())?;
                slices.probes.push(probes);
            }
        }
        self.probed.insert((pid, allocator.file.identity));
        Ok(true)
    }

    pub(super) fn attach_loader(&mut self, found: &Found, pid: u32) -> Result<(), CollectError> {
        let Some((loader, offset)) = &found.loader else {
            return Ok(());
        };
        if self.loaders.contains(&(pid, loader.identity)) {
            return Ok(());
        }
        let point = Point {
            offset: *offset,
            cookie: 0,
        };
        let file = allocator::open_file(loader, pid)?;
        self.kernel
            .attach(ProgramName::Loader, file, &[point], pid)?;
        self.loaders.insert((pid, loader.identity));
        Ok(())
    }

    /// Keeps a process that has come under trace.
    pub(super) fn keep(&mut self, id: u32, survey: Survey, target: TargetProcess) -> &mut Space {
        self.keep_not_covered(&survey.found.not_covered);
        let process = target.describe(id, names_of(&survey.found.allocators));
        let index = self.spaces.len();
        self.spaces.push(Space {
            id,
            process,
            target: Some(target),
            allocator_files: files_of(&survey.found.allocators),
            mappings: survey.mappings,
            perf_map: None,
            v8: survey.found.v8,
            seems_ended: false,
            mapped: Mapped::default(),
        });
        let space = &mut self.spaces[index];
        if self.watch.is_some() {
            mapped::compare(space, Origin::Before);
        }
        space
    }

    pub(super) fn keep_not_covered(&mut self, what: &[String]) {
        for what in what {
            if !self.not_covered.contains(what) {
                self.not_covered.push(what.clone());
            }
        }
    }

    pub(super) fn note_once(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// The allocators of a process, as its description has them.
pub(super) fn names_of(allocators: &[Allocator]) -> String {
    let names: Vec<&str> = allocators
        .iter()
        .map(|allocator| allocator.name.as_str())
        .collect();
    names.join(" + ")
}

/// The libraries that are allocators and nothing else.
pub(super) fn files_of(allocators: &[Allocator]) -> Vec<String> {
    allocators
        .iter()
        .filter(|allocator| allocator.is_all)
        .map(|allocator| allocator.file.path.clone())
        .collect()
}

/// Why a process cannot be traced that has no allocator we know.
pub(super) fn no_allocator(pid: u32, found: &Found) -> CollectError {
    let found = if found.not_covered.is_empty() {
        "no malloc is mapped".to_owned()
    } else {
        found.not_covered.join("; ")
    };
    CollectError::NoAllocator { pid, found }
}
