//! `memtrace doctor`: what this kernel and these rights allow, and which of
//! the running processes can be traced.

use std::process::ExitCode;

use super::printer::Printer;
use crate::{
    collect::coverage,
    probe::features::{State, examine},
};

/// How many processes are told of.
const PROCESSES: usize = 12;

pub fn run(printer: &Printer) -> anyhow::Result<ExitCode> {
    let checks = examine();
    printer.checks(&checks);
    let works = checks.iter().all(|check| check.state != State::Missing);
    if !works {
        return Ok(ExitCode::FAILURE);
    }
    let is_safe = |name| {
        checks
            .iter()
            .any(|it| it.name == name && it.state == State::Good)
    };
    let seccomp_safe = is_safe(crate::probe::features::RETURN_PROBES_UNDER_SECCOMP);
    printer.coverage(&coverage(PROCESSES, seccomp_safe)?);
    Ok(ExitCode::SUCCESS)
}
