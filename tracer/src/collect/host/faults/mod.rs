//! Who makes processes larger: stacks of sampled page faults, of every process of the
//! host, always.
//!
//! The kernel counts minor faults and has one of 61 of a processor looked at
//! (`tracer_common::fault`); where there are many, fewer. A sample stands for all
//! faults since the one before it. Its stack is walked by unwind tables, with
//! JavaScript functions, in processes that have grown or that were asked for; in
//! others by frame pointers, which is told by [`Frame::approximate`].
//!
//! What is approximate: a sum of n samples is off by about 1/√n. Memory that was given back is not
//! taken off, and a page that was copied after a fork counts though the process was as large
//! before. Of files a fault maps up to 16 pages and counts as one: they are told apart,
//! as [`Taken::file_bytes`].

mod named;
mod pages;
mod processes;
mod samples;
mod stacks;
mod told;

use std::{
    collections::{BTreeSet, HashMap},
    time::Instant,
};

use aya::maps::{MapData, RingBuf};
use tracer_common::{control::Control, counter::Counter, unwind::code::SpaceCode};

use self::{
    pages::Pages,
    processes::Processes,
    samples::{Program, Sample},
    stacks::Stacks,
};
use super::super::{CollectError, javascript::Javascript, machine, tables::Tables};
use crate::{
    model::Frame,
    probe::{FaultLimits, Kernel, KernelTypes, count_of},
    symbolize::FileWorker,
};

pub use named::NamedStacks;
pub use told::Cost;

/// Samples that are taken in at once; the ring buffer holds fewer.
const SAMPLES_MAX: usize = 1 << 15;
/// A process that grew by so much of late gets unwind tables.
const GROWN_BYTES: u64 = 8 << 20;
/// Processes with tables by their own growth; those asked for come first.
const PLACED_MAX: usize = 24;

/// Memory that a process came to have at one stack since the last time it was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The process.
    pub pid: u32,
    /// When it began, as `/proc/PID/stat` tells it, ns since boot.
    pub start_time: u64,
    /// For [`Faults::frames`]; 0: no stack could be taken.
    pub stack: u64,
    /// Of its own, estimated.
    pub bytes: u64,
    /// Of files or shared, at least.
    pub file_bytes: u64,
    /// Samples that this is made from.
    pub samples: u64,
}

/// Processes that are looked at as soon as their samples come, and faults that make
/// it worth while.
const LOOKED_AT_MAX: usize = 24;
const LOOKED_AT_FAULTS: u64 = 256;

/// The file worker may hold so much from one time to the next.
const WORKER_BYTES: u64 = 32 << 20;

/// Sampling that is on. Dropping it ends it, and so does the end of memtrace, however
/// it ends.
pub struct Faults {
    // Before what its thread reads.
    javascript: Javascript,
    kernel: Kernel,
    ring: RingBuf<MapData>,
    limits: FaultLimits,
    worker: FileWorker,
    tables: Tables,
    processes: Processes,
    stacks: Stacks,
    pages: Pages,
    control: Control,
    begun: Instant,
    turn: u64,
    /// How much a process grew of late: halved each time that samples are taken.
    grown: HashMap<Program, u64>,
    /// Samples that were not taken in.
    unread: u64,
    /// Unwind tables that could not be had, or made room for others.
    without_table: u64,
    /// JavaScript functions that found no room, and how many had when room was made.
    untold_functions: [u64; 2],
}

impl Faults {
    /// Begins to sample.
    ///
    /// # Errors
    /// [`CollectError::Probe`] where the kernel does not allow it.
    pub fn start(types: &KernelTypes, limits: FaultLimits) -> Result<Self, CollectError> {
        // Mapped files are held open, as they may be gone when names are asked for.
        machine::raise_open_files();
        let mut kernel = Kernel::load_faults(types, &limits)?;
        let ring = kernel.take_faults()?;
        let control = Control {
            gate: 1,
            ..Control::default()
        };
        kernel.set_control(&control)?;
        // Of processes without tables: no code is known.
        kernel.set_space_code(0, &SpaceCode::default())?;
        kernel.attach_faults()?;
        Ok(Self {
            javascript: Javascript::default(),
            kernel,
            ring,
            limits,
            worker: FileWorker::start()?,
            tables: Tables::built_in_turn(&limits.unwind),
            processes: Processes::default(),
            stacks: Stacks::default(),
            pages: Pages::new(),
            control,
            begun: Instant::now(),
            turn: 0,
            grown: HashMap::new(),
            unread: 0,
            without_table: 0,
            untold_functions: [0; 2],
        })
    }

    /// What was sampled since the last time. To be asked every ten seconds or more often: what has
    /// ended by then has no names, and what finds no room in the buffer is lost, and
    /// counted. Where a program is seen for the first time it may take some 100 ms.
    ///
    /// # Errors
    /// [`CollectError`] if the kernel's maps cannot be read or written.
    pub fn take(&mut self) -> Result<Vec<Taken>, CollectError> {
        self.turn += 1;
        self.worker.rest_above(WORKER_BYTES);
        let samples = self.drain();
        let programs = samples.iter().map(|sample| sample.program);
        self.processes.begin(programs);
        self.hold_on_to_large(&samples);
        let weights = self.pages.weigh(&samples, machine::processors().into());
        let mut sums: HashMap<(Program, u64), Taken> = HashMap::new();
        self.grown.values_mut().for_each(|bytes| *bytes /= 2);
        for (sample, [bytes, file_bytes]) in samples.iter().zip(weights) {
            let key = sample.stack_key();
            self.stacks.keep(key, sample, self.turn);
            let program = sample.program;
            *self.grown.entry(program).or_default() += bytes;
            let sum = sums.entry((program, key)).or_insert_with(|| Taken {
                pid: program.pid,
                start_time: program.start_tick(),
                stack: key,
                ..Taken::default()
            });
            sum.bytes = sum.bytes.saturating_add(bytes);
            sum.file_bytes = sum.file_bytes.saturating_add(file_bytes);
            sum.samples += 1;
        }
        self.stacks.make_room(self.turn);
        self.grown.retain(|_, bytes| *bytes >= GROWN_BYTES / 16);
        self.place()?;
        let mut taken: Vec<Taken> = sums.into_values().collect();
        taken.sort_unstable_by_key(|it| (std::cmp::Reverse(it.bytes), it.pid, it.stack));
        Ok(taken)
    }

    /// Looks what is mapped in those with most faults first of all: they may end soon.
    fn hold_on_to_large(&mut self, samples: &[Sample]) {
        let mut faults: HashMap<Program, u64> = HashMap::new();
        for sample in samples {
            *faults.entry(sample.program).or_default() += sample.faults;
        }
        let mut largest: Vec<(u64, Program)> = (faults.into_iter())
            .map(|(program, faults)| (faults, program))
            .filter(|(faults, _)| *faults >= LOOKED_AT_FAULTS)
            .collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        for (_, program) in largest.into_iter().take(LOOKED_AT_MAX) {
            self.processes.look(program);
        }
    }

    fn drain(&mut self) -> Vec<Sample> {
        let mut samples = Vec::new();
        while let Some(item) = self.ring.next() {
            match Sample::read(&item) {
                Some(sample) if samples.len() < SAMPLES_MAX => samples.push(sample),
                _ => self.unread += 1,
            }
        }
        samples
    }

    /// Gives tables to those that shall have some, and takes them from others.
    fn place(&mut self) -> Result<(), CollectError> {
        for program in self.processes.ended() {
            (self.processes).release(program, &mut self.kernel, &self.javascript)?;
            self.grown.remove(&program);
        }
        let wanted = self.wanted();
        let is_full = self.functions_found_no_room()?;
        for program in self.processes.placed() {
            if is_full || !wanted.contains(&program) {
                (self.processes).release(program, &mut self.kernel, &self.javascript)?;
            }
        }
        for program in wanted {
            self.processes.place(
                program,
                &mut self.kernel,
                &mut self.tables,
                &mut self.javascript,
                &mut self.worker,
            )?;
        }
        self.tables
            .keep_only(&self.processes.files(), &mut self.kernel)?;
        let now = u32::try_from(self.begun.elapsed().as_millis()).unwrap_or(u32::MAX);
        self.control.now_mark = now;
        self.kernel.set_control(&self.control)?;
        self.tables.bring_back(&mut self.kernel, now)?;
        (self.processes).tell(&mut self.kernel, &mut self.tables, &mut self.javascript)?;
        // There is one a file, and files come and go on a host.
        self.without_table += std::mem::take(&mut self.tables.notes).len() as u64;
        Ok(())
    }

    /// Whether there was no room for functions since the last time: then all processes are
    /// begun anew, and those functions that still run are told of again.
    fn functions_found_no_room(&mut self) -> Result<bool, CollectError> {
        let counts = self.kernel.counts()?;
        let [untold, met] = &mut self.untold_functions;
        *untold = count_of(&counts, Counter::FunctionNotTold).calls;
        Ok(std::mem::replace(met, *untold) != *untold)
    }

    /// Who shall have tables: who has some and still grows a little, who has grown.
    fn wanted(&self) -> Vec<Program> {
        let placed = self.processes.placed();
        let mut wanted: Vec<(u64, Program)> = (self.grown.iter())
            .map(|(program, bytes)| (*bytes, *program))
            .chain(placed.iter().map(|program| (0, *program)))
            .filter(|(bytes, program)| *bytes >= GROWN_BYTES || placed.contains(program))
            .collect();
        wanted.sort_unstable_by(|a, b| b.cmp(a));
        let mut seen = BTreeSet::new();
        wanted.retain(|(_, program)| seen.insert(*program));
        wanted.truncate(PLACED_MAX.min(self.limits.processes as usize));
        wanted.into_iter().map(|(_, program)| program).collect()
    }

    /// The frames of a stack, innermost first, named when they are first asked for;
    /// `None`: it was not seen of late.
    pub fn frames(&mut self, stack: u64) -> Option<&[Frame]> {
        self.frames_until(stack, None)
    }

    /// The same; from a moment on no names are looked up any more, and what has none is
    /// asked again the next time.
    pub(super) fn frames_until(&mut self, stack: u64, until: Option<Instant>) -> Option<&[Frame]> {
        let Self {
            stacks,
            processes,
            javascript,
            worker,
            ..
        } = self;
        stacks.frames(stack, processes, javascript, worker, until)
    }
}
