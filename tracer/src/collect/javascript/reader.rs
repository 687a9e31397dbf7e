//! The thread that takes functions in and has them named.

use std::{
    collections::{BTreeMap, hash_map::Entry},
    fs::File,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tracer_common::javascript::{FunctionSeen, Runtime};

use super::{CollectError, Known, Shared, V8, lock};
use crate::symbolize::{
    FileWorker,
    v8::{Described, Script, SeenFunction},
};

/// Functions that are asked for together.
const BATCH: usize = 64;
/// How long reading may go on after the trace has ended.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// Scripts whose lines are kept.
const SCRIPTS_MAX: usize = 16_384;
/// When what was not found is looked for again.
const AGAIN_AFTER: [Duration; 3] = [
    Duration::from_millis(3),
    Duration::from_millis(15),
    Duration::from_millis(75),
];
/// Functions that wait for that, of 1.1 KB each.
const WAITING_MAX: usize = 4096;

/// Starts it; it ends, with all taken in, when `stop` can be read.
pub fn start(
    ring: RingBuf<MapData>,
    stop: OwnedFd,
    shared: Arc<Mutex<Shared>>,
) -> Result<JoinHandle<()>, CollectError> {
    let worker = FileWorker::start()?;
    let mut reader = Reader {
        ring,
        worker,
        shared,
        waiting: Vec::new(),
    };
    thread::Builder::new()
        .name("javascript".to_owned())
        .spawn(move || reader.run(&stop))
        .map_err(|source| CollectError::System {
            what: "a thread",
            source,
        })
}

struct Reader {
    ring: RingBuf<MapData>,
    worker: FileWorker,
    shared: Arc<Mutex<Shared>>,
    waiting: Vec<Waiting>,
}

/// A function that is looked at again.
struct Waiting {
    due: Instant,
    /// How often that was done before.
    tries: usize,
    seen: FunctionSeen,
}

/// What is needed of a process to name its functions.
struct Asked {
    v8: Arc<V8>,
    memory: File,
    runtime: Runtime,
}

impl Reader {
    fn run(&mut self, stop: &OwnedFd) {
        loop {
            let mut waiting = [
                PollFd::from_borrowed_fd(self.ring.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN),
            ];
            let polled = poll(&mut waiting, self.until_next().as_ref());
            let is_over = !waiting[1].revents().is_empty();
            let deadline = is_over.then(|| Instant::now() + LAST_WORDS);
            while self.take_in() {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    let failure = "the last ones were too many to read in time";
                    lock(&self.shared).failure = Some(failure.to_owned());
                    return;
                }
            }
            self.look_again(is_over);
            match polled {
                Ok(_) | Err(rustix::io::Errno::INTR) if !is_over => {}
                _ => return,
            }
        }
    }

    /// Takes in some functions; whether there were any.
    fn take_in(&mut self) -> bool {
        let mut batches: BTreeMap<u32, Vec<FunctionSeen>> = BTreeMap::new();
        for _ in 0..BATCH {
            let Some(item) = self.ring.next() else { break };
            if let Some(seen) = read(&item) {
                batches.entry(seen.space as u32).or_default().push(seen);
            }
        }
        let has_some = !batches.is_empty();
        for (space, seen) in batches {
            self.take(space, &seen, 0);
        }
        has_some
    }

    /// Looks again at what is due; at the end at all.
    fn look_again(&mut self, is_over: bool) {
        let now = Instant::now();
        let due: Vec<_> = (self.waiting)
            .extract_if(.., |it| is_over || it.due <= now)
            .collect();
        for it in due {
            let tries = if is_over { AGAIN_AFTER.len() } else { it.tries };
            self.take(it.seen.space as u32, &[it.seen], tries);
        }
    }

    fn until_next(&self) -> Option<Timespec> {
        let next = self.waiting.iter().map(|it| it.due).min()?;
        let left = next.saturating_duration_since(Instant::now());
        Timespec::try_from(left).ok()
    }

    fn take(&mut self, space: u32, seen: &[FunctionSeen], tries: usize) {
        if let Err(error) = self.name(space, seen, tries) {
            lock(&self.shared).failure = Some(error.to_string());
        }
    }

    fn name(
        &mut self,
        space: u32,
        seen: &[FunctionSeen],
        tries: usize,
    ) -> Result<(), CollectError> {
        let Some(asked) = self.process(space)? else {
            return Ok(());
        };
        let functions: Vec<_> = (seen.iter())
            .map(|seen| SeenFunction::new(seen, asked.runtime.is_builtin(seen.slots.code)))
            .collect();
        let described =
            (self.worker).functions(&asked.memory, space, &asked.v8.layout, functions)?;
        for script in described.iter().flatten().flat_map(scripts_of) {
            self.read_script(space, script, &asked)?;
        }
        let mut shared = lock(&self.shared);
        for (seen, mut described) in seen.iter().zip(described) {
            if let Some(described) = &mut described {
                shared.keep(&mut described.positions);
                let again = AGAIN_AFTER.get(tries);
                let again = again.filter(|_| described.is_incomplete());
                if let Some(after) = again
                    && self.waiting.len() < WAITING_MAX
                {
                    self.waiting.push(Waiting {
                        due: Instant::now() + *after,
                        tries: tries + 1,
                        seen: *seen,
                    });
                }
            }
            let known = Known {
                identity: seen.identity,
                code: seen.slots.code,
                described,
            };
            match shared.functions.entry(seen.identity.key(space)) {
                Entry::Vacant(new) => {
                    new.insert(known);
                }
                // Of two functions with one key neither is known.
                Entry::Occupied(mut other) if other.get().identity != known.identity => {
                    other.get_mut().described = None;
                }
                Entry::Occupied(mut before) if before.get().lacks_what_is_in(&known) => {
                    before.insert(known);
                }
                Entry::Occupied(_) => {}
            }
        }
        Ok(())
    }

    fn process(&self, space: u32) -> Result<Option<Asked>, CollectError> {
        let shared = lock(&self.shared);
        let Some(process) = shared.processes.get(&space) else {
            return Ok(None);
        };
        let memory = match &process.memory {
            Some(memory) => memory.try_clone(),
            // It has ended; what was copied is all there is.
            None => File::open("/dev/null"),
        };
        let memory = memory.map_err(|source| CollectError::System {
            what: "a file",
            source,
        })?;
        Ok(Some(Asked {
            v8: Arc::clone(&process.v8),
            memory,
            runtime: process.runtime,
        }))
    }

    fn read_script(
        &mut self,
        space: u32,
        script: &Script,
        asked: &Asked,
    ) -> Result<(), CollectError> {
        let key = (space, script.clone());
        let mut shared = lock(&self.shared);
        if shared.scripts.contains_key(&key) {
            return Ok(());
        }
        if shared.scripts.len() >= SCRIPTS_MAX {
            let failure = format!("functions of more than {SCRIPTS_MAX} scripts have no lines");
            shared.failure = Some(failure);
            return Ok(());
        }
        drop(shared);
        let layout = &asked.v8.layout;
        let mut lines = (self.worker).script_lines(&asked.memory, space, layout, script)?;
        let mut shared = lock(&self.shared);
        if let Some(lines) = &mut lines {
            shared.keep(&mut lines.ends);
        }
        shared.scripts.insert(key, lines);
        Ok(())
    }
}

fn scripts_of(described: &Described) -> impl Iterator<Item = &Script> {
    described.frames.iter().filter_map(|it| it.script.as_ref())
}

/// An element of the ring buffer.
fn read(item: &[u8]) -> Option<FunctionSeen> {
    if item.len() < size_of::<FunctionSeen>() {
        return None;
    }
    // SAFETY: long enough, and made of integers only.
    Some(unsafe { item.as_ptr().cast::<FunctionSeen>().read_unaligned() })
}
