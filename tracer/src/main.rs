//! The `memtrace` binary.

use std::process::ExitCode;

use tracer::symbolize::worker;

fn main() -> ExitCode {
    if let Some(code) = worker::run_if_asked() {
        return code;
    }
    ExitCode::SUCCESS
}
