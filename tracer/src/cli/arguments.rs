//! The arguments as the user writes them. Each is documented here, once.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use procfs::Current as _;

use crate::{
    collect::{Options, sockets},
    model::trace_sockets::Probes,
    probe::{Limits, UNWIND_MIB, UnwindLimits},
};

mod format;
mod gate;
mod host;
mod values;

pub use format::{Format, Picture};
pub use gate::Gate;
pub use host::{Host, HostCommand, Query, QueryFormat, Serve, Watch};
pub use values::Overhead;
use values::{budget, duration, overhead};

/// Which code holds a Linux process's memory: traces the allocator of a
/// running process with eBPF and shows what is still allocated, by stack.
#[derive(Parser, Debug)]
#[command(
    name = "memtrace",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Arguments {
    #[command(flatten)]
    pub attach: Attach,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Start a program and trace it from its first allocation. Its exit status is
    /// memtrace's; where that is 0, a gate that fails (--fail-on, --max-growth) makes it 3.
    Run(Run),
    /// One look at a process's heap, without tracing: what is in use, what is free
    /// and stays resident all the same, and on which pages.
    Heap(Heap),
    /// One look at the memory of the host's sockets: what waits in the kernel's
    /// queues, of which process and for whom.
    Sockets(Sockets),
    /// Watch every process of this host, continuously: web page, metrics, history, and a
    /// closer look at whatever grows.
    Host(Box<Host>),
    /// Render a recording again, on any machine.
    Report(Report),
    /// What grew between two recordings: a table, and diff.html, diff.svg, diff.folded, diff.json.
    Diff(Diff),
    /// Trace a bundled program that leaks, and show the picture.
    Demo(Demo),
    /// What this kernel and these rights allow, and what to do about the rest;
    /// and which running processes can be traced.
    Doctor,
    /// Print completions for a shell: `memtrace completions bash > /etc/bash_completion.d/memtrace`.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page: `memtrace manual > memtrace.1`.
    Manual,
    /// Attach empty probes: the floor of what tracing costs, for benchmarks.
    #[command(hide = true)]
    Floor(Floor),
    /// Sample the host's page faults until standard input closes, for tests and benchmarks.
    #[command(hide = true)]
    Faults(Faults),
    /// Build unwind tables and tell how large they are, for benchmarks.
    #[command(hide = true)]
    UnwindTable(UnwindTable),
}

#[derive(Args, Debug)]
pub struct Attach {
    /// Process to trace, as this shell sees it; several with commas, or -p again.
    /// It is not stopped or changed.
    #[arg(
        short,
        long,
        required_unless_present = "comm",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    pub pid: Vec<u32>,
    /// Trace every process of this name, as `ps -o comm` tells it.
    #[arg(long, value_name = "NAME")]
    pub comm: Option<String>,
    /// Trace the processes that it starts too.
    #[arg(long)]
    pub follow: bool,
    #[command(flatten)]
    pub trace: Trace,
    /// Most of the target's CPU time (of one processor's, where it uses less) that
    /// tracing may take, percent, or `off`. Above it memtrace samples; if that does not help it ends the trace.
    #[arg(long, value_name = "PERCENT", default_value = "20", value_parser = overhead)]
    pub max_overhead: Overhead,
    /// Most of one processor's time that tracing may cost the target, percent, on average
    /// over the trace. Above it memtrace records in slices of time, whatever the target
    /// does, until the trace ends; a program that costs less is traced whole.
    #[arg(long, value_name = "PERCENT", conflicts_with = "max_overhead", value_parser = budget)]
    pub budget: Option<Overhead>,
}

impl Attach {
    /// The limit on what tracing costs.
    pub fn limit(&self) -> Overhead {
        self.budget.unwrap_or(self.max_overhead)
    }
}

#[derive(Args, Debug)]
pub struct Run {
    #[command(flatten)]
    pub trace: Trace,
    /// Most of the program's CPU time that tracing may take, percent, or `off`.
    #[arg(long, value_name = "PERCENT", default_value = "off", value_parser = overhead)]
    pub max_overhead: Overhead,
    /// Trace only the program itself, not the processes that it starts.
    #[arg(long)]
    pub no_follow: bool,
    /// Start the program as root. By default it runs as the user who called sudo.
    #[arg(long)]
    pub as_root: bool,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// What every trace takes.
#[derive(Args, Debug)]
pub struct Trace {
    /// End after this time: 30s, 5m, 1h. Without it Ctrl-C or the target's end ends the trace.
    #[arg(short, long, value_parser = duration)]
    pub duration: Option<Duration>,
    /// Directory for the results; made if missing.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Most live blocks to keep; each takes some 100 bytes of kernel memory.
    #[arg(long, value_name = "N", default_value_t = Limits::default().blocks, value_parser = clap::value_parser!(u32).range(1..=1 << 28))]
    pub max_blocks: u32,
    /// Most different stacks to keep; each takes 2 KiB of kernel memory. Without it
    /// 65,536 to 262,144, as a sixteenth of the available memory has room for.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 22))]
    pub max_sites: Option<u32>,
    /// Most memory for unwind tables, in MiB of kernel memory; what does not fit
    /// is told, and stacks through it are approximate.
    #[arg(long, value_name = "MIB", default_value_t = UNWIND_MIB, value_parser = clap::value_parser!(u32).range(1..=2048))]
    pub unwind_memory: u32,
    /// Do not watch mmap and its kin. Watching slows each system call of every
    /// process a little, by how much the report tells.
    #[arg(long)]
    pub no_mappings: bool,
    /// Do not look at the heaps. A look reads what glibc has resident, from outside,
    /// every five seconds or more seldom.
    #[arg(long)]
    pub no_heap: bool,
    /// Do not look at V8's heap, nor sample which JavaScript functions allocate in it.
    #[arg(long)]
    pub no_js_heap: bool,
    /// Do not look at the sockets. A look reads the kernel's queues of all of the
    /// host's sockets, every few seconds.
    #[arg(long)]
    pub no_sockets: bool,
    /// How to learn which code filled the sockets' queues.
    #[arg(long, value_name = "HOW", default_value = "auto", value_enum)]
    pub socket_probes: SocketProbes,
    /// Write `ready` to this file descriptor when calls begin to count.
    #[arg(long, value_name = "FD", value_parser = clap::value_parser!(i32).range(0..=1 << 20))]
    pub ready_fd: Option<i32>,
    /// Write only the recording and a summary: what `memtrace host` wants of a closer look.
    #[arg(long, hide = true)]
    pub for_host: bool,
    #[command(flatten)]
    pub gate: Gate,
}

impl Trace {
    /// The part of it that the trace itself needs.
    pub fn options(&self, overhead: Overhead, follow: bool) -> Options {
        let default = Limits::default();
        let limits = Limits {
            blocks: self.max_blocks,
            sites: self
                .max_sites
                .unwrap_or_else(|| Limits::sites_of(available_bytes())),
            processes: if follow {
                PROCESSES_FOLLOWED
            } else {
                default.processes
            },
            unwind: UnwindLimits::of_bytes(u64::from(self.unwind_memory) << 20),
            ..default
        };
        Options {
            limits,
            overhead: overhead.0,
            follow,
            mappings: !self.no_mappings,
            heaps: !self.no_heap,
            javascript_heaps: !self.no_js_heap,
            sockets: !self.no_sockets && !leaves_sockets(),
            socket_probes: self.socket_probes.choice(),
        }
    }
}

/// Memory that is available; 0 where /proc does not tell.
fn available_bytes() -> u64 {
    let memory = procfs::Meminfo::current();
    memory.ok().and_then(|it| it.mem_available).unwrap_or(0)
}

/// In debug builds if `MEMTRACE_NO_SOCKETS` is set: an emulated kernel takes seconds at
/// each start for what sockets need, also in tests of other things.
fn leaves_sockets() -> bool {
    cfg!(debug_assertions) && std::env::var_os("MEMTRACE_NO_SOCKETS").is_some()
}

/// `--socket-probes`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum SocketProbes {
    /// The best that this kernel has.
    Auto,
    /// At the kernel's TCP buffer allocators, by fentry (Linux 5.5).
    Fentry,
    /// The same, by kprobe.
    Kprobe,
    /// At the tracepoints of send and receive (Linux 6.5).
    Tracepoints,
    /// Not at all: only how much, not whose doing.
    None,
}

impl SocketProbes {
    fn choice(self) -> sockets::Choice {
        sockets::Choice::Only(match self {
            Self::Auto => return sockets::Choice::Auto,
            Self::Fentry => Probes::Fentry,
            Self::Kprobe => Probes::Kprobe,
            Self::Tracepoints => Probes::Tracepoints,
            Self::None => Probes::None,
        })
    }
}

#[derive(Args, Debug)]
pub struct Heap {
    /// Process to look at, as this shell sees it. It is neither stopped nor changed.
    #[arg(short, long)]
    pub pid: u32,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
    /// Draw the heap's pages as a picture, into this file.
    #[arg(short, long, value_name = "FILE.svg")]
    pub output: Option<PathBuf>,
    /// Keep what is read of the heap, for tests. It holds the program's data.
    #[arg(long, value_name = "FILE", hide = true)]
    pub record: Option<PathBuf>,
    /// Stop the process while its heap is read, for a second a few GiB: all figures
    /// are of one moment then. It is told for how long.
    #[arg(long)]
    pub freeze: bool,
}

#[derive(Args, Debug)]
pub struct Sockets {
    /// Only this process's sockets, and how much of the host's they hold; several with
    /// commas, or -p again. Without it: every process's.
    #[arg(short, long, value_delimiter = ',', allow_negative_numbers = true)]
    pub pid: Vec<u32>,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
    /// Ask the kernel by netlink (sock_diag), also where BPF iterators work.
    #[arg(long)]
    pub sock_diag: bool,
}

#[derive(Args, Debug)]
pub struct Report {
    /// A recording.memtrace.
    pub recording: PathBuf,
    /// Directory for the results; made if missing. With --format the file to write.
    #[arg(short, long, value_name = "DIR|FILE")]
    pub output: Option<PathBuf>,
    /// Write only this, to -o FILE or to standard output.
    #[arg(short, long, value_enum)]
    pub format: Option<Format>,
    /// Of what, with --format svg or folded.
    #[arg(long, value_enum, requires = "format", value_name = "PICTURE")]
    pub which: Option<Picture>,
    #[command(flatten)]
    pub gate: Gate,
}

#[derive(Args, Debug)]
pub struct Diff {
    /// The first recording.memtrace.
    pub before: PathBuf,
    /// The second.
    pub after: PathBuf,
    /// Directory for diff.html, diff.svg, diff.folded and diff.json; made if missing.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub gate: Gate,
}

#[derive(Args, Debug)]
pub struct Demo {
    /// How long to trace.
    #[arg(short, long, value_parser = duration, default_value = "10s")]
    pub duration: Duration,
    /// Directory for the results; made if missing.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub struct Floor {
    /// Process to attach to.
    #[arg(short, long, required_unless_present = "sends")]
    pub pid: Option<u32>,
    /// Take a stack at the return.
    #[arg(long)]
    pub stack: Option<FloorStack>,
    /// Not at a process: at the tracepoint `sock_send_length` of the whole host, alone.
    #[arg(long, conflicts_with_all = ["pid", "stack"])]
    pub sends: bool,
    /// Write `ready` to this file descriptor when the probes are in.
    #[arg(long)]
    pub ready_fd: i32,
}

#[derive(Args, Debug)]
pub struct Faults {
    /// Processes to tell of; none: all.
    #[arg(short, long, value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// How often samples are taken, ms.
    #[arg(long, default_value_t = 1000)]
    pub every_ms: u32,
}

#[derive(Args, Debug)]
pub struct UnwindTable {
    /// Programs and libraries.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
}

/// How `memtrace floor` takes stacks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum FloorStack {
    /// By frame pointers, as the kernel does it.
    Kernel,
    /// By unwind tables.
    Exact,
}

/// Programs that one trace has room for where children are followed: 1.6 MB
/// of kernel memory, and 20 KiB for each process that lives.
const PROCESSES_FOLLOWED: u32 = 1 << 14;

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    /// The definition of the command line is consistent.
    #[test]
    fn definition_is_consistent() {
        Arguments::command().debug_assert();
    }
}
