//! The command line: arguments become one validated configuration, which is
//! run. The only place that prints.

mod arguments;
mod attach;
mod demo;
mod diff;
mod doctor;
mod faults;
mod floor;
mod gate;
mod heap;
mod host;
mod host_query;
mod manual;
mod outcome;
mod printer;
mod report;
mod run;
mod sockets;
mod unwind_table;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use printer::Printer;

use crate::{collect::heap as heap_look, probe::canary, symbolize::worker};

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = become_child() {
        return code;
    }
    let arguments = Arguments::parse();
    let printer = Printer::new();
    let result = match arguments.command {
        Some(Command::Run(run)) => run::run(&run, &printer),
        Some(Command::Heap(heap)) => heap::run(&heap, &printer),
        Some(Command::Sockets(sockets)) => sockets::run(&sockets, &printer),
        Some(Command::Host(host)) => host::run(*host, &printer),
        Some(Command::Report(report)) => report::run(&report, &printer),
        Some(Command::Diff(diff)) => diff::run(&diff, &printer),
        Some(Command::Demo(demo)) => demo::run(&demo, &printer),
        Some(Command::Doctor) => doctor::run(&printer),
        Some(Command::Completions { shell }) => manual::completions(shell, &printer),
        Some(Command::Manual) => manual::page(&printer),
        Some(Command::Floor(floor)) => floor::run(&floor),
        Some(Command::Faults(faults)) => faults::run(&faults, &printer),
        Some(Command::UnwindTable(files)) => unwind_table::run(&files, &printer),
        None => attach::run(&arguments.attach, &printer),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            printer.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// The children that memtrace starts of itself.
fn become_child() -> Option<ExitCode> {
    let children = [
        worker::run_if_asked,
        heap_look::run_if_asked,
        heap_look::guard_if_asked,
    ];
    if let Some(code) = children.into_iter().find_map(|run_if_asked| run_if_asked()) {
        return Some(code);
    }
    match std::env::args().nth(1)?.as_str() {
        canary::SUBCOMMAND => Some(canary::child_main()),
        demo::SUBCOMMAND => Some(demo::leaky_main()),
        _ => None,
    }
}
