//! From addresses to names: ELF symbols, inlined calls, perf maps; and what an
//! ELF object is, for whoever puts probes on it.
//!
//! Everything here is a target's file and so hostile. The parsers ([`elf`],
//! [`perf_map`]) are pure over bytes.

mod answer;
pub mod elf;
pub mod perf_map;
mod text;

pub use answer::{AllocatorFunction, ObjectSummary, PerfMapNames, Symbol};
pub use text::MAX_TEXT_BYTES;
