//! The command line: arguments become one validated configuration, which is
//! run. The only place that prints.

mod arguments;
mod attach;
mod demo;
mod doctor;
mod floor;
mod outcome;
mod printer;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};
use printer::Printer;

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printer = Printer::new();
    let result = match arguments.command {
        Some(Command::Run(run)) => run::run(&run, &printer),
        Some(Command::Report(report)) => report::run(&report, &printer),
        Some(Command::Demo(demo)) => demo::run(&demo, &printer),
        Some(Command::Doctor) => doctor::run(&printer),
        Some(Command::Floor(floor)) => floor::run(&floor),
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
