//! The page that `memtrace host` serves: the host at a glance, a program's history, a closer
//! look. Pure functions: what is known goes in, a page comes out, with the policy that it is to
//! be served under. It is whole without scripts; these add what is new meanwhile, a filter, keys
//! and a read-out.
//!
//! Styles, timelines, verdicts and flame graphs are those of `report.html`
//! ([`crate::render::html`]). Names come from other people's processes: each passes through
//! [`crate::render::names`] and is escaped by maud.

mod attention;
mod document;
mod faults;
mod glance;
mod groups;
mod happenings;
mod headline;
mod history;
mod line;
mod look;
mod own;
mod past;
mod programs;
mod range;
mod shapes;

pub use glance::glance;
pub use line::{LineSources, line};
pub use look::look;
pub use past::{keep_only, stacks};
pub use range::{Ask, Range};

/// A page, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// All of it.
    pub html: String,
    /// Its `Content-Security-Policy`.
    pub policy: String,
}

/// A page that only says something, such as that there is nothing of that name.
#[must_use]
pub fn message(heading: &str, text: &str) -> Page {
    let main = maud::html! { p { (crate::render::names::sanitize(text)) } };
    document::Document::new(heading, main).into_page()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
