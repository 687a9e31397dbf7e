//! `memtrace diff BEFORE AFTER`: what grew between two recordings.

use std::process::ExitCode;

use anyhow::Context as _;

use super::{arguments, gate, outcome, printer::Printer};
use crate::{
    analyze::diff,
    render::{
        diff::{json, picture},
        html,
    },
    store,
};

pub fn run(arguments: &arguments::Diff, printer: &Printer) -> anyhow::Result<ExitCode> {
    let read = |path: &std::path::Path| {
        store::read_recording(path).with_context(|| path.display().to_string())
    };
    let (before, after) = (read(&arguments.before)?, read(&arguments.after)?);
    let difference = diff::compare(&before, &after)?;
    let output = outcome::output_dir(arguments.output.as_deref(), "diff", std::process::id())?;
    let results = "the results could not all be written";
    let written = [
        output.write("diff.html", |file| {
            html::difference::write(&difference, file)
        }),
        output.write("diff.svg", |file| picture::write_svg(&difference, file)),
        output.write("diff.folded", |file| {
            picture::write_folded(&difference, file)
        }),
        output.write("diff.json", |file| json::write(&difference, file)),
    ];
    printer.difference(&difference);
    for path in written {
        printer.say(&format!("wrote {}", path.context(results)?.display()));
    }
    Ok(gate::check_difference(&arguments.gate, &difference, printer).into())
}
