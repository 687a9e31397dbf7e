//! The parent's side of the file worker: starts it, asks it, starts it again
//! when a file killed it.
//!
//! Blocking; nothing of a target's file is read here.

mod process;

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use thiserror::Error;

use process::{Failure, Running, exchange, how_it_ended};

use super::elf::MAX_SYMBOLS_PER_OFFSET;
use super::protocol::{Answer, Request};
use super::unwind_table::UnwindTable;
use super::v8::{Described, Layout, Script, ScriptLines, SeenFunction};
use super::{MAX_TEXT_BYTES, ObjectSummary, PerfMapNames, Symbol};

/// For one call, however many offsets it holds.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Offsets in one message: bounds the length of an answer.
const OFFSETS_PER_MESSAGE: usize = 2048;

/// Why a file could not be read through the worker.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileWorkerError {
    /// The child could not be started, or could not lock itself in.
    #[error("the file worker did not start: {0}")]
    NotStarted(String),
    /// It was killed by the file, also by the second try.
    #[error("the file worker died of the file{}", how_it_ended(*.0))]
    Died(Option<ExitStatus>),
    /// It took too long and was killed.
    #[error("the file worker took longer than {0:?} and was killed")]
    TimedOut(Duration),
    /// The file cannot be read as what it was taken for.
    #[error("{0}")]
    Refused(String),
    /// The worker answered what was not asked; it was killed.
    #[error("the file worker gave a senseless answer and was killed")]
    Senseless,
}

/// A child process that parses targets' files.
///
/// One worker serves one file at a time. What it says about one file could be
/// forged by another that took it over: a worker for each target keeps targets apart.
pub struct FileWorker {
    command: Box<dyn Fn() -> Command + Send>,
    timeout: Duration,
    running: Option<Running>,
    /// What was said of files: a child process maps what its parent maps.
    inspected: HashMap<FileVersion, ObjectSummary>,
}

/// Device, inode, size, and times of change of content and inode: another
/// content under the same ones is not to be had.
type FileVersion = (u64, u64, u64, (i64, i64), (i64, i64));

/// Summaries kept; a process maps some tens of files.
const INSPECTED_MAX: usize = 1024;

fn version_of(file: &File) -> Option<FileVersion> {
    let it = file.metadata().ok()?;
    let changed = (it.ctime(), it.ctime_nsec());
    Some((
        it.dev(),
        it.ino(),
        it.size(),
        (it.mtime(), it.mtime_nsec()),
        changed,
    ))
}

impl FileWorker {
    /// Starts this same binary as a worker. Its `main` must call
    /// [`super::worker::run_if_asked`] first.
    ///
    /// # Errors
    /// [`FileWorkerError::NotStarted`].
    pub fn start() -> Result<Self, FileWorkerError> {
        Self::with_command(|| {
            let mut command = Command::new("/proc/self/exe");
            command.arg0("memtrace");
            command
        })
    }

    /// Starts the worker by another command, which gets [`SUBCOMMAND`] as its
    /// next argument and the socket as standard input.
    ///
    /// # Errors
    /// [`FileWorkerError::NotStarted`].
    pub fn with_command(
        command: impl Fn() -> Command + Send + 'static,
    ) -> Result<Self, FileWorkerError> {
        let mut worker = Self {
            command: Box::new(command),
            timeout: CALL_TIMEOUT,
            running: None,
            inspected: HashMap::new(),
        };
        worker.running()?;
        Ok(worker)
    }

    /// Sets how long a call may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Process id of the child, while there is one.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.process.id())
    }

    /// Ends the child if it holds more than so many resident bytes: large programs leave much
    /// behind in it. The next call starts another.
    pub fn rest_above(&mut self, bytes: u64) {
        let resident = |id| {
            procfs::process::Process::new(i32::try_from(id).ok()?)
                .ok()?
                .statm()
                .ok()
        };
        let pages = self
            .id()
            .and_then(resident)
            .map_or(0, |statm| statm.resident);
        if pages.saturating_mul(procfs::page_size()) > bytes {
            self.stop();
        }
    }

    /// What an ELF object is, see [`super::elf::inspect`].
    ///
    /// # Errors
    /// See [`FileWorkerError`]; the worker can be used again after any.
    pub fn inspect(&mut self, file: &File) -> Result<ObjectSummary, FileWorkerError> {
        let version = version_of(file);
        if let Some(summary) = version.and_then(|version| self.inspected.get(&version)) {
            return Ok(summary.clone());
        }
        match self.call(&Request::Inspect, file, self.deadline())? {
            Answer::Object(summary) => {
                if let Some(version) = version
                    && self.inspected.len() < INSPECTED_MAX
                {
                    self.inspected.insert(version, summary.clone());
                }
                Ok(summary)
            }
            _ => Err(self.senseless()),
        }
    }

    /// What names the unwind table that a file gives: the same for the same
    /// code and unwind information, whatever the file is called.
    ///
    /// # Errors
    /// See [`FileWorkerError`]; the worker can be used again after any.
    pub fn unwind_digest(&mut self, file: &File) -> Result<String, FileWorkerError> {
        match self.call(&Request::UnwindDigest, file, self.deadline())? {
            Answer::Digest(digest)
                if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                Ok(digest)
            }
            _ => Err(self.senseless()),
        }
    }

    /// The unwind table of a file, see [`super::elf::unwind_table`].
    ///
    /// # Errors
    /// See [`FileWorkerError`]; the worker can be used again after any.
    pub fn unwind_table(&mut self, file: &File) -> Result<UnwindTable, FileWorkerError> {
        match self.call(&Request::UnwindTable, file, self.deadline())? {
            Answer::UnwindTable(table) => match UnwindTable::from_bytes(&table) {
                Some(table) => Ok(table),
                None => Err(self.senseless()),
            },
            _ => Err(self.senseless()),
        }
    }

    /// The functions that hold each of these file offsets, innermost first; an
    /// empty list where none is known. See [`super::elf::Object::symbolize`].
    ///
    /// # Errors
    /// See [`FileWorkerError`]; the worker can be used again after any.
    pub fn symbolize(
        &mut self,
        file: &File,
        offsets: &[u64],
    ) -> Result<Vec<Vec<Symbol>>, FileWorkerError> {
        self.symbols(file, offsets, Request::Symbolize)
    }

    /// The same from the object's separate debug file, which knows addresses
    /// only: they are asked of the object. Empty lists for what has none.
    ///
    /// # Errors
    /// See [`FileWorkerError`]; the worker can be used again after any.
    pub fn symbolize_by(
        &mut self,
        debug_file: &File,
        file: &File,
        offsets: &[u64],
    ) -> Result<Vec<Vec<Symbol>>, FileWorkerError> {
        let deadline = self.deadline();
        let mut addresses = Vec::with_capacity(offsets.len());
        for some in offsets.chunks(OFFSETS_PER_MESSAGE) {
            match self.call(&Request::Addresses(some.to_vec()), file, deadline)? {
                Answer::Addresses(found) if found.len() == some.len() => addresses.extend(found),
                _ => return Err(self.senseless()),
            }
        }
        // No code stands at the last address of all.
        let known: Vec<u64> = (addresses.into_iter())
            .map(|address| address.unwrap_or(u64::MAX))
            .collect();
        self.symbols(debug_file, &known, Request::SymbolizeAddresses)
    }

    fn symbols(
        &mut self,
        file: &File,
        numbers: &[u64],
        request: impl Fn(Vec<u64>) -> Request,
    ) -> Result<Vec<Vec<Symbol>>, FileWorkerError> {
        let deadline = self.deadline();
        let mut symbols = Vec::with_capacity(numbers.len());
        for some in numbers.chunks(OFFSETS_PER_MESSAGE) {
            match self.call(&request(some.to_vec()), file, deadline)? {
                Answer::Symbols(found)
                    if found.len() == some.len() && found.iter().all(|found| is_bounded(found)) =>
                {
                    symbols.extend(found);
                }
                _ => return Err(self.senseless()),
            }
        }
        Ok(symbols)
    }

    /// The names of these addresses in a perf map, see [`super::perf_map`].
    /// The whole map is read in each call: ask for all addresses at once.
    ///
    /// # Errors
    /// See [`FileWorkerError`]; the worker can be used again after any.
    pub fn perf_map(
        &mut self,
        file: &File,
        addresses: &[u64],
    ) -> Result<PerfMapNames, FileWorkerError> {
        let request = Request::PerfMap(addresses.to_vec());
        match self.call(&request, file, self.deadline())? {
            Answer::Names(names)
                if names.names.len() == addresses.len() && names.names.iter().all(is_short) =>
            {
                Ok(names)
            }
            _ => Err(self.senseless()),
        }
    }

    /// What is known of functions of V8's that were seen on stacks of a process,
    /// whose memory `file` is, and which is always given the same number: see [`super::v8::describe`].
    ///
    /// # Errors
    /// See [`FileWorkerError`]; the worker can be used again after any.
    pub fn functions(
        &mut self,
        file: &File,
        process: u32,
        layout: &Layout,
        functions: Vec<SeenFunction>,
    ) -> Result<Vec<Option<Described>>, FileWorkerError> {
        let count = functions.len();
        let request = Request::Functions(process, layout.clone(), functions);
        match self.call(&request, file, self.deadline())? {
            Answer::Functions(described) if described.len() == count => Ok(described),
            _ => Err(self.senseless()),
        }
    }

    /// Where the lines of a script end, see [`super::v8::line_ends`].
    ///
    /// # Errors
    /// See [`FileWorkerError`]; the worker can be used again after any.
    pub fn script_lines(
        &mut self,
        file: &File,
        process: u32,
        layout: &Layout,
        script: &Script,
    ) -> Result<Option<ScriptLines>, FileWorkerError> {
        let request = Request::ScriptLines(process, layout.clone(), script.clone());
        match self.call(&request, file, self.deadline())? {
            Answer::ScriptLines(lines) => Ok(lines),
            _ => Err(self.senseless()),
        }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    fn senseless(&mut self) -> FileWorkerError {
        self.stop();
        FileWorkerError::Senseless
    }

    /// Asks, and asks a new worker once more if the first one died: it may have
    /// been killed from outside, or by a file that was just being replaced.
    fn call(
        &mut self,
        request: &Request,
        file: &File,
        deadline: Instant,
    ) -> Result<Answer, FileWorkerError> {
        let mut is_retry = false;
        loop {
            let outcome = exchange(self.running()?, request, file.as_fd(), deadline);
            match outcome {
                Ok(Answer::Refused(reason)) => return Err(FileWorkerError::Refused(reason)),
                Ok(answer) => return Ok(answer),
                Err(Failure::Senseless) => return Err(self.senseless()),
                Err(Failure::TimedOut) => {
                    self.stop();
                    return Err(FileWorkerError::TimedOut(self.timeout));
                }
                Err(Failure::Died) => {
                    let ended = self.stop();
                    if is_retry {
                        return Err(FileWorkerError::Died(ended));
                    }
                    is_retry = true;
                }
            }
        }
    }

    fn running(&mut self) -> Result<&mut Running, FileWorkerError> {
        let running = match self.running.take() {
            Some(running) => running,
            None => Running::start((self.command)())?,
        };
        Ok(self.running.insert(running))
    }

    /// Ends the worker, and tells how it ended: by itself, or by this.
    fn stop(&mut self) -> Option<ExitStatus> {
        self.running.take().and_then(Running::stop)
    }
}

impl Drop for FileWorker {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A worker that was taken over may exceed what the parsers keep to.
fn is_bounded(symbols: &[Symbol]) -> bool {
    symbols.len() <= MAX_SYMBOLS_PER_OFFSET
        && symbols
            .iter()
            .all(|symbol| is_short(&symbol.function) && is_short(&symbol.file))
}

fn is_short(text: &Option<String>) -> bool {
    text.as_ref()
        .is_none_or(|text| text.len() <= MAX_TEXT_BYTES)
}
