//! Building unwind tables away from the trace: threads that each have a file
//! worker of their own.

use std::{
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{
    store::TableCache,
    symbolize::{FileWorker, FileWorkerError, unwind_table::UnwindTable},
};

/// Threads: a large program maps tens of files, of which few are large.
const THREADS_MAX: usize = 4;

/// A file worker that had nothing to do for so long ends: what it read stays in its memory.
const REST_AFTER: Duration = Duration::from_secs(5);

/// A file whose table is wanted.
struct Job {
    identity: (u64, u64),
    file: File,
}

/// What came of it: the table, or why there is none.
pub struct Built {
    /// Device and inode.
    pub identity: (u64, u64),
    /// The table.
    pub table: Result<UnwindTable, FileWorkerError>,
}

/// The threads; they end with this.
pub struct Builders {
    /// `None` once they are to end.
    jobs: Option<Sender<Job>>,
    waiting: Arc<Mutex<Receiver<Job>>>,
    sender: Sender<Built>,
    results: Receiver<Built>,
    threads: Vec<JoinHandle<()>>,
    threads_max: usize,
    unfinished: usize,
}

impl Default for Builders {
    fn default() -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        Self::of_threads(processors.min(THREADS_MAX))
    }
}

impl Builders {
    /// So many threads at most.
    pub fn of_threads(threads_max: usize) -> Self {
        let (jobs, waiting) = mpsc::channel();
        let (sender, results) = mpsc::channel();
        Self {
            jobs: Some(jobs),
            waiting: Arc::new(Mutex::new(waiting)),
            sender,
            results,
            threads: Vec::new(),
            threads_max,
            unfinished: 0,
        }
    }

    /// Asks for the table of a file.
    pub fn ask(&mut self, identity: (u64, u64), file: File) {
        self.unfinished += 1;
        if self.threads.len() < self.threads_max {
            let (jobs, results) = (Arc::clone(&self.waiting), self.sender.clone());
            self.threads
                .push(thread::spawn(move || work(&jobs, &results)));
        }
        if let Some(jobs) = &self.jobs {
            // The receiver lives as long as `self`.
            let _ = jobs.send(Job { identity, file });
        }
    }

    /// The next table that is done; `None` if none is within `patience`.
    pub fn next(&mut self, patience: Duration) -> Option<Built> {
        if self.unfinished == 0 {
            return None;
        }
        let built = self.results.recv_timeout(patience).ok()?;
        self.unfinished -= 1;
        Some(built)
    }
}

impl Drop for Builders {
    /// Waits, so that no file worker stays behind.
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, results: &Sender<Built>) {
    let mut worker = None;
    let cache = TableCache::open();
    loop {
        let waiting = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = waiting.recv_timeout(REST_AFTER);
        drop(waiting);
        let Job { identity, file } = match job {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                worker = None;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let table = build(&mut worker, cache.as_ref(), &file);
        if results.send(Built { identity, table }).is_err() {
            return;
        }
    }
}

fn build(
    worker: &mut Option<FileWorker>,
    cache: Option<&TableCache>,
    file: &File,
) -> Result<UnwindTable, FileWorkerError> {
    let worker = match worker {
        Some(worker) => worker,
        None => worker.insert(FileWorker::start()?),
    };
    let Some(cache) = cache else {
        return worker.unwind_table(file);
    };
    let digest = worker.unwind_digest(file)?;
    if let Some(table) = cache.get(&digest) {
        return Ok(table);
    }
    let table = worker.unwind_table(file)?;
    cache.put(&digest, &table);
    Ok(table)
}
