//! The heaps of a trace's processes: looked at from time to time by a thread of
//! its own, and once more as the trace ends.

use std::{
    collections::{BTreeMap, HashMap},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    client::HeapWorkerError,
    look::{Look, LookError, Looked, look},
};
use crate::{
    collect::{CollectError, clock, timeline::Timeline},
    heap::WalkError,
    model::{
        heap::{Heap, PartlyUsed},
        trace_heap::Moment,
    },
};

/// Between two looks, at least: as long as the trace has lasted, within these.
const PERIOD_FIRST: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(5);
/// So many times as long as a look took is waited for the next one: it is to take
/// no more than a fiftieth of a processor.
const REST: u32 = 50;
/// Processes that are looked at.
const PROCESSES_MAX: usize = 8;
/// Pages that are told of one by one: 4 GiB that are pinned.
const PAGES_MAX: usize = 1 << 20;

const ENDED: &str = "It ended before the trace did.";

/// A process that has a glibc.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Its number in the trace.
    pub space: u32,
    /// Its pid.
    pub pid: u32,
    /// It has another allocator too, and may use that alone.
    pub has_others: bool,
}

/// One look of the thread's: at which process, when, and what it found.
type Found = (Process, u64, Result<Heap, LookError>);

/// What is known of the heaps of a trace.
#[derive(Default)]
pub struct Heaps {
    running: Option<JoinHandle<(Vec<Found>, Duration)>>,
    next: Option<Instant>,
    known: BTreeMap<u32, Known>,
}

/// What is known of one.
#[derive(Default)]
pub struct Known {
    /// The last look.
    pub last: Option<Heap>,
    /// Why there is none, or no later one.
    pub why_not: Option<String>,
    /// There will never be one.
    is_hopeless: bool,
    timeline: Timeline<Moment>,
}

impl Heaps {
    /// Takes in what was found; has the processes looked at if it is time.
    pub fn tick(&mut self, processes: impl Iterator<Item = Process>, start: clock::Moment) {
        if self.running.as_ref().is_some_and(|it| !it.is_finished()) {
            return;
        }
        self.take_in(start);
        let now = Instant::now();
        if self.next.is_some_and(|next| now < next) {
            return;
        }
        let due = self.of_interest(processes);
        if due.is_empty() {
            return;
        }
        let looks = move || {
            let started = Instant::now();
            let of = |it: Process| (it, clock::Moment::now().monotonic_ns, seen(it.pid));
            let found = due.into_iter().map(of).collect();
            (found, started.elapsed())
        };
        let thread = thread::Builder::new().name("heaps".to_owned()).spawn(looks);
        // Without it there are no moments but the last.
        self.running = thread.ok();
    }

    /// The last look, now: the pages that are partly in use, by process.
    pub fn finish(
        &mut self,
        processes: impl Iterator<Item = Process>,
        start: clock::Moment,
    ) -> HashMap<u32, PartlyUsed> {
        self.take_in(start);
        let how = Look {
            partly_used_max: PAGES_MAX,
            ..Look::default()
        };
        let mut pages = HashMap::new();
        for known in self.known.values_mut().filter(|it| !it.is_hopeless) {
            known.why_not = Some(ENDED.to_owned());
        }
        for process in self.of_interest(processes) {
            let now = clock::Moment::now().monotonic_ns;
            let found = look(process.pid, how).map(
                |Looked {
                     heap, partly_used, ..
                 }| {
                    pages.insert(process.space, partly_used);
                    heap
                },
            );
            self.take((process, now, found), start);
        }
        pages
    }

    /// What is known of each process.
    pub fn known(self) -> BTreeMap<u32, Known> {
        self.known
    }

    /// Those that can be looked at, with a note for those that are too many.
    fn of_interest(&mut self, processes: impl Iterator<Item = Process>) -> Vec<Process> {
        let mut due = Vec::new();
        for process in processes {
            let known = self.known.entry(process.space).or_default();
            if known.is_hopeless {
                continue;
            }
            if due.len() < PROCESSES_MAX {
                due.push(process);
            } else {
                let why = format!("{PROCESSES_MAX} processes were looked at before it.");
                known.why_not = Some(why);
            }
        }
        due
    }

    fn take_in(&mut self, start: clock::Moment) {
        let Some(thread) = self.running.take() else {
            return;
        };
        let (found, took) = thread.join().unwrap_or_default();
        for found in found {
            self.take(found, start);
        }
        let lasted = Duration::from_millis(start.mark().into());
        let period = lasted.clamp(PERIOD_FIRST, PERIOD);
        self.next = Some(Instant::now() + period.max(took * REST));
    }

    fn take(&mut self, (process, time, found): Found, start: clock::Moment) {
        let known = self.known.entry(process.space).or_default();
        match found {
            Ok(heap) => {
                let seconds = time.saturating_sub(start.monotonic_ns) as f64 / 1e9;
                known.add(seconds, &heap);
                known.last = Some(heap);
                known.why_not = None;
            }
            Err(LookError::Collect(CollectError::Gone(_))) => {
                known.why_not = Some(ENDED.to_owned());
            }
            Err(LookError::Worker(HeapWorkerError::Refused(
                WalkError::Unused | WalkError::NoArena,
            ))) if process.has_others => known.why_not = None,
            Err(error) => {
                known.is_hopeless = matches!(error, LookError::NoGlibc(_));
                known.why_not = Some(format!("{error}."));
            }
        }
    }
}

fn seen(pid: u32) -> Result<Heap, LookError> {
    look(pid, Look::default()).map(|looked| looked.heap)
}

impl Known {
    /// The heap from time to time; the last one is the newest.
    pub fn timeline(&self) -> Vec<Moment> {
        self.timeline.moments()
    }

    fn add(&mut self, seconds: f64, heap: &Heap) {
        self.timeline.add(Moment {
            seconds,
            split: heap.split,
            trimmable_bytes: heap.trimmable_bytes(),
            is_clean: heap.walked.quality.is_clean,
        });
    }
}
