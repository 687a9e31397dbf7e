//! JavaScript heaps in a trace: probes where V8 allocates, looks at what of its
//! heap is resident, and what came of both.

mod pages;
mod report;
mod resident;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

pub use report::of;

use super::{
    CollectError, Session,
    allocator::{self, Found},
    clock::Moment,
    timeline::Timeline,
};
use crate::{
    model::javascript_heap::HeapMoment,
    probe::{Kernel, ProgramName},
};

/// Between two looks at least so many times as long as the last one took.
const REST: u32 = 100;
/// And at most so long: growth is judged by these looks, and a busy machine makes them slow.
const REST_MAX: Duration = Duration::from_secs(2);

/// What is known of the JavaScript heaps of a trace's processes.
#[derive(Default)]
pub struct JavascriptHeaps {
    /// By address space.
    timelines: HashMap<u32, Timeline<HeapMoment>>,
    next: Option<Instant>,
}

impl JavascriptHeaps {
    /// Looks at how much is resident, if it is time: of address spaces with their pids.
    fn tick(&mut self, processes: impl Iterator<Item = (u32, u32)>, start: Moment, is_last: bool) {
        let began = Instant::now();
        if !is_last && self.next.is_some_and(|next| began < next) {
            return;
        }
        for (space, pid) in processes {
            // One that is gone keeps what was seen of it.
            let Ok(moment) = resident::look(pid) else {
                continue;
            };
            let ns = (Moment::now().monotonic_ns).saturating_sub(start.monotonic_ns);
            self.timelines.entry(space).or_default().add(HeapMoment {
                seconds: ns as f64 / 1e9,
                ..moment
            });
        }
        let rest = began.elapsed().saturating_mul(REST).min(REST_MAX);
        self.next = Some(began + rest);
    }

    fn timeline(&self, space: u32) -> Vec<HeapMoment> {
        (self.timelines.get(&space)).map_or(Vec::new(), Timeline::moments)
    }
}

/// Whether this kernel can take the stacks: before Linux 5.17 they would have no names
/// of functions.
fn takes_stacks(kernel: &Kernel) -> bool {
    kernel.tells_functions()
}

impl Session {
    /// Puts probes where the V8 of a process allocates.
    pub(super) fn attach_javascript_heap(
        &mut self,
        found: &Found,
        pid: u32,
    ) -> Result<(), CollectError> {
        let Some((v8, points)) = &found.javascript_heap else {
            return Ok(());
        };
        if self.javascript_heaps.is_none() {
            return Ok(());
        }
        if let Some(gap) = found.unsampled_javascript() {
            self.note_once(format!("JavaScript heap: {gap}."));
            return Ok(());
        }
        if !takes_stacks(&self.kernel) {
            self.note_once("This kernel has no bpf_loop (Linux 5.17): which JavaScript functions allocate in V8's heap is not told.".to_owned());
            return Ok(());
        }
        if self.javascript_probed.insert((pid, v8.identity)) {
            let file = allocator::open_file(v8, pid)?;
            (self.kernel).attach(ProgramName::JavascriptHeap, file, points, pid)?;
        }
        Ok(())
    }

    /// Has the JavaScript heaps looked at if it is time.
    pub(super) fn look_at_javascript_heaps(&mut self, is_last: bool) {
        if let Some(heaps) = &mut self.javascript_heaps {
            let with_v8 = self.spaces.iter().filter(|space| space.v8.is_some());
            let processes = with_v8.filter_map(|space| Some((space.id, space.pid()?)));
            heaps.tick(processes, self.start, is_last);
        }
    }
}
