//! One trace: attaching, following the target while it runs, and ending.

use std::{fs::File, thread, time::Instant};

use tracer_common::control::{
    Control, SpaceSettings, TARGET_STOP_AT_EXEC, TARGET_STOP_AT_LOADER, Target,
};

use super::{
    CollectError, TargetProcess,
    allocator::{self, Found},
    clock::Moment,
    finish,
    mappings::Mappings,
    overhead::{ALWAYS_BYTES, Governor, Limit},
};
use crate::{
    model::{Counts, Exit, Process, Report, Sampling},
    probe::{Kernel, Limits, Point, ProgramName, canary, features},
    symbolize::FileWorker,
};

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
    pub(super) findings: canary::Findings,
    probed: Vec<((u64, u64), u32)>,
    survey: Option<Survey>,
    pub(super) statistics: Option<super::cost::Statistics>,
    pub(super) last: Option<(Instant, Counts)>,
    pub(super) ticks: u32,
}

/// What is mapped in a process, and which of it allocates.
pub(super) struct Survey {
    pid: u32,
    mappings: Mappings,
    found: Found,
}

impl Survey {
    fn of(pid: u32, worker: &mut FileWorker) -> Result<Self, CollectError> {
        let mut mappings = Mappings::default();
        mappings.refresh(pid, 0)?;
        let found = allocator::find(mappings.current(), worker)?;
        Ok(Self {
            pid,
            mappings,
            found,
        })
    }
}

/// Starts the file worker and has it look at a process, if there is one yet.
fn survey(pid: Option<u32>) -> Result<(FileWorker, Option<Survey>), CollectError> {
    let mut worker = FileWorker::start()?;
    let survey = pid.map(|pid| Survey::of(pid, &mut worker)).transpose()?;
    Ok((worker, survey))
}

impl Session {
    /// Loads the kernel side and tries it on a child of our own; meanwhile
    /// looks at what is mapped in the process to attach to, if it runs already.
    pub fn prepare(options: &Options, pid: Option<u32>) -> Result<Self, CollectError> {
        if !features::is_in_first_pid_namespace() {
            return Err(CollectError::PidNamespace);
        }
        let surveying = thread::spawn(move || survey(pid));
        let mut kernel = Kernel::load(&options.limits, true)?;
        let mut findings = canary::examine(&mut kernel)?;
        if kernel.is_multi() && !findings.sees_threads {
            // Linux 6.6 to 6.9: the filter of a multi link sees the main thread only.
            kernel = Kernel::load(&options.limits, false)?;
            findings = canary::examine(&mut kernel)?;
        }
        kernel.attach_life()?;
        let (worker, survey) = surveying.join().map_err(|_| CollectError::System {
            what: "looking at the target's files",
            source: std::io::Error::other("the thread died"),
        })??;
        Ok(Self {
            kernel,
            worker,
            survey,
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
        let Survey { found, .. } = Survey::of(pid, &mut self.worker)?;
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
        let Survey {
            mappings, found, ..
        } = match self.survey.take().filter(|survey| survey.pid == pid) {
            Some(survey) => survey,
            None => Survey::of(pid, &mut self.worker)?,
        };
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

    /// Marks the newest program as replaced by another.
    pub fn execed(&mut self) {
        if let Some(space) = self.spaces.last_mut() {
            space.process.exit = Some(Exit::Exec);
        }
    }
}

/// Why a process cannot be traced that has no glibc.
pub(super) fn no_allocator(pid: u32, found: &Found) -> CollectError {
    let found = if found.is_static {
        "it is a static program, with a malloc of its own".to_owned()
    } else if !found.not_covered.is_empty() {
        found.not_covered.join("; ")
    } else {
        "no glibc is mapped".to_owned()
    };
    CollectError::NoAllocator { pid, found }
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
