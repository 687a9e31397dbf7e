//! Starts a heap worker, hands it its job, and answers it until it is done.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

use super::protocol::{self, Job, Outcome, Question, Reply, SHARED_BYTES, SUBCOMMAND};
use super::source::Source;
use crate::{
    heap::{WalkError, image::Image},
    model::heap::{PartlyUsed, Walked},
    probe::remote_memory::SharedMemory,
};

/// Between two questions: the walk over a window takes a millisecond.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeapWorkerError {
    /// The child could not be started, or could not lock itself in.
    #[error("the heap worker did not start: {0}")]
    NotStarted(String),
    /// It died, or said what makes no sense; it was killed then.
    #[error("the heap worker failed ({0})")]
    Failed(io::Error, Option<ExitStatus>),
    /// There is no heap to tell of.
    #[error(transparent)]
    Refused(#[from] WalkError),
}

/// A heap, and what reading it cost.
pub struct Done {
    pub walked: Walked,
    /// What was read, if it was to be recorded.
    pub recording: Option<Image>,
    pub partly_used: PartlyUsed,
    pub copied_bytes: u64,
    /// The worker's memory at most, its window and program included.
    pub worker_bytes: u64,
    pub time: Duration,
}

/// Ends the child when the walk ends, however that is.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        let _already_dead = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Walks a process's heap in a worker.
pub fn walk(pid: u32, job: &Job, record: bool) -> Result<Done, HeapWorkerError> {
    let not_started = |error: io::Error| HeapWorkerError::NotStarted(error.to_string());
    let (file, shared) = SharedMemory::create(SHARED_BYTES).map_err(not_started)?;
    let mut source = Source::open(pid, shared).map_err(not_started)?;
    source.recording = record.then(|| Image::new(job.version, job.mappings.clone()));
    let (mut socket, childs) = UnixStream::pair().map_err(not_started)?;
    for limit in [UnixStream::set_read_timeout, UnixStream::set_write_timeout] {
        limit(&socket, Some(ANSWER_TIMEOUT)).map_err(not_started)?;
    }
    // Both on one processor: they take turns, and what one copied the other finds
    // in that processor's cache (0.27 s a GiB, against 0.35–0.5 on two).
    let _together = OneProcessor::here();
    let child = Command::new("/proc/self/exe")
        .arg0("memtrace")
        .arg(SUBCOMMAND)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(childs)))
        .stdout(Stdio::from(file))
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(not_started)?;
    let mut worker = Worker(child);
    let started = Instant::now();
    let id = worker.0.id();
    let served = serve(&mut socket, &mut source, job, id);
    let (outcome, worker_bytes) = served
        .map_err(|error| HeapWorkerError::Failed(error, worker.0.try_wait().ok().flatten()))?;
    match outcome {
        Outcome::Walked(walked) => {
            let (walked, partly_used) = *walked;
            Ok(Done {
                walked,
                partly_used,
                recording: source.recording.take(),
                copied_bytes: source.copied_bytes,
                worker_bytes,
                time: started.elapsed(),
            })
        }
        Outcome::Refused(refusal) => Err(refusal.into()),
        Outcome::NoSandbox(reason) => Err(HeapWorkerError::NotStarted(reason)),
    }
}

/// Keeps this thread, and what it starts, where it is; until dropped.
struct OneProcessor(Option<CpuSet>);

impl OneProcessor {
    fn here() -> Self {
        let before = sched_getaffinity(None).ok();
        let mut here = CpuSet::new();
        here.set(sched_getcpu());
        // It is only faster so.
        let _elsewhere = sched_setaffinity(None, &here);
        Self(before)
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _elsewhere = sched_setaffinity(None, before);
        }
    }
}

fn serve(
    socket: &mut UnixStream,
    source: &mut Source,
    job: &Job,
    worker: u32,
) -> io::Result<(Outcome, u64)> {
    protocol::send(socket, job)?;
    loop {
        match Question::receive(socket)? {
            Question::Done => {
                // It waits for the answer: its memory is still there.
                let bytes = peak_bytes(worker);
                Reply::Here.send(socket)?;
                return Ok((protocol::receive(socket)?, bytes));
            }
            question => source.answer(question).send(socket)?,
        }
    }
}

/// `VmHWM` of a process.
fn peak_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number
        .and_then(|it| it.trim().parse::<u64>().ok())
        .map_or(0, |kilobytes| kilobytes << 10)
}
