//! The `memtrace` binary.

fn main() -> std::process::ExitCode {
    tracer::cli::main()
}
