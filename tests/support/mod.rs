//! See the crate's text; one idea a file.

mod browser;
mod compare;
mod compile;
mod count;
mod gdb;
mod host;
mod memtrace;
mod nobody;
mod node;
mod process;
mod program;
mod residue;
pub mod ss;
mod talk;

pub use browser::{Browser, CHROMIUM, Seen, View};
pub use compare::{assert_exact, by_function, lost, total_of};
pub use compile::{Build, build, build_with, is_prebuilt, program_path, programs_dir, target_dir};
pub use count::{Count, Tally};
pub use gdb::{FileMapping, Gdb, RecordedStack, allocator_of, code_of};
pub use host::{EVIL, HOSTILE, LEAKING, SampleHost, Served, view as host_view};
pub use memtrace::{Finished, Memtrace, binary, cannot_trace, memtrace, run_memtrace, trace_of};
pub use nobody::Nobody;
pub use node::{node, npm_package};
pub use process::{DEADLINE, Process, has_program, run_tool, wait_until};
pub use program::Program;
pub use residue::{BpfObjects, altered_code, bpf_objects, hold_bpf_links};
pub use talk::{Talk, Truth};
