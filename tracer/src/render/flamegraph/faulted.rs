//! Whose page faults made a program larger, over any stretch of time, and the difference
//! between two.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{Picture, SUBTITLE_COLUMNS, TITLE_COLUMNS, cut_end, draw, draw_difference};
use crate::model::Frame;
use crate::render::{folded, palette, words};

/// A stack, innermost first, with the bytes that it brought in.
pub type Stack<'a> = (&'a [Frame], u64);

/// Draws it; `name` stands at the bottom.
///
/// # Errors
/// As [`super::write`].
pub fn write_faulted(
    name: &str,
    subtitle: &str,
    stacks: &[Stack<'_>],
    to: impl Write,
) -> io::Result<()> {
    let bytes = stacks
        .iter()
        .fold(0_u64, |sum, it| sum.saturating_add(it.1));
    let title = format!("memtrace: {} came in at {name}", words::bytes(bytes));
    let picture = Picture {
        title: cut_end(&title, TITLE_COLUMNS).into_owned(),
        subtitle: cut_end(subtitle, SUBTITLE_COLUMNS).into_owned(),
        empty: "No page fault was sampled in this time.",
    };
    let colours = palette::colours(stacks.iter().flat_map(|it| it.0));
    draw(
        joined(name, stacks).into_iter().collect(),
        picture,
        colours,
        to,
    )
}

/// Draws what is after, each frame in the colour of how much more it brought in than before.
///
/// # Errors
/// As [`super::write`]; `InvalidData` for bytes that add up to 2^55 and more.
pub fn write_faulted_difference(
    name: &str,
    subtitle: &str,
    before: &[Stack<'_>],
    after: &[Stack<'_>],
    to: impl Write,
) -> io::Result<()> {
    let before = joined(name, before);
    let after = joined(name, after);
    let mut stacks: Vec<(String, u64, u64)> = (after.iter())
        .filter(|it| *it.1 > 0)
        .map(|(stack, bytes)| {
            let before = before.get(stack).copied().unwrap_or(0);
            (stack.clone(), before, *bytes)
        })
        .collect();
    // Frame by frame: a stack stands right before those that go on from it.
    stacks.sort_by(|a, b| a.0.split(';').cmp(b.0.split(';')));
    let gone = before.iter().filter(|it| !after.contains_key(it.0));
    let gone = gone.fold((0_u64, 0_u64), |sum, it| {
        (sum.0 + 1, sum.1.saturating_add(*it.1))
    });
    let sum =
        |of: &BTreeMap<String, u64>| of.values().fold(0_u64, |sum, it| sum.saturating_add(*it));
    let title = format!(
        "memtrace: {} came in at {name}, before {}",
        words::bytes(sum(&after)),
        words::bytes(sum(&before))
    );
    let subtitle = match gone {
        (0, _) => subtitle.to_owned(),
        (stacks, bytes) => format!(
            "{subtitle} · only before, not drawn: {} of {}",
            words::counted(stacks, "stack"),
            words::bytes(bytes)
        ),
    };
    let picture = Picture {
        title: cut_end(&title, TITLE_COLUMNS).into_owned(),
        subtitle: cut_end(&subtitle, SUBTITLE_COLUMNS).into_owned(),
        empty: "No page fault was sampled in the later time.",
    };
    draw_difference(&stacks, picture, to)
}

/// Bytes of the stacks that read the same.
fn joined(name: &str, stacks: &[Stack<'_>]) -> BTreeMap<String, u64> {
    let mut joined: BTreeMap<String, u64> = BTreeMap::new();
    for (frames, bytes) in stacks {
        let sum = joined.entry(folded::tower(name, frames)).or_default();
        *sum = sum.saturating_add(*bytes);
    }
    joined
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn frames(names: &[&str]) -> Vec<Frame> {
        let frame = |name: &&str| Frame {
            function: Some((*name).to_owned()),
            module: "/a".to_owned(),
            ..Frame::default()
        };
        names.iter().rev().map(frame).collect()
    }

    fn text(draw: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut svg = Vec::new();
        draw(&mut svg).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        let options = roxmltree::ParsingOptions {
            allow_dtd: true,
            ..Default::default()
        };
        roxmltree::Document::parse_with_options(&svg, options).unwrap();
        svg
    }

    /// Stacks that read the same are one frame with the sum of their bytes.
    #[test]
    fn draws_sums() {
        let (a, b) = (frames(&["main", "fill"]), frames(&["main", "read"]));
        let stacks = [(&a[..], 1000), (&b[..], 500), (&a[..], 24)];
        let svg = text(|to| write_faulted("app (7)", "an hour", &stacks, to));
        assert!(
            svg.contains("<title>fill (1,024 bytes, 67.19%)</title>"),
            "{svg}"
        );
        assert!(svg.contains("memtrace: 1.5 KiB came in at app (7)"));
        let svg = text(|to| write_faulted("app (7)", "an hour", &[], to));
        assert!(svg.contains("No page fault was sampled"));
    }

    /// In a difference each frame tells how much more it is; what is only before is counted.
    #[test]
    fn draws_differences() {
        let (a, b) = (frames(&["main", "fill"]), frames(&["main", "read"]));
        let before = [(&a[..], 1000), (&b[..], 300)];
        let after = [(&a[..], 1500)];
        let svg = text(|to| write_faulted_difference("app", "x", &before, &after, to));
        assert!(
            svg.contains("<title>fill (1,500 bytes, 100.00%; +33.33%)</title>"),
            "{svg}"
        );
        assert!(svg.contains("only before, not drawn: 1 stack of 300 B"));
    }
}
