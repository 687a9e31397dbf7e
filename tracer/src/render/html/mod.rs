//! `report.html`: one page with everything a trace found, for people. It needs no other
//! file and no network, and no scripts for what matters: these add a read-out to the
//! timelines, filters to the tables, zoom and search to the flame graphs.
//!
//! The page forbids itself everything by its Content-Security-Policy but its own styles
//! and the scripts whose hashes stand there. Names come from the traced process: each
//! passes through [`super::names`] and is escaped by maud; flame graphs are documents of
//! their own, without the page's origin.

mod about;
mod chart;
mod events;
mod graphs;
mod heap;
mod mappings;
mod page;
mod parts;
mod policy;
mod process;
mod sites;
mod sockets;
mod timeline;
mod verdict;

use std::io::{self, Write};

use crate::model::Report;

/// Writes the page.
///
/// # Errors
/// Those of `to`.
pub fn write(report: &Report, mut to: impl Write) -> io::Result<()> {
    to.write_all(page::page(report).into_string().as_bytes())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
