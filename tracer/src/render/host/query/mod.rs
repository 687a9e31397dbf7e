//! What `memtrace host query` prints: a table of what grew, CSV, JSON, stacks.

mod csv;
mod stacks;
mod table;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::io::{self, Write};

pub use csv::{write_csv, write_csv_heading};
pub use stacks::{write_folded, write_svg};
pub use table::table;

use crate::model::host::Interval;

/// An interval as a line of JSON.
///
/// # Errors
/// Those of `to`.
pub fn write_json(interval: &Interval, to: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *to, interval)?;
    to.write_all(b"\n")
}
