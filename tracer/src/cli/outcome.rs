//! What every trace ends with: files, the report on the terminal, a status.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::printer::Printer;
use crate::{
    collect::{
        host::{SUMMARY_FILE, Summary},
        utc_now,
    },
    model::Report,
    store::{OutputDir, Owner, default_name, recording},
};

/// Makes the directory for the results, before anything is traced.
pub fn output_dir(wanted: Option<&Path>, command: &str, pid: u32) -> anyhow::Result<OutputDir> {
    let path = wanted.map_or_else(|| default_name(command, pid, &utc_now()), Path::to_path_buf);
    OutputDir::create(&path, owner()).context("the results have no place to go")
}

/// The user behind sudo owns the results.
pub fn owner() -> Option<Owner> {
    Owner::behind_sudo(rustix::process::geteuid().as_raw(), |name| {
        std::env::var(name).ok()
    })
}

/// Writes one file where the user wants it, as safely as those of a directory.
pub fn write_file(
    path: &Path,
    render: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> anyhow::Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.context("it has no name, or one that is not UTF-8")?;
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let output = OutputDir::create(directory, owner())?;
    Ok(output.write(name, render)?)
}

/// Writes what `memtrace host` wants of a closer look. The summary comes last: where it is, the
/// recording is whole.
pub fn deliver_to_host(report: &Report, output: &OutputDir) -> anyhow::Result<()> {
    output.write("recording.memtrace", |file| recording::write(report, file))?;
    output.write(SUMMARY_FILE, |file| {
        Ok(serde_json::to_writer(file, &Summary::of(report))?)
    })?;
    Ok(())
}

/// Writes the files and prints the report.
pub fn deliver(
    report: &Report,
    output: &OutputDir,
    printer: &Printer,
    beside: bool,
) -> anyhow::Result<()> {
    let written = output.write_all(report);
    printer.report(report, beside);
    for path in written.context("the results could not all be written")? {
        printer.say(&format!("wrote {}", path.display()));
    }
    Ok(())
}
