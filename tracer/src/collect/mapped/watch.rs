//! Watching the mapping calls of all targets of a trace.

use std::{
    fs,
    time::{Duration, Instant},
};

use aya::maps::{MapData, RingBuf};
use tracer_common::{counter::Counter, mapping::MappingEvent};

use super::Origin;
use crate::{
    collect::{CollectError, Session, clock::Moment, space::Space},
    probe::{Kernel, count_of},
};

/// Events of different processors come up to this long after later ones.
const DISORDER: Duration = Duration::from_millis(20);
/// Calls of our own that are timed without and with the tracepoints.
const TIMED_CALLS: u32 = 4000;
const ROUNDS: u32 = 5;

/// The events of a trace on their way to the intervals.
pub struct Watch {
    ring: RingBuf<MapData>,
    /// Not applied yet: earlier ones may come.
    waiting: Vec<MappingEvent>,
    dropped: u64,
    /// How many have been taken in.
    pub events: u64,
    /// What it costs others, ns a system call.
    pub bystander_ns: f64,
}

impl Watch {
    /// Attaches the tracepoints, and measures what they cost.
    pub fn start(kernel: &mut Kernel) -> Result<Self, CollectError> {
        let ring = kernel.take_mapping_events()?;
        let before = nanoseconds_a_call();
        kernel.attach_mappings()?;
        let after = nanoseconds_a_call();
        Ok(Self {
            ring,
            waiting: Vec::new(),
            dropped: 0,
            events: 0,
            bystander_ns: (after - before).max(0.0).round(),
        })
    }

    /// Takes what the kernel side has told, and gives out what is due: nothing
    /// earlier than it can come any more.
    fn due(&mut self, now: Moment, is_last: bool) -> Vec<MappingEvent> {
        while let Some(item) = self.ring.next() {
            self.waiting.extend(read(&item));
        }
        self.waiting.sort_by_key(|event| event.time);
        let limit = match is_last {
            true => u64::MAX,
            false => (now.monotonic_ns).saturating_sub(DISORDER.as_nanos() as u64),
        };
        let due = self.waiting.partition_point(|event| event.time <= limit);
        self.events += due as u64;
        self.waiting.drain(..due).collect()
    }
}

fn read(bytes: &[u8]) -> Option<MappingEvent> {
    let long = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some(MappingEvent {
        time: long(0)?,
        start: long(8)?,
        length: long(16)?,
        site: long(24)?,
        space: word(32)?,
        kind: word(36)?,
        protection: word(40)?,
        flags: word(44)?,
        thread: word(48)?,
        reserved: 0,
    })
}

/// The fastest of some rounds: what else runs only makes it slower.
fn nanoseconds_a_call() -> f64 {
    let round = || {
        let start = Instant::now();
        for _ in 0..TIMED_CALLS {
            let _ = rustix::process::getppid();
        }
        start.elapsed().as_nanos() as f64 / f64::from(TIMED_CALLS)
    };
    (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min)
}

impl Session {
    /// Takes in what the targets did to their mappings.
    pub(in crate::collect) fn follow_mapped(&mut self, is_last: bool) -> Result<(), CollectError> {
        // Before the events: one that is counted as dropped later comes to light then.
        let dropped = match &self.watch {
            Some(_) => count_of(&self.kernel.counts()?, Counter::MappingDropped).calls,
            None => return Ok(()),
        };
        let Some(watch) = &mut self.watch else {
            return Ok(());
        };
        let events = watch.due(Moment::now(), is_last);
        let has_dropped = dropped != watch.dropped;
        watch.dropped = dropped;
        for event in events {
            let is_it = |space: &&mut Space| space.id == event.space;
            if let Some(space) = self.spaces.iter_mut().find(is_it) {
                space.mapped.apply(&event);
            }
        }
        for space in &mut self.spaces {
            if has_dropped || is_last || space.mapped.is_unclear {
                compare(space, Origin::Unseen);
            }
        }
        Ok(())
    }
}

/// Compares what is known of a process's mappings with what is there.
pub fn compare(space: &mut Space, origin: Origin) {
    if let Some(target) = &space.target
        && let Ok(text) = fs::read(format!("/proc/{}/maps", target.pid))
        // Of a process that has just ended.
        && !text.is_empty()
    {
        space.mapped.compare(&text, origin);
    }
}
