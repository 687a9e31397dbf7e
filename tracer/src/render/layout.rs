//! Fitting text into columns: widths as a terminal counts them, cuts with `…`.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr as _;

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, or as much of its beginning as fits into `columns` with a `…`.
pub fn cut_end(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    for c in text.chars() {
        kept.push(c);
        // Of the whole: a character may widen the one before it (U+FE0F).
        if width(&kept) > columns.saturating_sub(1) {
            kept.pop();
            break;
        }
    }
    if columns > 0 {
        kept.push('…');
    }
    Cow::Owned(kept)
}

/// The text, or as much of its end as fits into `columns` after a `…`: for
/// paths, whose end says most.
pub fn cut_start(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut kept = "";
    for (start, _) in text.char_indices().rev() {
        let longer = text.get(start..).unwrap_or_default();
        if width(longer) > columns.saturating_sub(1) {
            break;
        }
        kept = longer;
    }
    let mark = if columns > 0 { "…" } else { "" };
    Cow::Owned(format!("{mark}{kept}"))
}

/// Sentences in lines of at most `columns`, the first after `first`, the
/// others indented as deep.
pub fn wrap(text: &str, first: &str, columns: usize) -> Vec<String> {
    let indent = " ".repeat(width(first));
    let options = textwrap::Options::new(columns.max(width(first) + 10))
        .initial_indent(first)
        .subsequent_indent(&indent);
    textwrap::wrap(text, options)
        .into_iter()
        .map(Cow::into_owned)
        .collect()
}

/// Parts with commas between them, none broken where there is room, in lines as
/// [`wrap`] makes them.
pub fn wrap_parts(parts: &[String], first: &str, columns: usize) -> Vec<String> {
    let room = columns.saturating_sub(width(first));
    let mut lines: Vec<String> = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let comma = if number + 1 < parts.len() { "," } else { "" };
        let part = format!("{part}{comma}");
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(&part) <= room => {
                line.push(' ');
                line.push_str(&part);
            }
            _ => lines.push(cut_end(&part, room).into_owned()),
        }
    }
    let indent = " ".repeat(width(first));
    let begin = |number| if number == 0 { first } else { indent.as_str() };
    (lines.iter().enumerate())
        .map(|(number, line)| format!("{}{line}", begin(number)))
        .collect()
}

/// ANSI attributes, used only where the reader asked for colour.
#[derive(Clone, Copy)]
pub enum Ink {
    /// What to look at first.
    Bold,
    /// What can be passed over.
    Dim,
    /// What is wrong.
    Alarm,
}

/// The text in this ink where `colour` is wanted.
pub fn ink(text: &str, ink: Ink, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let code = match ink {
        Ink::Bold => "1",
        Ink::Dim => "2",
        Ink::Alarm => "1;31",
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Names lose their end, paths their beginning, and wide characters count twice.
    #[test]
    fn cuts_where_it_hurts_least() {
        assert_eq!(cut_end("v8::internal", 12), "v8::internal");
        assert_eq!(cut_end("v8::internal", 5), "v8::…");
        assert_eq!(cut_start("/srv/app/server.js:12", 13), "…server.js:12");
        assert_eq!(cut_end("関数関数", 6), "関数…");
        assert_eq!(cut_end("ab", 0), "");
        // A star that is to be drawn as an emoji takes two columns.
        assert_eq!(cut_end("0*\u{fe0f}abc", 3), "0*…");
    }

    /// Sentences wrap under their first word.
    #[test]
    fn wraps_under_the_first_word() {
        assert_eq!(
            wrap("one two three four", "note: ", 16),
            ["note: one two", "      three four"]
        );
    }

    /// A part that does not fit into the rest of a line begins the next.
    #[test]
    fn keeps_parts_whole() {
        let parts = ["a 1 B", "b 2 B", "c 3 B"].map(str::to_owned);
        assert_eq!(
            wrap_parts(&parts, "then ", 18),
            ["then a 1 B, b 2 B,", "     c 3 B"]
        );
        assert_eq!(
            wrap_parts(&parts, "then ", 17),
            ["then a 1 B,", "     b 2 B, c 3 B"]
        );
    }

    proptest! {
        /// Nothing is ever wider than asked for.
        #[test]
        fn fits(text in "\\PC{0,40}", columns in 0_usize..30) {
            prop_assert!(width(&cut_end(&text, columns)) <= columns);
            prop_assert!(width(&cut_start(&text, columns)) <= columns);
        }
    }
}
