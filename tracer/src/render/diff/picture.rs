//! `diff.svg`, a differential flame graph, and `diff.folded`, its stacks in the form that
//! flame graph tools read: stack, bytes before, bytes after.
//!
//! Stacks are joined by their names, so that a program that was built anew is compared
//! all the same. Width is what is live in the second recording; red frames hold more
//! themselves than in the first, blue ones less. What is gone has no width: the
//! subtitle tells how much that is.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{group, sentences, whose};
use crate::analyze::diff::{Difference, Row};
use crate::render::{
    flamegraph::{Picture, SUBTITLE_COLUMNS, TITLE_COLUMNS, draw_difference},
    folded,
    layout::cut_end,
    words,
};

/// Writes the stacks of live bytes, with the allocator's function on top.
///
/// # Errors
/// Those of `to`.
pub fn write_folded(difference: &Difference<'_>, to: &mut impl Write) -> io::Result<()> {
    let with_source = |row: &Row<'_>| format!("{};{}", tower(difference, row), row.source.name());
    for (stack, (before, after)) in join(difference, with_source) {
        writeln!(to, "{stack} {before} {after}")?;
    }
    Ok(())
}

/// Writes the picture.
///
/// # Errors
/// Those of `to`; `InvalidData` for damaged recordings whose bytes add up to 2^55 and more.
pub fn write_svg(difference: &Difference<'_>, to: impl Write) -> io::Result<()> {
    // Without the allocator's function, so that the colour is its caller's.
    let stacks = join(difference, |row| tower(difference, row));
    let (drawn, gone): (Vec<_>, Vec<_>) = (stacks.into_iter())
        .map(|(stack, (before, after))| (stack, before, after))
        .partition(|(_, _, after)| *after > 0);
    let mut drawn = drawn;
    // Frame by frame: a stack stands right before those that go on from it.
    drawn.sort_by(|a, b| a.0.split(';').cmp(b.0.split(';')));
    let gone = (
        gone.len() as u64,
        gone.iter().map(|(_, before, _)| before).sum(),
    );
    let picture = Picture {
        title: title(difference),
        subtitle: subtitle(difference, gone),
        empty: "Nothing is live in the second recording.",
    };
    draw_difference(&drawn, picture, to)
}

fn tower(difference: &Difference<'_>, row: &Row<'_>) -> String {
    let bottom = group(difference, row).map(whose).unwrap_or_default();
    folded::tower(&bottom, row.frames)
}

/// Bytes of the rows whose stacks read the same; the sums fit, as the rows' do.
fn join(
    difference: &Difference<'_>,
    stack: impl Fn(&Row<'_>) -> String,
) -> BTreeMap<String, (u64, u64)> {
    let mut joined: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let rows = difference.live.rows.iter();
    for row in rows.filter(|row| row.change.before.bytes > 0 || row.change.after.bytes > 0) {
        let (before, after) = joined.entry(stack(row)).or_default();
        *before += row.change.before.bytes;
        *after += row.change.after.bytes;
    }
    joined
}

fn title(difference: &Difference<'_>) -> String {
    let total = &difference.live.total;
    let figures = format!(
        "memtrace: live memory grew by {}: {} → {}",
        words::growth(total.bytes()),
        words::bytes(total.before.bytes),
        words::bytes(total.after.bytes)
    );
    cut_end(&figures, TITLE_COLUMNS).into_owned()
}

fn subtitle(difference: &Difference<'_>, (stacks, bytes): (u64, u64)) -> String {
    let mut text = "red: more than before · blue: less · width: after".to_owned();
    if stacks > 0 {
        let stacks = words::counted(stacks, "stack");
        let bytes = words::bytes(bytes);
        text = format!("{text} · gone, not drawn: {stacks} of {bytes}");
    }
    if !difference.caveats.is_empty() {
        let caveats = words::counted(difference.caveats.len() as u64, "caveat");
        text = format!("{text} · {caveats}: {}", sentences(difference).join(" "));
    }
    cut_end(&text, SUBTITLE_COLUMNS).into_owned()
}
