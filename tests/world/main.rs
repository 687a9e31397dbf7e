//! The world's part of the integration suite: what users hand to memtrace by
//! mistake, what becomes of its files, and programs that nobody here wrote.
//! Harness and conditions are those of `suite/`.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod counted;
mod programs;
