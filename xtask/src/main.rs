//! memtrace's workshop: `cargo xtask ebpf` builds and checks the eBPF object,
//! `cargo xtask bench` measures what tracing costs, `cargo xtask vm` runs a
//! command on another kernel, `cargo xtask libc` gets other C libraries,
//! `cargo xtask corpus` judges the verdicts on programs with a known answer,
//! `cargo xtask soak` runs the daemon for an hour beside a busy host.

mod bench;
mod corpus;
mod ebpf;
mod record;
mod soak;
mod strip;
mod toolchain;
mod vm;

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
        #[arg(long, conflicts_with = "per_cpu_scratch")]
        check: bool,
        /// Build one that takes stacks in per-CPU scratch, which is wrong, into
        /// target/ebpf/per-cpu-scratch.bpf.o: the test of preemption must fail on it.
        #[arg(long)]
        per_cpu_scratch: bool,
    },
    /// Measure what tracing costs, as root, and write docs/bench.md.
    Bench {
        /// Measure each thing once, to see that it works. Writes nothing.
        #[arg(long)]
        quick: bool,
        /// Only these: pair, mixed, tables, peers, threads, allocators, node, budget, mappings, follow, daemon, memory, heap, javascript-heap, sockets, latency, faults, host. Writes nothing.
        names: Vec<String>,
    },
    /// Run programs with a known answer under memtrace, as root, and judge what it tells.
    Corpus(corpus::Options),
    /// Run `memtrace host` beside a busy node host, as root; kill it and its targets.
    Soak(soak::Options),
    /// Get the C libraries of newer Debians into target/libc, for the suite.
    Libc,
    /// Run a command as root on another kernel, emulated, over this machine's files.
    Vm {
        /// Debian's kernel of this series.
        #[arg(long, default_value = "6.1")]
        kernel: vm::Series,
        /// How that kernel preempts; its default otherwise.
        #[arg(long)]
        preempt: Option<vm::Preempt>,
        /// What to run, from the project's directory.
        #[arg(required = true, last = true)]
        command: Vec<String>,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Ebpf { check: true, .. } => ebpf::check(),
        Command::Ebpf {
            per_cpu_scratch: true,
            ..
        } => ebpf::build_flawed(),
        Command::Ebpf { .. } => ebpf::build(),
        Command::Bench { quick, names } => bench::run(&ebpf::root()?, &names, quick),
        Command::Corpus(options) => corpus::run(&ebpf::root()?, &options),
        Command::Soak(options) => soak::run(&ebpf::root()?, &options),
        Command::Libc => vm::libraries(&ebpf::root()?.join("target")),
        Command::Vm {
            kernel,
            preempt,
            command,
        } => vm::run(&ebpf::root()?, kernel, preempt, &command),
    }
}
