//! What the reader of a profile must know beside its numbers: its comments.

use crate::model::{Report, Site};
use crate::render::{loss, names, text, words};

/// Notes and allocators that are written out; beyond that a recording is hostile.
const MOST: usize = 100;

/// Sentences, the most important first.
pub fn comments(report: &Report) -> Vec<String> {
    let window = &report.window;
    let mut comments = vec![format!(
        "memtrace {}: {}, {} from {}",
        names::sanitize(&report.tool_version),
        names::processes(report),
        words::seconds(window.seconds),
        words::utc(&window.start_utc),
    )];
    comments.push(format!("level: {}", text::level(report)));
    let what = if window.from_start {
        "inuse: allocated and not freed by the end of the window."
    } else {
        "inuse: allocated within the window and not freed by its end; \
         what the process held before is not counted."
    };
    comments.push(what.to_owned());
    comments.extend(loss::sentences(&report.loss).map(|text| format!("LOST: {text}")));
    capped(&report.not_covered, "NOT COVERED", &mut comments);
    comments.extend(incomplete_stacks(report));
    if (report.sites.iter().flat_map(|site| &site.frames)).any(|frame| frame.approximate) {
        comments.push(
            "Some frames may be wrong: found by a frame pointer, behind code that no unwind \
             table tells of. report.json marks them."
                .to_owned(),
        );
    }
    comments.push(
        "Addresses are offsets in the modules' files. Mapped memory, heaps and sockets are \
         not in this profile: see report.json."
            .to_owned(),
    );
    capped(&report.notes, "note", &mut comments);
    comments
}

/// Stacks that do not reach their root would pass for whole ones here.
fn incomplete_stacks(report: &Report) -> Option<String> {
    let cut = |site: &&Site| !site.stack_end.is_root() || site.frames.is_empty();
    let (mut sites, mut bytes) = (0, 0_u64);
    for site in report.sites.iter().filter(cut) {
        sites += 1;
        bytes = bytes.saturating_add(site.counts.live_bytes);
    }
    (sites > 0).then(|| {
        format!(
            "{} do not reach the thread's first function, or were lost: {} inuse.",
            words::counted(sites, "stack"),
            words::bytes(bytes)
        )
    })
}

fn capped(texts: &[String], what: &str, comments: &mut Vec<String>) {
    let shown = texts.iter().take(MOST).map(|text| names::sanitize(text));
    comments.extend(shown.map(|text| format!("{what}: {text}")));
    if let Some(more @ 1..) = texts.len().checked_sub(MOST) {
        comments.push(format!("{what}: {more} more in report.json"));
    }
}
