//! JavaScript functions on the stacks of a trace: taken in as the kernel side
//! meets them, and named at once, by a thread and a file worker of their own:
//! the objects that name them move and die.

mod reader;

use std::{
    collections::HashMap,
    fs::File,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use rustix::event::{EventfdFlags, eventfd};
use tracer_common::javascript::{FunctionKey, Identity, JavascriptFrame, Runtime};

use super::{
    CollectError,
    mappings::{Backing, Mapping},
};
use crate::{
    model::{Frame, JAVASCRIPT},
    probe::Kernel,
    symbolize::v8::{Described, Layout, Script, ScriptLines},
};

/// What stands for the name of a function that could not be told.
const UNKNOWN: &str = "(unknown function)";

/// The V8 of a process.
#[derive(Debug)]
pub struct V8 {
    /// The file that it is in: device and inode.
    pub file: (u64, u64),
    /// How its objects are laid out.
    pub layout: Layout,
}

impl V8 {
    /// What the kernel side must know of it.
    pub fn runtime(&self, mappings: &[Mapping]) -> Runtime {
        let layout = &self.layout;
        let mut runtime = Runtime {
            is_known: 1,
            info: layout.function_info,
            name: layout.info.name,
            has_number: u32::from(layout.info.has_number),
            locals: layout.scope.locals,
            variables: layout.scope.variables,
            ..Runtime::default()
        };
        let ranges = mappings.iter().filter_map(|it| self.builtins_in(it));
        for (to, range) in runtime.builtins.iter_mut().zip(ranges) {
            *to = range;
        }
        runtime
    }

    /// Which part of a mapping is builtins: its address and length.
    fn builtins_in(&self, mapping: &Mapping) -> Option<[u64; 2]> {
        let Backing::File(file, offset) = &mapping.backing else {
            return None;
        };
        let length = mapping.end.checked_sub(mapping.start)?;
        let [first, behind] = self.layout.builtins;
        let (from, to) = (first.max(*offset), behind.min(offset.checked_add(length)?));
        (file.identity == self.file && from < to)
            .then(|| [mapping.start + (from - offset), to - from])
    }
}

/// A process that runs JavaScript.
#[derive(Debug)]
struct Process {
    v8: Arc<V8>,
    memory: Option<File>,
    runtime: Runtime,
}

/// A function that was told of.
#[derive(Debug)]
struct Known {
    identity: Identity,
    code: u64,
    /// `None`: it is none, and its frames are named by their code.
    described: Option<Described>,
}

impl Known {
    /// Looked at again, the same function told more.
    fn lacks_what_is_in(&self, later: &Self) -> bool {
        let lacks = |known: &Self| known.described.as_ref().map(Described::is_incomplete);
        lacks(self) == Some(true) && lacks(later) == Some(false)
    }
}

/// Positions and ends of lines that are kept: large bundles have some hundred
/// thousand, hostile processes as many as they like.
const NUMBERS_MAX: usize = 32 << 20;

#[derive(Debug, Default)]
struct Shared {
    /// By address space.
    processes: HashMap<u32, Process>,
    functions: HashMap<FunctionKey, Known>,
    /// By address space and script.
    scripts: HashMap<(u32, Script), Option<ScriptLines>>,
    /// How many numbers these hold.
    numbers: usize,
    /// What could not be done, for the report.
    failure: Option<String>,
}

impl Shared {
    /// Makes room for these, or empties them.
    fn keep<T>(&mut self, numbers: &mut Vec<T>) {
        if self.numbers + numbers.len() > NUMBERS_MAX {
            self.failure = Some("there are too many lines to keep".to_owned());
            numbers.clear();
        }
        self.numbers += numbers.len();
    }
}

/// The functions of a trace.
#[derive(Default)]
pub struct Javascript {
    shared: Arc<Mutex<Shared>>,
    reader: Option<(JoinHandle<()>, OwnedFd)>,
}

/// A frame of a JavaScript function, named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Named {
    /// Empty if it has none.
    pub function: String,
    /// Path or URL of its script.
    pub script: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// The compiler put it into the next one.
    pub inlined: bool,
    /// It may have called functions that were put into it and are not told.
    pub approximate: bool,
}

impl Named {
    /// As a report has it.
    pub fn frame(&self) -> Frame {
        const ANONYMOUS: &str = "(anonymous)";
        let name = if self.function.is_empty() {
            ANONYMOUS
        } else {
            &self.function
        };
        let script = self.script.as_deref();
        Frame {
            function: Some(name.to_owned()),
            module: JAVASCRIPT.to_owned(),
            file: script.map(|it| it.strip_prefix("file://").unwrap_or(it).to_owned()),
            line: self.line,
            inlined: self.inlined,
            approximate: self.approximate,
            ..Frame::default()
        }
    }
}

/// What a frame turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// These functions, innermost first.
    Functions(Vec<Named>),
    /// V8's own code at this address, or code of which nothing is known.
    Code(u64),
}

impl Javascript {
    /// A process with V8 has come under trace, or its mappings have changed.
    pub fn follow(
        &mut self,
        kernel: &mut Kernel,
        (space, pid): (u32, u32),
        v8: &Arc<V8>,
        mappings: &[Mapping],
    ) -> Result<(), CollectError> {
        if !kernel.tells_functions() {
            return Ok(());
        }
        let runtime = v8.runtime(mappings);
        let mut shared = lock(&self.shared);
        if let Some(process) = shared.processes.get_mut(&space) {
            process.runtime = runtime;
            return Ok(());
        }
        let process = Process {
            v8: Arc::clone(v8),
            memory: File::open(format!("/proc/{pid}/mem")).ok(),
            runtime,
        };
        shared.processes.insert(space, process);
        drop(shared);
        if self.reader.is_none() {
            let failed = |source: rustix::io::Errno| CollectError::System {
                what: "an eventfd",
                source: source.into(),
            };
            let stop = eventfd(0, EventfdFlags::CLOEXEC).map_err(failed)?;
            let ring = kernel.take_functions()?;
            let stopped = stop.try_clone().map_err(|source| CollectError::System {
                what: "an eventfd",
                source,
            })?;
            let thread = reader::start(ring, stopped, Arc::clone(&self.shared))?;
            self.reader = Some((thread, stop));
        }
        Ok(())
    }

    /// A process has ended; the names of its functions stay.
    pub fn end(&self, space: u32) {
        if let Some(process) = lock(&self.shared).processes.get_mut(&space) {
            process.memory = None;
        }
    }

    /// A process is not followed any more, and nobody will ask for its functions.
    pub fn forget(&self, space: u32) {
        let mut shared = lock(&self.shared);
        shared.processes.remove(&space);
        let positions = |known: &Known| {
            (known.described.as_ref()).map_or(0, |described| described.positions.len())
        };
        let mut numbers = 0;
        shared.functions.retain(|key, known| {
            let is_kept = key.space() != space;
            numbers += if is_kept { 0 } else { positions(known) };
            is_kept
        });
        shared.scripts.retain(|(of, _), lines| {
            let is_kept = *of != space;
            let ends = lines.as_ref().map_or(0, |lines| lines.ends.len());
            numbers += if is_kept { 0 } else { ends };
            is_kept
        });
        shared.numbers = shared.numbers.saturating_sub(numbers);
    }

    /// Takes in all that was told; nothing more is after that. What failed.
    pub fn finish(&mut self) -> Option<String> {
        if let Some((thread, stop)) = self.reader.take() {
            // It reads the ring once more, and ends.
            let _ = rustix::io::write(&stop, &1_u64.to_ne_bytes());
            let _ = thread.join();
        }
        lock(&self.shared).failure.take()
    }

    /// What a frame is.
    pub fn meaning(&self, frame: JavascriptFrame, space: u32) -> Meaning {
        let shared = lock(&self.shared);
        let Some(known) = shared.functions.get(&frame.key) else {
            // The reader failed, which is told.
            return Meaning::Functions(vec![Named {
                function: UNKNOWN.to_owned(),
                ..Named::default()
            }]);
        };
        let Some(described) = &known.described else {
            return Meaning::Code(known.code);
        };
        let from = described
            .positions
            .partition_point(|(from, _)| *from <= frame.offset);
        let of_bytecode = from
            .checked_sub(1)
            .map(|index| described.positions[index].1);
        let last = described.frames.len().saturating_sub(1);
        let functions = described.frames.iter().enumerate().map(|(index, of)| {
            let script = of.script.as_ref();
            let lines = script
                .and_then(|script| shared.scripts.get(&(space, script.clone())))
                .and_then(Option::as_ref);
            let position = of.position.or(of_bytecode);
            Named {
                function: of.name.clone(),
                script: (script.and_then(|script| script.name.clone()))
                    .or_else(|| lines.and_then(|lines| lines.name.clone())),
                line: lines.zip(position).and_then(|(lines, at)| lines.line(at)),
                inlined: index < last,
                approximate: described.may_lack_some,
            }
        });
        Meaning::Functions(functions.collect())
    }
}

/// The reader only ever inserts what is whole.
fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
