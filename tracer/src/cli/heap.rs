//! `memtrace heap -p PID`: one look at a process's heap.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use flate2::{Compression, write::ZlibEncoder};

use super::{arguments, outcome, printer::Printer};
use crate::{
    collect::heap::{Look, Looked, look},
    render::heap_map,
};

pub fn run(arguments: &arguments::Heap, printer: &Printer) -> anyhow::Result<ExitCode> {
    let how = Look {
        freeze: arguments.freeze,
        record: arguments.record.is_some(),
        ..Look::default()
    };
    let Looked {
        heap, recording, ..
    } = look(arguments.pid, how)?;
    let mut written = Vec::new();
    if let Some(path) = &arguments.output {
        let picture = heap_map::svg(&heap);
        written.push(
            outcome::write_file(path, |file| file.write_all(picture.as_bytes()))
                .context("the picture has no place to go")?,
        );
    }
    if let (Some(path), Some(recording)) = (&arguments.record, recording) {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&recording.to_bytes())?;
        let packed = packed.finish()?;
        written.push(
            outcome::write_file(path, |file| file.write_all(&packed))
                .context("the recording has no place to go")?,
        );
    }
    if arguments.json {
        let mut text = serde_json::to_vec_pretty(&heap)?;
        text.push(b'\n');
        printer.text(&text);
    } else {
        printer.heap(&heap);
    }
    for path in written {
        printer.say(&format!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}
