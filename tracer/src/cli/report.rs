//! `memtrace report RECORDING`: the same outputs again, on any machine; with
//! `--format` one of them, to a file or a pipe.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::{
    arguments::{self, Format, Picture},
    gate, outcome,
    printer::Printer,
};
use crate::{
    model::Report,
    render::{flamegraph, folded, html, json, pprof},
    store,
};

pub fn run(arguments: &arguments::Report, printer: &Printer) -> anyhow::Result<ExitCode> {
    if let Some(format) = arguments.format {
        return one(arguments, format, printer);
    }
    let report = store::read_recording(&arguments.recording)?;
    let output = outcome::output_dir(arguments.output.as_deref(), "report", std::process::id())?;
    outcome::deliver(&report, &output, printer, false)?;
    Ok(gate::check(&arguments.gate, None, &report, printer).into())
}

fn one(
    arguments: &arguments::Report,
    format: Format,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    if arguments.which.is_some() && !matches!(format, Format::Svg | Format::Folded) {
        bail!("--which chooses among flame graphs: use it with --format svg or folded");
    }
    let to_terminal = arguments.output.is_none() && io::stdout().is_terminal();
    if format == Format::Pprof && to_terminal {
        bail!("a pprof profile is no text: give -o profile.pb.gz, or send it through a pipe");
    }
    let report = store::read_recording(&arguments.recording)?;
    let which = arguments.which.unwrap_or_default();
    match &arguments.output {
        Some(path) => {
            let written = outcome::write_file(path, |file| render(&report, format, which, file));
            let written = written.context("the result has no place to go")?;
            printer.say(&format!("wrote {}", written.display()));
        }
        None => printer
            .file(|out| render(&report, format, which, out))
            .context("the result could not be written to standard output")?,
    }
    Ok(gate::check(&arguments.gate, None, &report, printer).into())
}

fn render(
    report: &Report,
    format: Format,
    which: Picture,
    mut to: &mut dyn Write,
) -> io::Result<()> {
    match (format, which) {
        (Format::Html, _) => html::write(report, to),
        (Format::Json, _) => json::write(report, to),
        (Format::Pprof, _) => pprof::write(report, to),
        (Format::Folded, Picture::Live) => folded::write(report, &mut to),
        (Format::Folded, Picture::Leak) => folded::write_leak(report, &mut to),
        (Format::Folded, Picture::Fragmentation) => folded::write_fragmentation(report, &mut to),
        (Format::Folded, Picture::Mappings) => folded::write_mappings(report, &mut to),
        (Format::Folded, Picture::Javascript) => folded::write_javascript(report, &mut to),
        (Format::Folded, Picture::Sockets) => folded::write_sockets(report, &mut to),
        (Format::Svg, Picture::Live) => flamegraph::write(report, to),
        (Format::Svg, Picture::Leak) => flamegraph::write_leak(report, to),
        (Format::Svg, Picture::Fragmentation) => flamegraph::write_fragmentation(report, to),
        (Format::Svg, Picture::Mappings) => flamegraph::write_mappings(report, to),
        (Format::Svg, Picture::Javascript) => flamegraph::write_javascript(report, to),
        (Format::Svg, Picture::Sockets) => flamegraph::write_sockets(report, to),
    }
}
