//! `report.html` (and `diff.html`, in [`difference`]): one page with everything a trace found, for people. It needs no other
//! file and no network, and no scripts for what matters: these add a read-out to the
//! timelines, filters to the tables, zoom and search to the flame graphs.
//!
//! The page forbids itself everything by its Content-Security-Policy but its own styles
//! and the scripts whose hashes stand there. Names come from the traced process: each
//! passes through [`super::names`] and is escaped by maud; flame graphs are documents of
//! their own, without the page's origin.

mod about;
pub(super) mod chart;
pub mod difference;
pub(super) mod embed;
pub(super) mod events;
mod graphs;
pub(super) mod heap;
mod mappings;
mod page;
pub(super) mod parts;
pub(super) mod policy;
mod process;
mod sites;
pub(super) mod sockets;
pub(super) mod timeline;
pub(super) mod verdict;

use std::io::{self, Write};

use maud::Markup;

use crate::model::Report;

/// Writes the page.
///
/// # Errors
/// Those of `to`.
pub fn write(report: &Report, mut to: impl Write) -> io::Result<()> {
    to.write_all(page::page(report, None).0.into_string().as_bytes())
}

/// The same page with a way back to where it is served, and the policy to serve it under.
pub(super) fn page_with(report: &Report, way_back: &Markup) -> (String, String) {
    let (page, policy) = page::page(report, Some(way_back));
    (
        page.into_string(),
        format!("{policy}; frame-ancestors 'none'"),
    )
}

/// The styles and the script that another page shares with this one.
pub(super) const STYLE: &str = include_str!("style.css");
pub(super) const SCRIPT: &str = include_str!("script.js");

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
