//! memtrace: which code holds a Linux process's memory.
//!
//! Data flows one way: probe → collect → model → analyze → render / store / serve.
//! A room imports only those to its left and `model`; see ARCHITECTURE.md.

pub mod analyze;
pub mod cli;
pub mod collect;
pub mod heap;
pub mod model;
pub mod probe;
pub mod render;
pub mod serve;
pub mod store;
pub mod symbolize;
