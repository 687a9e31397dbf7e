//! A report as people and programs read it: flame graph, folded stacks, JSON, pprof,
//! terminal text, the status line of a running trace.
//!
//! Everything here is a function of its arguments: no files, no clocks, no
//! terminal. Names come from the traced process and are hostile; all of them
//! pass through [`names`]. What was lost is said by every render.

pub mod diff;
pub mod flamegraph;
pub mod folded;
pub mod gate;
pub mod heap;
pub mod heap_map;
pub mod host;
pub mod html;
pub mod invariants;
pub mod json;
mod layout;
mod loss;
pub mod metrics;
pub mod names;
pub mod otlp;
mod palette;
pub mod pprof;
pub mod sockets;
pub mod status;
mod table;
pub mod text;
pub mod words;

#[cfg(test)]
pub(crate) mod sample;
