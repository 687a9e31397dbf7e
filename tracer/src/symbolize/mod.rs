//! From addresses to names: ELF symbols, inlined calls, perf maps; and what an
//! ELF object is, for whoever puts probes on it.
//!
//! All of it comes out of a target's files and so is hostile. The parsers
//! ([`elf`], [`perf_map`]) are pure over bytes, and the program itself runs
//! them in an unprivileged child only, the file worker: [`FileWorker`] is its
//! parent's side, [`worker`] its own. [`open`] opens a target's files without
//! being led elsewhere. Which address belongs to which file is not known here.

mod answer;
mod client;
pub mod debug_file;
pub mod elf;
mod mapping;
pub mod open;
pub mod perf_map;
mod protocol;
pub(crate) mod sandbox;
mod text;
pub mod unwind_table;
pub mod v8;
pub mod worker;

pub use answer::{AllocatorFunction, ObjectSummary, PerfMapNames, SamplingPoint, Symbol};
pub use client::{FileWorker, FileWorkerError};
pub use elf::allocator::{Interface, interface};
pub use sandbox::SandboxError;
pub use text::MAX_TEXT_BYTES;

/// What stands before the name of a stripped object's public function where an
/// unnamed one stands behind it.
pub const NEAR: &str = "near ";

/// The longest object that is parsed; it is mapped, not read into memory.
pub const MAX_FILE_BYTES: u64 = 2 << 30;
