//! `memtrace heap -p PID`: one look at a process's heap.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use super::{arguments, printer::Printer};
use crate::{
    collect::heap::{Look, look},
    model::heap::Heap,
    render::heap_map,
    store::OutputDir,
};

pub fn run(arguments: &arguments::Heap, printer: &Printer) -> anyhow::Result<ExitCode> {
    let how = Look {
        freeze: arguments.freeze,
    };
    let heap = look(arguments.pid, how)?;
    let mut written = None;
    if let Some(path) = &arguments.output {
        written = Some(write(path, &heap).context("the picture has no place to go")?);
    }
    if arguments.json {
        let mut text = serde_json::to_vec_pretty(&heap)?;
        text.push(b'\n');
        printer.text(&text);
    } else {
        printer.heap(&heap);
    }
    if let Some(path) = written {
        printer.say(&format!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, heap: &Heap) -> anyhow::Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.context("it has no name, or one that is not UTF-8")?;
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let output = OutputDir::create(directory, super::outcome::owner())?;
    Ok(output.write_one(name, heap_map::svg(heap).as_bytes())?)
}
