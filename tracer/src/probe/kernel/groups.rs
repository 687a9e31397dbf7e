//! Uprobes in place, in groups that come and go by themselves.

use std::{fs::File, thread};

use super::Kernel;
use crate::probe::{Attached, Point, ProbeError, ProgramName, attach};

/// Threads that take a group of probes away.
const RELEASERS: usize = 8;

/// Uprobes that come and go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// They stay until the trace ends.
    Always,
    /// What frees, and what frees and allocates at once (realloc).
    Frees,
    /// What allocates only.
    Allocations,
}

/// Uprobes at their place.
pub struct Placed {
    pid: u32,
    group: Group,
    _attached: Attached,
}

impl Kernel {
    /// Attaches a program at places of a file, for one process.
    pub fn attach(
        &mut self,
        name: ProgramName,
        file: &File,
        points: &[Point],
        pid: u32,
    ) -> Result<(), ProbeError> {
        self.attach_in(Group::Always, name, file, points, pid)
    }

    /// The same as one of a group, which may go before the trace ends.
    pub fn attach_in(
        &mut self,
        group: Group,
        name: ProgramName,
        file: &File,
        points: &[Point],
        pid: u32,
    ) -> Result<(), ProbeError> {
        if !points.is_empty() {
            let attached = attach::attach(&mut self.programs, name, file, points, pid)?;
            self.attached.push(Placed {
                pid,
                group,
                _attached: attached,
            });
        }
        Ok(())
    }

    /// Takes the uprobes of one process away, behind the caller's back: each
    /// link waits for the kernel's grace period.
    pub fn release(&mut self, pid: u32) {
        self.releasing.retain(|thread| !thread.is_finished());
        let of_it = self.attached.extract_if(.., |it| it.pid == pid);
        let of_it: Vec<Placed> = of_it.collect();
        if !of_it.is_empty() {
            self.releasing.push(thread::spawn(move || drop(of_it)));
        }
    }

    /// Takes a group of uprobes away, behind the caller's back, all at once: their
    /// breakpoints go within milliseconds, then each link waits for a grace period.
    pub fn let_go(&mut self, group: Group) {
        self.releasing.retain(|thread| !thread.is_finished());
        let of_group: Vec<Placed> = (self.attached)
            .extract_if(.., |it| it.group == group)
            .collect();
        let mut parts: Vec<Vec<Placed>> = Vec::new();
        for (index, placed) in of_group.into_iter().enumerate() {
            match parts.get_mut(index % RELEASERS) {
                Some(part) => part.push(placed),
                None => parts.push(vec![placed]),
            }
        }
        let release = |part: Vec<Placed>| thread::spawn(move || drop(part));
        self.releasing.extend(parts.into_iter().map(release));
    }

    /// Whether probes are still on their way out.
    pub fn is_releasing(&mut self) -> bool {
        self.releasing.retain(|thread| !thread.is_finished());
        !self.releasing.is_empty()
    }

    /// Takes all uprobes away; returns when no program runs any more.
    pub fn detach(&mut self) {
        self.attached.clear();
        for thread in self.releasing.drain(..) {
            // It only drops what it has.
            let _ = thread.join();
        }
    }
}
