//! Unwind tables out of an object's `.eh_frame`.

mod frames;
mod rules;

use sha2::{Digest as _, Sha256};
use tracer_common::unwind::{
    code::CHUNK_ROWS,
    row::{PAGE_SHIFT, Rule, row},
};

use super::image::{ElfError, Image};
use crate::symbolize::unwind_table::{MAX_PAGES, MAX_ROWS, UnwindTable};
use rules::Rules;

/// From a place in the file on, a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    /// Offset in the file.
    offset: u64,
    /// Of two at one place the one that begins a function holds, not the one
    /// that ends the function before.
    begins: bool,
    rule: Rule,
}

/// The unwind table of an object.
///
/// # Errors
/// The bytes are not an x86-64 ELF object. A damaged `.eh_frame` is no error:
/// the table ends where it makes no sense.
pub fn unwind_table(bytes: &[u8]) -> Result<UnwindTable, ElfError> {
    let image = Image::parse(bytes)?;
    let mut rules = Rules::default();
    let mut changes = frames::changes(&image, &mut rules);
    changes.sort_unstable();
    Ok(paged(&image, &changes, rules))
}

/// Names the table that [`unwind_table`] would make: a SHA-256, hexadecimal, of
/// all that it is made from. (A build id names a file as its maker wants.)
///
/// # Errors
/// As [`unwind_table`].
pub fn unwind_digest(bytes: &[u8]) -> Result<String, ElfError> {
    let image = Image::parse(bytes)?;
    let mut digest = Sha256::new();
    for segment in image.segments {
        digest.update(object::pod::bytes_of(segment));
    }
    if let Some((address, frames)) = frames::section(&image) {
        digest.update(address.to_le_bytes());
        digest.update(frames);
    }
    let text = image.section_at(".text").map_or(0, |(address, _)| address);
    digest.update(text.to_le_bytes());
    let digest = digest.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Cut into pages, each beginning with the rule that holds there.
fn paged(image: &Image<'_>, changes: &[Change], rules: Rules) -> UnwindTable {
    let mut table = UnwindTable {
        left_out: rules.left_out,
        ..UnwindTable::default()
    };
    let code = image.code_offsets();
    let pages = code.start >> PAGE_SHIFT..code.end.div_ceil(1 << PAGE_SHIFT);
    table.first_page = u32::try_from(pages.start).unwrap_or(u32::MAX);
    let mut changes = changes.iter().peekable();
    let mut rule = Rule::special(0);
    for page in pages.take(MAX_PAGES) {
        let first = table.rows.len();
        table.rows.push(row(0, rule));
        while let Some(change) = changes.next_if(|it| it.offset >> PAGE_SHIFT <= page) {
            if change.rule == rule || change.offset >> PAGE_SHIFT < page {
                rule = change.rule;
                continue;
            }
            rule = change.rule;
            let place = change.offset as u16;
            // Of two rules at one place the latter holds.
            if table
                .rows
                .last()
                .is_some_and(|last| (last >> 16) as u16 == place)
            {
                table.rows.pop();
            }
            table.rows.push(row(place, rule));
        }
        let count = table.rows.len() - first;
        if count > CHUNK_ROWS || table.rows.len() > MAX_ROWS {
            table.left_out = table.left_out.saturating_add(count as u32);
            table.rows.truncate(first);
        }
        table.pages.push((table.rows.len() - first) as u16);
    }
    table.specials = rules.specials();
    table
}
