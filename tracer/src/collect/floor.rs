//! The floor of what tracing costs, for benchmarks.

use tracer_common::{function::Function, source::Source};

use super::{
    CollectError, allocator,
    mappings::Mappings,
    space::{TABLE_PATIENCE, no_allocator},
    tables::Tables,
};
use crate::{
    probe::{Kernel, KernelTypes, Limits, Point, ProgramName},
    symbolize::FileWorker,
};

/// Attaches empty programs where a trace of malloc and free has its own, with
/// this one at malloc's return. They go when the result is dropped.
pub fn attach_floor(pid: u32, at_return: ProgramName) -> Result<Kernel, CollectError> {
    let limits = Limits::default();
    let mut kernel = Kernel::load(&KernelTypes::of_this_kernel()?, &limits, true)?;
    let mut mappings = Mappings::default();
    mappings.refresh(pid, 0)?;
    let found = allocator::find(mappings.current(), &mut FileWorker::start()?)?;
    if at_return == ProgramName::ExactStack {
        let mut tables = Tables::new(&limits.unwind);
        tables.ask(mappings.current());
        tables.settle(&mut kernel, TABLE_PATIENCE)?;
        tables.tell(&mut kernel, 1, &mappings, found.v8.as_deref())?;
    }
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
    kernel.attach(at_return, file, &malloc, pid)?;
    kernel.attach(
        ProgramName::EmptyEntry,
        file,
        &[malloc, allocator.frees.clone()].concat(),
        pid,
    )?;
    Ok(kernel)
}

/// Attaches an empty program where every process of the host sends (Linux 6.5), and
/// nothing else. It goes when the result is dropped.
pub fn attach_floor_of_sends() -> Result<Kernel, CollectError> {
    let mut kernel = Kernel::load(&KernelTypes::of_this_kernel()?, &Limits::default(), true)?;
    kernel.attach_floor_of_sends()?;
    Ok(kernel)
}
