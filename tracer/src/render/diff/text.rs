//! The difference as text for a terminal: what to know first, the totals, the sites
//! that grew most and those that shrank most, and last of all the verdict.

use super::{changed, group, sentences, whose};
use crate::analyze::diff::{Account, Change, Difference, Row};
use crate::model::verdict::Kind;
use crate::render::{
    layout::{Ink, cut_end, ink, wrap},
    names,
    table::Table,
    text::{Page, verdict},
    words,
};

/// Sites that grew and that shrank; all of them are in `diff.json`.
const GREW: usize = 20;
const SHRANK: usize = 5;

/// Verdicts that are shown.
const VERDICTS: usize = 6;

/// Callers named in a row.
const CALLERS: usize = 4;

const HEADINGS: [&str; 4] = ["before", "after", "difference", "per second"];

/// The difference as lines of text, each ended by a newline.
#[must_use]
pub fn render(difference: &Difference<'_>, page: Page) -> String {
    let mut lines = vec![window("before", difference.before, page)];
    lines.push(window("after", difference.after, page));
    for sentence in sentences(difference) {
        lines.extend(wrap(&sentence, "note    ", page.columns));
    }
    lines.push(String::new());
    totals(difference, page, &mut lines);
    account(difference, &difference.live, "live", page, &mut lines);
    if let Some(mapped) = &difference.mapped {
        account(difference, mapped, "mapped, resident", page, &mut lines);
    }
    verdicts(difference, page, &mut lines);
    lines.push(String::new());
    lines.join("\n")
}

fn window(which: &str, report: &crate::model::Report, page: Page) -> String {
    let text = format!(
        "{which:<8}{}, {} from {}",
        names::processes(report),
        words::seconds(report.window.seconds),
        words::utc(&report.window.start_utc)
    );
    cut_end(&text, page.columns).into_owned()
}

fn totals(difference: &Difference<'_>, page: Page, lines: &mut Vec<String>) {
    let mut table = Table::new("all sites", &HEADINGS);
    let live = &difference.live.total;
    table.push("live".to_owned(), cells(difference, live));
    if let Some(mapped) = &difference.mapped {
        let cells = cells(difference, &mapped.total);
        table.push("mapped, resident".to_owned(), cells);
    }
    lines.extend(table.lines(page.columns));
}

fn account(
    difference: &Difference<'_>,
    account: &Account<'_>,
    what: &str,
    page: Page,
    lines: &mut Vec<String>,
) {
    let rows: Vec<&Row<'_>> = changed(account).collect();
    let grew: Vec<&Row<'_>> = rows
        .iter()
        .copied()
        .filter(|row| row.change.bytes() > 0)
        .collect();
    let mut shrank: Vec<&Row<'_>> = rows
        .iter()
        .copied()
        .filter(|row| row.change.bytes() < 0)
        .collect();
    shrank.reverse();
    lines.push(String::new());
    if rows.is_empty() {
        lines.push(cut_end(&format!("{what}: no site differs"), page.columns).into_owned());
        return;
    }
    for (rows, verb, most) in [(&grew, "grew", GREW), (&shrank, "shrank", SHRANK)] {
        if rows.is_empty() {
            continue;
        }
        let sites = words::counted(rows.len() as u64, "site");
        let shown = if rows.len() > most {
            format!(", the first {most} of them")
        } else {
            String::new()
        };
        let heading = format!("{what}: {sites} {verb}{shown}");
        lines.push(ink(
            &cut_end(&heading, page.columns),
            Ink::Bold,
            page.colour,
        ));
        let mut table = Table::new("site", &HEADINGS);
        for row in rows.iter().take(most) {
            table.push(name(difference, row), cells(difference, &row.change));
        }
        lines.extend(table.lines(page.columns));
    }
}

/// The verdicts, as the last thing; of many groups only those that something is said of.
fn verdicts(difference: &Difference<'_>, page: Page, lines: &mut Vec<String>) {
    let is_single = difference.groups.len() <= 1;
    let told = difference.verdicts.iter();
    let told = told.filter(|it| is_single || it.kind != Kind::Healthy);
    let mut shown = 0;
    for verdict in told.take(VERDICTS) {
        let group = usize::try_from(verdict.process).ok();
        let group = group.and_then(|it| difference.groups.get(it));
        let whose = match group {
            Some(group) if !is_single => format!("{}: ", whose(group)),
            _ => String::new(),
        };
        lines.push(String::new());
        verdict::push_one(&whose, verdict, page, lines);
        shown += 1;
    }
    let rest = difference.verdicts.len().saturating_sub(shown);
    if rest > 0 {
        let text = format!(
            "and {}: see diff.json",
            words::counted(rest as u64, "other verdict")
        );
        lines.extend(wrap(&text, "         ", page.columns));
    }
}

fn name(difference: &Difference<'_>, row: &Row<'_>) -> String {
    let mut name = names::callers(row.frames, CALLERS);
    if let Some(pool) = row.pool {
        name = format!("{} (pool) < {name}", names::sanitize(pool));
    }
    match group(difference, row) {
        Some(group) if difference.groups.len() > 1 => format!("{}: {name}", whose(group)),
        _ => name,
    }
}

fn cells(difference: &Difference<'_>, change: &Change) -> Vec<String> {
    let per_second = difference.pace.bytes_per_second(change);
    vec![
        words::bytes(change.before.bytes),
        words::bytes(change.after.bytes),
        words::growth(change.bytes()),
        per_second.map(words::growth_per_second).unwrap_or_default(),
    ]
}
