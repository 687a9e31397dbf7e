//! `memtrace floor`: empty programs at malloc's entry and return and at free,
//! until standard input closes: what remains of the cost is the traps'. Or one
//! that takes a stack at the return. Or an empty one at the host's sends alone.

use std::process::ExitCode;

use super::{
    arguments,
    attach::{claim_ready, say_ready},
};
use crate::{collect, probe::ProgramName};

pub fn run(arguments: &arguments::Floor) -> anyhow::Result<ExitCode> {
    let ready = claim_ready(Some(arguments.ready_fd))?;
    let at_return = match arguments.stack {
        None => ProgramName::EmptyReturn,
        Some(arguments::FloorStack::Kernel) => ProgramName::KernelStack,
        Some(arguments::FloorStack::Exact) => ProgramName::ExactStack,
    };
    // The command line has either the process or `--sends`.
    let attached = match arguments.pid {
        Some(pid) => collect::attach_floor(pid, at_return)?,
        None => collect::attach_floor_of_sends()?,
    };
    say_ready(ready);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    drop(attached);
    Ok(ExitCode::SUCCESS)
}
