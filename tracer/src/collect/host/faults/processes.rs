//! The processes that samples are of, as far as they are held on to: what is mapped in
//! them, and which unwind tables the kernel side has for them.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    sync::Arc,
    time::Duration,
};

use tracer_common::fault::FaultSpace;

use super::samples::Program;
use crate::{
    collect::{
        CollectError, TargetProcess, allocator,
        javascript::{Javascript, V8},
        mappings::Mappings,
        tables::Tables,
    },
    probe::Kernel,
    symbolize::{FileWorker, open::open_perf_map},
};

/// Processes whose mappings are kept. Each may hold some hundred files open.
const KEPT_MAX: usize = 48;
/// Changes of mappings after which what was before is forgotten.
const CHANGES_MAX: usize = 64;
/// Rounds of samples for which it is remembered which program a process ran.
const ROUNDS_KEPT: u64 = 8;

/// A process that is held on to.
pub struct Process {
    /// What is mapped.
    pub mappings: Mappings,
    /// Its perf map, if it writes one.
    pub perf_map: Option<File>,
    /// The number of its tables; 0: it has none.
    pub space: u32,
    v8: Option<Arc<V8>>,
    /// Changes of mappings and of tables that the kernel side was told of.
    told: (usize, u64),
    /// When it was last of use, as [`Processes::turn`].
    used: u64,
}

/// All of them.
#[derive(Default)]
pub struct Processes {
    kept: HashMap<Program, Process>,
    /// Which program a process runs now, as the last rounds' samples say, and the round.
    newest: HashMap<(u32, u64), (u64, u64)>,
    turn: u64,
    next_space: u32,
}

impl Processes {
    /// A new round of samples begins, of these.
    pub fn begin(&mut self, sampled: impl Iterator<Item = Program>) {
        self.turn += 1;
        let oldest = self.turn.saturating_sub(ROUNDS_KEPT);
        self.newest.retain(|_, (_, turn)| *turn >= oldest);
        for program in sampled {
            let newest = self.newest.entry((program.pid, program.start_time));
            let (exec, turn) = newest.or_default();
            (*exec, *turn) = (program.exec.max(*exec), self.turn);
        }
    }

    /// Whether what is mapped in the process now is this program's.
    fn is_current(&self, program: Program) -> bool {
        let newest = self.newest.get(&(program.pid, program.start_time));
        newest.is_none_or(|(exec, _)| *exec == program.exec) && is_it(program)
    }

    /// What is mapped in a process, as of this round; `None`: it has gone.
    pub fn look(&mut self, program: Program) -> Option<&mut Process> {
        let is_known = self.kept.get(&program);
        let is_fresh = is_known.is_some_and(|process| process.used == self.turn);
        let is_current = !is_fresh && self.is_current(program);
        if is_known.is_none() {
            if !is_current {
                return None;
            }
            self.make_room();
        }
        let process = self.kept.entry(program).or_insert_with(|| Process {
            mappings: Mappings::default(),
            perf_map: perf_map(program.pid),
            space: 0,
            v8: None,
            told: (0, 0),
            used: 0,
        });
        let is_new = process.mappings.changes() == 0;
        if is_current {
            if process.mappings.changes() > CHANGES_MAX {
                process.mappings = Mappings::default();
            }
            // What cannot be read any more is as it was.
            let _ = process.mappings.refresh(program.pid, 0);
        }
        process.used = self.turn;
        if is_new && process.mappings.changes() == 0 {
            self.kept.remove(&program);
            return None;
        }
        self.kept.get_mut(&program)
    }

    /// Those with tables.
    pub fn placed(&self) -> Vec<Program> {
        let placed = self.kept.iter().filter(|(_, process)| process.space != 0);
        placed.map(|(program, _)| *program).collect()
    }

    /// Gives a process tables, which are built meanwhile.
    pub fn place(
        &mut self,
        program: Program,
        kernel: &mut Kernel,
        tables: &mut Tables,
        javascript: &mut Javascript,
        worker: &mut FileWorker,
    ) -> Result<(), CollectError> {
        let next = self.next_space.max(1);
        let Some(process) = self.look(program) else {
            return Ok(());
        };
        if process.space != 0 {
            return Ok(());
        }
        let mappings = process.mappings.current();
        let found = allocator::find(mappings, worker)?;
        tables.ask(mappings);
        process.space = next;
        if let Some(v8) = found.v8 {
            javascript.follow(kernel, (next, program.pid), &v8, mappings)?;
            process.v8 = Some(v8);
        }
        process.told = (0, 0);
        self.next_space = next + 1;
        Ok(())
    }

    /// Takes its tables away.
    pub fn release(
        &mut self,
        program: Program,
        kernel: &mut Kernel,
        javascript: &Javascript,
    ) -> Result<(), CollectError> {
        let Some(process) = self.kept.get_mut(&program) else {
            return Ok(());
        };
        let space = std::mem::take(&mut process.space);
        if space == 0 {
            return Ok(());
        }
        kernel.forget_fault_space(program.pid)?;
        kernel.forget_space_code(space)?;
        kernel.forget_functions(space)?;
        javascript.forget(space);
        process.v8 = None;
        Ok(())
    }

    /// Tells the kernel side what has changed: tables that are built now, libraries.
    pub fn tell(
        &mut self,
        kernel: &mut Kernel,
        tables: &mut Tables,
        javascript: &mut Javascript,
    ) -> Result<(), CollectError> {
        for process in self.kept.values().filter(|process| process.space != 0) {
            tables.ask(process.mappings.current());
        }
        tables.settle(kernel, Duration::ZERO)?;
        for (program, process) in &mut self.kept {
            let state = (process.mappings.changes(), tables.changes);
            if process.space == 0 || process.told == state {
                continue;
            }
            process.told = state;
            if let Some(v8) = &process.v8 {
                let mappings = process.mappings.current();
                javascript.follow(kernel, (process.space, program.pid), v8, mappings)?;
            }
            let v8 = process.v8.as_deref();
            tables.tell(kernel, process.space, &process.mappings, v8)?;
            let space = FaultSpace {
                start_time: program.start_time,
                exec: program.exec,
                space: u64::from(process.space),
            };
            kernel.set_fault_space(program.pid, &space)?;
        }
        Ok(())
    }

    /// The files that processes with tables have mapped.
    pub fn files(&self) -> HashSet<(u64, u64)> {
        let placed = self.kept.values().filter(|process| process.space != 0);
        placed
            .flat_map(|process| process.mappings.current())
            .filter_map(|mapping| mapping.file_identity())
            .collect()
    }

    /// Those with tables that have ended, or run another program by now.
    pub fn ended(&self) -> Vec<Program> {
        let placed = self.placed().into_iter();
        placed
            .filter(|program| !self.is_current(*program))
            .collect()
    }

    fn make_room(&mut self) {
        if self.kept.len() < KEPT_MAX {
            return;
        }
        let idle = (self.kept.iter())
            .filter(|(_, process)| process.space == 0)
            .min_by_key(|(_, process)| process.used)
            .map(|(program, _)| *program);
        if let Some(program) = idle {
            self.kept.remove(&program);
        }
    }
}

/// A map of its code that a process writes for others.
fn perf_map(pid: u32) -> Option<File> {
    let process = TargetProcess::open(pid).ok()?;
    open_perf_map(pid, process.ns_pid, process.uid).ok()
}

/// Whether the pid is still this process's.
pub fn is_it(program: Program) -> bool {
    let stat = procfs::process::Process::new(program.pid as i32).and_then(|it| it.stat());
    let ticks = procfs::ticks_per_second().max(1);
    stat.is_ok_and(|stat| stat.starttime == program.start_time / (1_000_000_000 / ticks))
}
