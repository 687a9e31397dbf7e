//! The probes of one allocator, in the two groups that come and go by themselves.

use std::sync::Arc;

use tracer_common::function::Function;

use crate::{
    collect::{
        CollectError,
        allocator::{self, Allocator},
        mappings::MappedFile,
    },
    probe::{Group, Kernel, Point, ProgramName},
};

/// Which groups of probes are to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// What frees, and realloc.
    pub frees: bool,
    /// What only allocates.
    pub allocations: bool,
}

impl Wanted {
    /// Both.
    pub const ALL: Self = Self {
        frees: true,
        allocations: true,
    };
}

/// Where the probes of an allocator go in one process.
pub struct AllocatorProbes {
    /// The process.
    pub pid: u32,
    file: Arc<MappedFile>,
    frees: Vec<Point>,
    /// Entries and returns of what resizes a block: it may free one, and a failed call
    /// gives it back.
    resizing: Vec<Point>,
    entries: Vec<Point>,
    returns: Vec<Point>,
    exits: Vec<Point>,
}

impl AllocatorProbes {
    /// Of an allocator that was found.
    pub fn of(allocator: &Allocator, pid: u32) -> Self {
        let resizes = |point: &&Point| Function::from_cookie(point.cookie).resizes();
        let others = |points: &[Point]| -> Vec<Point> {
            let others = points.iter().filter(|it| !resizes(it));
            others.copied().collect()
        };
        Self {
            pid,
            file: Arc::clone(&allocator.file),
            frees: allocator.frees.clone(),
            resizing: allocator.entries.iter().filter(resizes).copied().collect(),
            entries: others(&allocator.entries),
            returns: others(&allocator.returns),
            exits: allocator.exits.clone(),
        }
    }

    /// Puts those in that are wanted.
    pub fn attach(&self, kernel: &mut Kernel, wanted: Wanted) -> Result<(), CollectError> {
        let file = allocator::open_file(&self.file, self.pid)?;
        let mut attach =
            |group, name, points: &[Point]| kernel.attach_in(group, name, file, points, self.pid);
        // Returns first: an entry whose return has no probe would be lost.
        if wanted.allocations {
            attach(Group::Allocations, ProgramName::Return, &self.returns)?;
            attach(Group::Allocations, ProgramName::Exit, &self.exits)?;
        }
        if wanted.frees {
            attach(Group::Frees, ProgramName::Return, &self.resizing)?;
            attach(Group::Frees, ProgramName::Entry, &self.resizing)?;
        }
        if wanted.allocations {
            attach(Group::Allocations, ProgramName::Entry, &self.entries)?;
        }
        if wanted.frees {
            attach(Group::Frees, ProgramName::Free, &self.frees)?;
        }
        Ok(())
    }
}
