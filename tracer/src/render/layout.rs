//! Fitting text into columns: widths as a terminal counts them, cuts with `…`.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text, or as much of its beginning as fits into `columns` with a `…`.
pub fn cut_end(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let mut kept = fitting(text.chars(), columns.saturating_sub(1));
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
    let kept = fitting(text.chars().rev(), columns.saturating_sub(1));
    let mark = if columns > 0 { "…" } else { "" };
    Cow::Owned(mark.chars().chain(kept.chars().rev()).collect())
}

fn fitting(chars: impl Iterator<Item = char>, columns: usize) -> String {
    let mut left = columns;
    chars
        .take_while(|c| match left.checked_sub(c.width().unwrap_or(0)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .collect()
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
    }

    /// Sentences wrap under their first word.
    #[test]
    fn wraps_under_the_first_word() {
        assert_eq!(
            wrap("one two three four", "note: ", 16),
            ["note: one two", "      three four"]
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
