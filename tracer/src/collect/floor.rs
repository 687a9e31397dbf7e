//! The floor of what tracing costs, for benchmarks.

use tracer_common::{function::Function, source::Source};

use super::{CollectError, allocator, mappings::Mappings, space::no_allocator};
use crate::{
    probe::{Kernel, Limits, Point, ProgramName},
    symbolize::FileWorker,
};

/// Attaches empty programs where a trace of malloc and free has its own. They
/// go when the result is dropped.
pub fn attach_floor(pid: u32) -> Result<Kernel, CollectError> {
    let mut kernel = Kernel::load(&Limits::default(), true)?;
    let mut mappings = Mappings::default();
    mappings.refresh(pid, 0)?;
    let found = allocator::find(mappings.current(), &mut FileWorker::start()?)?;
    let allocator = found
        .allocators
        .first()
        .ok_or_else(|| no_allocator(pid, &found))?;
    let file = allocator::open_file(&allocator.file, pid)?;
    let malloc: Vec<Point> = allocator
        .entries
        .iter()
        .filter(|point| Function::from_cookie(point.cookie).source() == Source::Malloc as u32)
        .copied()
        .collect();
    kernel.attach(ProgramName::EmptyReturn, file, &malloc, pid)?;
    kernel.attach(
        ProgramName::EmptyEntry,
        file,
        &[malloc, allocator.frees.clone()].concat(),
        pid,
    )?;
    Ok(kernel)
}
