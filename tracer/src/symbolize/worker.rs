//! The file worker: the unprivileged child in which targets' files are parsed.
//!
//! The binary starts itself again with the hidden subcommand [`SUBCOMMAND`] and
//! a socket as standard input. The child gives up what it has (`sandbox`),
//! then answers one request after the other until the socket closes. A file
//! that kills it costs a restart, which is the parent's work
//! ([`super::FileWorker`]).

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use thiserror::Error;

use super::elf::{self, ElfError, Object, Unpacked};
use super::mapping::{FileState, Mapping};
use super::perf_map;
use super::protocol::{Answer, Request, receive_request, send_answer};
use super::sandbox::{self, SandboxError};
use super::v8::{self, MemoryFile, Types};
use super::{MAX_FILE_BYTES, PerfMapNames};

/// First argument of the child. `main` looks for it before anything else.
pub const SUBCOMMAND: &str = "file-worker";

/// A request that takes longer ends the worker, also when the parent is gone.
const SECONDS_PER_REQUEST: u32 = 60;
/// Objects kept open between requests, the latest used last.
const MAX_OBJECTS: usize = 16;

/// Why the worker ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The sandbox is not complete; nothing was read.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The socket broke, or there is none: the subcommand was called by hand.
    #[error("the file worker lost its parent")]
    Socket(#[from] io::Error),
}

/// Runs the worker if this process was started as one; `main` then returns
/// what this gives. To be called before any thread is started.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    run_as(SUBCOMMAND, run)
}

/// Runs what this process was started for, if it was for that.
pub(crate) fn run_as<E>(subcommand: &str, run: impl FnOnce() -> Result<(), E>) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let asked = arguments.next().is_some_and(|first| first == subcommand);
    asked.then(|| match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_told_to_the_parent) => ExitCode::FAILURE,
    })
}

/// Answers requests from the socket on standard input until it closes.
///
/// # Errors
/// See [`WorkerError`].
pub fn run() -> Result<(), WorkerError> {
    sandbox::close_inherited_files();
    // Only a help to whoever lists processes; started by a link, it is `exe`.
    let _unnamed = rustix::thread::set_name(c"memtrace-files");
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    if let Err(error) = sandbox::enter() {
        let reason = with_causes(&error);
        send_answer(&socket, &Answer::Refused(reason))?;
        return Err(error.into());
    }
    send_answer(&socket, &Answer::Ready)?;
    let mut objects = Objects::default();
    let mut heaps = Heaps::default();
    while let Some((request, file)) = receive_request(&socket)? {
        sandbox::end_after(SECONDS_PER_REQUEST);
        let answer = answer(&mut objects, &mut heaps, &request, file)
            .unwrap_or_else(|refusal| Answer::Refused(with_causes(&refusal)));
        match send_answer(&socket, &answer) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                let reason = "its names are too long for one answer".to_owned();
                send_answer(&socket, &Answer::Refused(reason))?;
            }
            sent => sent?,
        }
        sandbox::end_after(0);
    }
    Ok(())
}

/// Why a file was not read; the sentence goes to the parent.
#[derive(Debug, Error)]
enum Refusal {
    #[error("the request brought no file")]
    NoFile,
    #[error("it is {0} bytes long, more than {MAX_FILE_BYTES}")]
    TooLarge(u64),
    #[error("it cannot be read")]
    Unreadable(#[from] io::Error),
    #[error(transparent)]
    NotAnObject(#[from] ElfError),
}

impl From<rustix::io::Errno> for Refusal {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Unreadable(error.into())
    }
}

fn answer(
    objects: &mut Objects,
    heaps: &mut Heaps,
    request: &Request,
    file: Option<OwnedFd>,
) -> Result<Answer, Refusal> {
    let file = file.ok_or(Refusal::NoFile)?;
    match request {
        Request::Inspect => {
            let mapping = map(&file, FileState::of(&file)?)?;
            Ok(Answer::Object(elf::inspect(mapping.bytes())?))
        }
        Request::UnwindDigest => {
            let mapping = map(&file, FileState::of(&file)?)?;
            Ok(Answer::Digest(elf::unwind_digest(mapping.bytes())?))
        }
        Request::UnwindTable => {
            let mapping = map(&file, FileState::of(&file)?)?;
            let table = elf::unwind_table(mapping.bytes())?;
            Ok(Answer::UnwindTable(table.to_bytes()))
        }
        Request::Symbolize(offsets) => {
            let found = objects.each(&file, offsets, |object, number| object.symbolize(number))?;
            Ok(Answer::Symbols(found))
        }
        Request::Addresses(offsets) => {
            let found = objects.each(&file, offsets, |object, number| object.address_of(number))?;
            Ok(Answer::Addresses(found))
        }
        Request::SymbolizeAddresses(addresses) => {
            let found = objects.each(&file, addresses, |object, number| {
                object.symbolize_address(number)
            })?;
            Ok(Answer::Symbols(found))
        }
        Request::PerfMap(addresses) => Ok(Answer::Names(perf_map_names(&file.into(), addresses)?)),
        Request::Functions(process, layout, functions) => {
            let (memory, types) = (File::from(file), heaps.of(*process));
            let memory = MemoryFile::new(&memory);
            let described = functions
                .iter()
                .map(|it| v8::describe(&memory, layout, types, it));
            Ok(Answer::Functions(described.collect()))
        }
        Request::ScriptLines(process, layout, script) => {
            let (memory, types) = (File::from(file), heaps.of(*process));
            let lines = v8::line_ends(&MemoryFile::new(&memory), layout, types, script);
            Ok(Answer::ScriptLines(lines))
        }
    }
}

fn map(file: &OwnedFd, state: FileState) -> Result<Mapping, Refusal> {
    if state.length > MAX_FILE_BYTES {
        return Err(Refusal::TooLarge(state.length));
    }
    Ok(Mapping::new(file, state.length)?)
}

/// Read, not mapped: it is being written, and begun anew by the target's successor.
fn perf_map_names(file: &File, addresses: &[u64]) -> io::Result<PerfMapNames> {
    const PIECE_BYTES: usize = 1 << 20;
    let mut map = Vec::new();
    // By position: the parent's descriptor shares its offset with this one.
    while (map.len() as u64) <= perf_map::MAX_BYTES {
        let before = map.len();
        map.resize(before + PIECE_BYTES, 0);
        let read = file.read_at(&mut map[before..], before as u64)?;
        map.truncate(before + read);
        if read == 0 {
            break;
        }
    }
    let truncated = map.len() as u64 > perf_map::MAX_BYTES;
    if truncated {
        map.truncate(perf_map::MAX_BYTES as usize);
    }
    Ok(PerfMapNames {
        names: perf_map::parse(&map, addresses),
        truncated,
    })
}

/// A mapped file, and what was compressed in it.
struct Loaded {
    mapping: Mapping,
    unpacked: Unpacked,
}

self_cell::self_cell!(
    /// A mapped file and what was read out of it.
    struct OpenObject {
        owner: Loaded,
        #[not_covariant]
        dependent: Object,
    }
);

/// The objects lately asked for. Sorting the symbols of a large one costs
/// far more than a look-up.
#[derive(Default)]
struct Objects {
    opened: Vec<(FileState, OpenObject)>,
}

impl Objects {
    /// What an object says of each of these numbers.
    fn each<T>(
        &mut self,
        file: &OwnedFd,
        numbers: &[u64],
        tell: impl Fn(&Object<'_>, u64) -> T,
    ) -> Result<Vec<T>, Refusal> {
        let opened = self.open(file)?;
        Ok(opened.with_dependent(|_, object| {
            numbers.iter().map(|&number| tell(object, number)).collect()
        }))
    }

    fn open(&mut self, file: &OwnedFd) -> Result<&OpenObject, Refusal> {
        let state = FileState::of(file)?;
        let known = self.opened.iter().position(|(known, _)| *known == state);
        let opened = match known {
            Some(index) => self.opened.remove(index),
            None => {
                self.make_room(state.length);
                let mapping = map(file, state)?;
                let unpacked = Unpacked::of(mapping.bytes());
                let object = OpenObject::try_new(Loaded { mapping, unpacked }, |loaded| {
                    Object::parse(loaded.mapping.bytes(), &loaded.unpacked)
                })?;
                (state, object)
            }
        };
        self.opened.push(opened);
        let (_, object) = &self.opened[self.opened.len() - 1];
        Ok(object)
    }

    /// Lets go of the longest unused until a file of this length fits.
    fn make_room(&mut self, length: u64) {
        let mut mapped: u64 = self.opened.iter().map(|(state, _)| state.length).sum();
        while !self.opened.is_empty()
            && (self.opened.len() >= MAX_OBJECTS || mapped.saturating_add(length) > MAX_FILE_BYTES)
        {
            mapped -= self.opened.remove(0).0.length;
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// What is known of V8's heaps, by process.
#[derive(Default)]
struct Heaps(HashMap<u32, Types>);

/// Processes of which something is known.
const MAX_HEAPS: usize = 256;

impl Heaps {
    fn of(&mut self, process: u32) -> &Types {
        if self.0.len() >= MAX_HEAPS && !self.0.contains_key(&process) {
            self.0.clear();
        }
        self.0.entry(process).or_default()
    }
}
