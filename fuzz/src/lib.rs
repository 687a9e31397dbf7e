//! Fuzz targets: functions of bytes that panic when a promise is broken.
//!
//! Each parser that reads what a traced process or a stranger wrote has one,
//! and so has the ledger's logic, whose bytes are a program's allocator calls.
//! [`driver`] feeds them on stable Rust; a coverage-guided fuzzer may call the
//! same functions. What a target promises is told in its file.

pub mod driver;
pub mod input;
pub mod seeds;
pub mod targets;

pub use targets::{TARGETS, Target};
