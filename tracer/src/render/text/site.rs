//! One site: its figures in a line, its stack below, innermost frame first.

use crate::model::{Frame, Report, Site};
use crate::render::layout::{Ink, cut_end, cut_start, ink, width};
use crate::render::{names, words};

use super::Page;

/// How many frames of a stack are shown, the innermost.
const FRAMES: usize = 18;

const INDENT: &str = "      ";

/// Appends the site to `lines`; true if a frame shown may be wrong.
pub fn push(
    report: &Report,
    site: &Site,
    rank: usize,
    page: Page,
    lines: &mut Vec<String>,
) -> bool {
    let counts = &site.counts;
    let bytes = words::bytes(counts.live_bytes);
    let share = words::share(counts.live_bytes, report.totals.counts.live_bytes);
    let mut figures = format!(
        "{share}, {} by {}, oldest {}",
        words::counted(counts.live_blocks, "block"),
        site.source.name(),
        words::seconds(site.oldest_seconds)
    );
    if let Some(pool) = &site.pool {
        figures = format!("{figures}, growth of a pool ({})", names::sanitize(pool));
    }
    if report.processes.len() > 1 {
        figures = format!("{figures}, in {}", names::process_of(report, site.process));
    }
    let beginning = format!("{rank:>3}. {bytes:>10}");
    let room = page.columns.saturating_sub(width(&beginning) + 2);
    let beginning = ink(&beginning, Ink::Bold, page.colour);
    lines.push(format!("{beginning}  {}", cut_end(&figures, room)));
    let approximate = push_stack(&site.frames, page, lines);
    if !site.stack_end.is_root() {
        let text = format!("(the stack ends here: {})", site.stack_end.describe());
        let text = cut_end(&text, page.columns - INDENT.len());
        lines.push(format!("{INDENT}{}", ink(&text, Ink::Dim, page.colour)));
    }
    approximate
}

fn push_stack(frames: &[Frame], page: Page, lines: &mut Vec<String>) -> bool {
    if frames.is_empty() {
        lines.push(format!("{INDENT}{}", names::STACK_LOST));
        return false;
    }
    // A line that says "1 more" could as well be that frame.
    let shown = if frames.len() <= FRAMES + 1 {
        frames.len()
    } else {
        FRAMES
    };
    for frame in &frames[..shown] {
        lines.push(line(frame, page));
    }
    if let Some(outermost) = frames[shown..].last() {
        let text = format!(
            "… {} more, from {}",
            frames.len() - shown,
            names::frame(outermost)
        );
        let text = cut_end(&text, page.columns - INDENT.len());
        lines.push(format!("{INDENT}{}", ink(&text, Ink::Dim, page.colour)));
    }
    frames[..shown].iter().any(|frame| frame.approximate)
}

/// The name, and behind it the place: the name gets what it needs, up to all
/// but a third of the line.
fn line(frame: &Frame, page: Page) -> String {
    let mut name = names::frame(frame);
    if frame.approximate {
        name.insert_str(0, words::APPROXIMATE_MARK);
    }
    if frame.inlined {
        name.push_str(" [inlined]");
    }
    let room = page.columns - INDENT.len();
    let named = frame.function.is_some() || frame.file.is_some();
    let place = if named {
        names::place(frame)
    } else {
        "".into()
    };
    if place.is_empty() {
        return format!("{INDENT}{}", cut_end(&name, room));
    }
    let name = cut_end(&name, room - (room / 3).min(width(&place) + 2));
    let place = cut_start(&place, room - width(&name) - 2);
    format!("{INDENT}{name}  {}", ink(&place, Ink::Dim, page.colour))
}
