//! `memtrace doctor`: what this kernel and these rights allow.

use std::process::ExitCode;

use super::printer::Printer;
use crate::probe::features::{State, examine};

pub fn run(printer: &Printer) -> anyhow::Result<ExitCode> {
    let checks = examine();
    printer.checks(&checks);
    let works = checks.iter().all(|check| check.state != State::Missing);
    Ok(if works {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
