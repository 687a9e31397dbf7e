//! Whose page faults made programs larger: folded stacks, and a flame graph.

use std::io::{self, Write};

use crate::{
    analyze::past::{Line, Past},
    model::Frame,
    render::{
        flamegraph::{Picture, SUBTITLE_COLUMNS, TITLE_COLUMNS, draw},
        folded,
        layout::cut_end,
        names, palette, words,
    },
};

use super::table::times;

/// Stacks with estimated bytes, the program at the bottom, most grown first: for any tool
/// that makes flame graphs.
///
/// # Errors
/// Those of `to`.
pub fn write_folded(past: &Past, to: &mut impl Write) -> io::Result<()> {
    for (stack, bytes) in stacks(past) {
        writeln!(to, "{stack} {bytes}")?;
    }
    Ok(())
}

/// The flame graph.
///
/// # Errors
/// Those of `to`; `InvalidData` for bytes that add up to 2^64 and more.
pub fn write_svg(past: &Past, to: impl Write) -> io::Result<()> {
    let stacks = stacks(past);
    let bytes = stacks
        .iter()
        .fold(0_u64, |sum, it| sum.saturating_add(it.1));
    let title = format!(
        "memtrace: about {} came in by page faults",
        words::bytes(bytes)
    );
    let mut subtitle = format!(
        "{} · sampled; what was given back is not taken off",
        times(past)
    );
    let lost = past
        .losses
        .values()
        .fold(0_u64, |sum, it| sum.saturating_add(*it));
    if lost > 0 {
        subtitle = format!("{subtitle} · NOT SEEN OR KEPT: {}", words::count(lost));
    }
    let picture = Picture {
        title: cut_end(&title, TITLE_COLUMNS).into_owned(),
        subtitle: cut_end(&subtitle, SUBTITLE_COLUMNS).into_owned(),
        empty: "No page fault was sampled in this time.",
    };
    let colours = palette::colours(past.stacks.values().flatten());
    draw(stacks, picture, colours, to)
}

fn stacks(past: &Past) -> Vec<(String, u64)> {
    let mut stacks = Vec::new();
    for (_, line) in past.by_growth() {
        let bottom = bottom(line);
        for faulted in line.faulted.values().filter(|it| it.bytes > 0) {
            let frames: &[Frame] = past.stacks.get(&faulted.stack).map_or(&[], Vec::as_slice);
            stacks.push((folded::tower(&bottom, frames), faulted.bytes));
        }
    }
    stacks
}

fn bottom(line: &Line) -> String {
    names::command(&line.name, line.pid)
}
