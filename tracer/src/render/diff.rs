//! What grew between two recordings, as people and programs read it: text for the
//! terminal, `diff.json`, `diff.folded` and `diff.svg`; the page is `render::html`'s.
//!
//! All of them say first what keeps the two from being compared like with like.

use crate::analyze::diff::{Account, Difference, Group, Row};

pub mod json;
pub mod picture;
mod sentences;
pub mod text;

pub use sentences::sentences;

use super::names;

/// Whose a row is: `node (4242)`, `node (4242 → 5151)`, `node (3 → 4 processes)`.
#[must_use]
pub fn whose(group: &Group<'_>) -> String {
    let pids = |processes: &[&crate::model::Process]| match processes {
        [] => "–".to_owned(),
        [only] => only.pid.to_string(),
        several => format!("{} processes", several.len()),
    };
    let (before, after) = (pids(&group.before), pids(&group.after));
    let Some(process) = group.after.first().or(group.before.first()) else {
        return "[unknown process]".to_owned();
    };
    let program = names::program(process);
    if before == after {
        format!("{program} ({after})")
    } else {
        format!("{program} ({before} → {after})")
    }
}

/// Rows that differ.
fn changed<'a, 'r>(account: &'a Account<'r>) -> impl Iterator<Item = &'a Row<'r>> {
    account.rows.iter().filter(|row| !row.change.is_none())
}

fn group<'a, 'r>(difference: &'a Difference<'r>, row: &Row<'_>) -> Option<&'a Group<'r>> {
    difference.groups.get(row.group)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
