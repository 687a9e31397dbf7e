//! `memtrace report RECORDING`: the same outputs again, on any machine.

use std::process::ExitCode;

use super::{arguments, outcome, printer::Printer};
use crate::store;

pub fn run(arguments: &arguments::Report, printer: &Printer) -> anyhow::Result<ExitCode> {
    let report = store::read_recording(&arguments.recording)?;
    let output = outcome::output_dir(arguments.output.as_deref(), "memtrace-report")?;
    outcome::deliver(&report, &output, printer, false)?;
    Ok(ExitCode::SUCCESS)
}
