//! memtrace's workshop: `cargo xtask ebpf` builds and checks the eBPF object,
//! `cargo xtask bench` measures what tracing costs.

mod bench;
mod ebpf;
mod record;
mod toolchain;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "memtrace's workshop")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the eBPF object from source, for committing.
    Ebpf {
        /// Build it beside the committed one instead, into
        /// target/ebpf/checked.bpf.o, and fail if the committed one is stale.
        #[arg(long)]
        check: bool,
    },
    /// Measure what tracing costs, as root, and write docs/bench.md.
    Bench {
        /// Only these: pair, threads, node, daemon, memory, latency. Writes nothing.
        names: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Ebpf { check: false } => ebpf::build(),
        Command::Ebpf { check: true } => ebpf::check(),
        Command::Bench { names } => bench::run(&ebpf::root()?, &names),
    }
}
