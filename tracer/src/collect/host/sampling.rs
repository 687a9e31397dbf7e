//! The sampled page faults as lines take them in.

use std::time::{Duration, Instant};

use super::{
    faulted::{Fault, FaultSource},
    faults::Faults,
};
use crate::{
    collect::CollectError,
    model::Frame,
    probe::{FaultLimits, KernelTypes},
};

/// For how long names are looked up after each take; what comes after has none yet.
const NAMING_PATIENCE: Duration = Duration::from_millis(500);

/// Sampling that is on, and what it took lately.
pub struct Sampling {
    faults: Faults,
    named_until: Instant,
    /// When cost was last read, what it was then, and the share that it came to since.
    before: (Instant, u64),
    cost: f64,
    /// Times that it could not be read.
    failures: u64,
}

impl Sampling {
    /// Begins to sample.
    ///
    /// # Errors
    /// Where the kernel does not allow it; its text says what does not.
    pub fn start() -> Result<Self, CollectError> {
        let types = KernelTypes::of_this_kernel()?;
        Ok(Self {
            faults: Faults::start(&types, FaultLimits::default())?,
            named_until: Instant::now(),
            before: (Instant::now(), 0),
            cost: 0.0,
            failures: 0,
        })
    }
}

impl FaultSource for Sampling {
    fn take(&mut self) -> Vec<Fault> {
        let taken = self.faults.take().unwrap_or_else(|_| {
            self.failures += 1;
            Vec::new()
        });
        self.named_until = Instant::now() + NAMING_PATIENCE;
        let (then, ns) = self.before;
        let (now, now_ns) = (Instant::now(), self.faults.cost().ns());
        let passed = now.duration_since(then).as_nanos().max(1) as f64;
        self.cost = now_ns.saturating_sub(ns) as f64 / passed;
        self.before = (now, now_ns);
        let own = taken.into_iter().filter(|it| it.bytes > 0);
        own.map(|it| Fault {
            pid: it.pid,
            start_time: it.start_time,
            stack: it.stack,
            bytes: it.bytes,
            samples: it.samples,
        })
        .collect()
    }

    fn frames(&mut self, stack: u64) -> Vec<Frame> {
        let frames = self.faults.frames_until(stack, Some(self.named_until));
        frames.map(<[Frame]>::to_vec).unwrap_or_default()
    }

    fn losses(&self) -> Vec<(String, u64)> {
        let mut losses: Vec<(String, u64)> = self.faults.losses().into_iter().collect();
        if self.failures > 0 {
            let what = "times that page fault samples could not be read";
            losses.push((what.to_owned(), self.failures));
        }
        losses
    }

    fn notes(&self) -> Vec<String> {
        self.faults.notes()
    }

    fn map_bytes(&self) -> u64 {
        self.faults.map_bytes()
    }

    fn cost(&self) -> f64 {
        self.cost
    }
}
