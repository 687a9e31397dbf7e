//! `memtrace unwind-table FILE…`: builds the files' unwind tables and tells of
//! each how large it is and how long it took, for benchmarks.

use std::{fs::File, process::ExitCode, time::Instant};

use anyhow::Context as _;

use super::{arguments, printer::Printer};
use crate::{render::names::sanitize, symbolize::FileWorker};

pub fn run(arguments: &arguments::UnwindTable, printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut worker = FileWorker::start()?;
    for path in &arguments.files {
        let name = path.display().to_string();
        let file = File::open(path).with_context(|| name.clone())?;
        let started = Instant::now();
        let table = worker.unwind_table(&file).with_context(|| name.clone())?;
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        let text = format!(
            "{} rows, {} left out, {:.1} KiB, {milliseconds:.1} ms: {}\n",
            table.rows.len(),
            table.left_out,
            (table.rows.len() * 4 + table.pages.len() * 8) as f64 / 1024.0,
            sanitize(&name),
        );
        printer.text(text.as_bytes());
    }
    Ok(ExitCode::SUCCESS)
}
