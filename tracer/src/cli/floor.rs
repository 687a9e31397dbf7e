//! `memtrace floor`: empty programs at malloc's entry and return and at free,
//! until standard input closes. What remains of the cost is the traps'.

use std::process::ExitCode;

use super::{
    arguments,
    attach::{claim_ready, say_ready},
};
use crate::collect;

pub fn run(arguments: &arguments::Floor) -> anyhow::Result<ExitCode> {
    let ready = claim_ready(Some(arguments.ready_fd))?;
    let attached = collect::attach_floor(arguments.pid)?;
    say_ready(ready);
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    drop(attached);
    Ok(ExitCode::SUCCESS)
}
