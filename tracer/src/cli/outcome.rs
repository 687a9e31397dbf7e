//! What every trace ends with: files, the report on the terminal, a status.

use std::path::Path;

use anyhow::Context as _;

use super::printer::Printer;
use crate::{
    model::Report,
    store::{OutputDir, Owner},
};

/// Makes the directory for the results, before anything is traced.
pub fn output_dir(wanted: Option<&Path>, command: &str, pid: Option<u32>) -> anyhow::Result<OutputDir> {
    let name = crate::store::default_name(command, pid, std::time::SystemTime::now());
    let path = wanted.unwrap_or(Path::new(&name));
    OutputDir::create(path, Owner::invoking()).context("the results have no place to go")
}

/// Writes the files and prints the report.
pub fn deliver(report: &Report, output: &OutputDir, printer: &Printer, beside: bool) -> anyhow::Result<()> {
    let written = output.write_all(report);
    printer.report(report, beside);
    for path in written.context("the results could not all be written")? {
        printer.say(&format!("wrote {}", path.display()));
    }
    Ok(())
}
