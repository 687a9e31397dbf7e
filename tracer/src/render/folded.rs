//! `live.folded`: stacks and live bytes as flame graph tools read them.
//!
//! One line a site that holds live bytes: the process, the frames outermost
//! first, the allocator function; between them `;`; then a space and the bytes.
//! Marks are those of the field: `_[i]` for an inlined frame, `_[j]` for one
//! of code made at run time.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use crate::{
    analyze::leak_weight,
    model::{Frame, JAVASCRIPT, Level, Report, Site, Source, javascript_heap::own_part},
};

mod leak;
mod sockets;

pub(super) use leak::leak_stacks;
pub(super) use sockets::{peer_label, socket_stacks};

use super::names;

/// Deeper stacks lose their outermost frames. The kernel keeps 127; inlined
/// frames add to these; beyond that a recording is damaged or hostile.
const FRAMES_MAX: usize = 1000;

/// Writes all of `live.folded`. A name cannot end a line or a frame early.
///
/// # Errors
/// Those of `to`.
pub fn write(report: &Report, to: &mut impl Write) -> io::Result<()> {
    write_lines(stacks(report), to)
}

/// Writes the stacks of `mappings.svg`, with resident bytes.
///
/// # Errors
/// Those of `to`.
pub fn write_mappings(report: &Report, to: &mut impl Write) -> io::Result<()> {
    write_lines(mapping_stacks(report), to)
}

/// Writes the stacks of `fragmentation.svg`, with bytes that are free and resident.
///
/// # Errors
/// Those of `to`.
pub fn write_fragmentation(report: &Report, to: &mut impl Write) -> io::Result<()> {
    write_lines(fragmentation_stacks(report), to)
}

/// Writes what JavaScript functions were seen to allocate, with estimated bytes.
///
/// # Errors
/// Those of `to`.
pub fn write_javascript(report: &Report, to: &mut impl Write) -> io::Result<()> {
    write_lines(javascript_stacks(report), to)
}

/// Writes the stacks of `sockets.svg`, with queued bytes.
///
/// # Errors
/// Those of `to`.
pub fn write_sockets(report: &Report, to: &mut impl Write) -> io::Result<()> {
    write_lines(socket_stacks(report), to)
}

/// Writes the stacks of `leak.svg`, with what outlives and keeps growing.
///
/// # Errors
/// Those of `to`.
pub fn write_leak(report: &Report, to: &mut impl Write) -> io::Result<()> {
    let weights = leak_weight::weigh(report);
    let stacks = leak_stacks(report, &weights).into_iter();
    write_lines(stacks.map(|(stack, bytes, _)| (stack, bytes)), to)
}

fn write_lines(
    stacks: impl IntoIterator<Item = (String, u64)>,
    to: &mut impl Write,
) -> io::Result<()> {
    for (stack, bytes) in stacks {
        writeln!(to, "{stack} {bytes}")?;
    }
    Ok(())
}

/// Stack and live bytes of each site that has any, in the report's order.
pub(super) fn stacks(report: &Report) -> impl Iterator<Item = (String, u64)> {
    report
        .sites
        .iter()
        .filter(|site| site.counts.live_bytes > 0)
        .map(|site| {
            let stack = stack(report, site.process, &site.frames, site.source);
            (stack, site.counts.live_bytes)
        })
}

/// Stack and resident bytes of each site that mapped memory and holds any.
pub(super) fn mapping_stacks(report: &Report) -> impl Iterator<Item = (String, u64)> {
    let processes = report.mappings.iter().flat_map(|it| &it.processes);
    processes.flat_map(move |process| {
        process
            .sites
            .iter()
            .filter(|site| site.extent.resident_bytes > 0)
            .map(|site| {
                let stack = stack(report, process.process, &site.frames, site.source);
                (stack, site.extent.resident_bytes)
            })
    })
}

/// Stack and estimated bytes of each site where V8 was seen to allocate.
pub(super) fn javascript_stacks(report: &Report) -> impl Iterator<Item = (String, u64)> {
    let heaps = report.javascript.iter().flat_map(|it| &it.processes);
    heaps.flat_map(move |heap| {
        heap.sites.iter().map(|site| {
            let frames = own_part(&site.frames);
            let stack = stack(report, heap.process, frames, Source::JavascriptHeap);
            (stack, site.estimated_bytes)
        })
    })
}

/// What is pinned by the sites whose live blocks pin it, beside what is free on
/// whole pages by the sites that freed most of it; and bytes of each.
pub(super) fn fragmentation_stacks(report: &Report) -> Vec<(String, u64)> {
    const PINNED: &str = "[free beside live blocks of]";
    let pinned_unseen = match (report.window.from_start, report.level) {
        (false, Level::Exact) => "[allocated before the trace]",
        _ => "[blocks that the trace has not seen]",
    };
    const RETAINED: &str = "[free on whole pages, freed by (predicted)]";
    const RETAINED_UNSEEN: &str = "[freed before the trace, or never handed out]";
    const LEFT_OUT: &str = "[not looked at page by page]";
    let sites: HashMap<(u32, &str), &Site> = (report.sites.iter())
        .map(|site| ((site.process, site.site_id.as_str()), site))
        .collect();
    let mut stacks = Vec::new();
    for heap in report.heap.iter().flat_map(|it| &it.processes) {
        let process = names::process_of(report, heap.process);
        let pinned = (heap.pinned.as_ref()).map(|it| (it, PINNED, pinned_unseen));
        let retained = (heap.retained.as_ref()).map(|it| (it, RETAINED, RETAINED_UNSEEN));
        for (shares, what, unseen) in [pinned, retained].into_iter().flatten() {
            let mut base = root(&process);
            push(&mut base, what);
            for share in shares.sites.iter().filter(|it| it.bytes > 0) {
                let key = (heap.process, share.site_id.as_str());
                let line = match sites.get(&key) {
                    Some(site) => on(base.clone(), &site.frames, site.source),
                    None => on(base.clone(), &[], Source::Unknown),
                };
                stacks.push((line, share.bytes));
            }
            for (what, bytes) in [
                (unseen, shares.unseen_bytes),
                (LEFT_OUT, shares.left_out_bytes),
            ] {
                if bytes > 0 {
                    let mut line = base.clone();
                    push(&mut line, what);
                    stacks.push((line, bytes));
                }
            }
        }
    }
    stacks
}

fn stack(report: &Report, process: u32, frames: &[Frame], source: Source) -> String {
    on(root(&names::process_of(report, process)), frames, source)
}

/// Frames on top of what stands at the bottom.
pub(super) fn tower(bottom: &str, frames: &[Frame]) -> String {
    on_frames(root(bottom), frames)
}

/// Frames and allocator function, on top of what stands there.
fn on(line: String, frames: &[Frame], source: Source) -> String {
    let mut line = on_frames(line, frames);
    push(&mut line, source.name());
    line
}

fn on_frames(mut line: String, frames: &[Frame]) -> String {
    if frames.is_empty() {
        push(&mut line, names::STACK_LOST);
    }
    let cut = frames.len().saturating_sub(FRAMES_MAX);
    if cut > 0 {
        push(&mut line, &format!("[{cut} more frames]"));
    }
    for frame in frames.iter().take(FRAMES_MAX).rev() {
        line.push(';');
        line.push_str(&label(frame));
    }
    line
}

/// How a frame is written.
pub(super) fn label(frame: &Frame) -> String {
    escape(&names::brief(frame)) + mark(frame)
}

/// Readers take a line that begins with `# ` for a comment.
fn root(process: &str) -> String {
    let process = escape(process);
    match process.strip_prefix('#') {
        Some(rest) => format!("{}{rest}", char::REPLACEMENT_CHARACTER),
        None => process,
    }
}

fn push(line: &mut String, frame: &str) {
    line.push(';');
    line.push_str(&escape(frame));
}

/// `;` stands in Rust's names of arrays, `[u8; 8]`; here it ends a frame.
fn escape(name: &str) -> String {
    name.replace(';', ":")
}

fn mark(frame: &Frame) -> &'static str {
    if frame.inlined {
        "_[i]"
    } else if matches!(frame.module.as_str(), "[jit]" | JAVASCRIPT) {
        "_[j]"
    } else {
        ""
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::sample;

    fn folded(report: &Report) -> String {
        let mut text = Vec::new();
        write(report, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    /// The file is what flame graph tools expect: root to leaf, marks, live sites only.
    #[test]
    fn writes_a_line_for_each_live_site() {
        assert_eq!(
            folded(&sample::small()),
            "node (4242);main;v8::Run(int);JS:~onRequest /srv/app.js:7:1_[j];\
             keep<[u8: 8]>_[i];leak_buffer;malloc 8388608\n\
             node (4242);libuv.so.1+0x1f0;calloc 1048576\n\
             node (4242);[stack lost];realloc 512\n"
        );
    }

    /// Names cannot forge lines, frames, comments or counts.
    #[test]
    fn hostile_names_stay_in_their_place() {
        let mut report = sample::small();
        report.processes[0].command = "# \nevil;".to_owned();
        report.sites.truncate(1);
        report.sites[0].frames.truncate(1);
        report.sites[0].frames[0].function = Some("a;b 77\nroot;x 1 2\u{2028}".to_owned());
        assert_eq!(
            folded(&report),
            "\u{fffd} \u{fffd}evil: (4242);a:b 77\u{fffd}root:x 1 2\u{fffd};malloc 8388608\n"
        );
    }

    /// An endless stack keeps the frames next to the allocator and says what it left out.
    #[test]
    fn cuts_endless_stacks() {
        let mut report = sample::small();
        report.sites.truncate(1);
        let inner = report.sites[0].frames[0].clone();
        report.sites[0].frames = vec![inner; FRAMES_MAX + 5];
        let text = folded(&report);
        assert!(text.starts_with("node (4242);[5 more frames];leak_buffer;"));
        assert_eq!(text.matches(";leak_buffer").count(), FRAMES_MAX);
    }

    proptest! {
        /// Whatever the names, each live site is one line with its own bytes, and frames are counted right.
        #[test]
        fn one_line_each(report in sample::any_report()) {
            let text = folded(&report);
            let live: Vec<&Site> =
                report.sites.iter().filter(|site| site.counts.live_bytes > 0).collect();
            prop_assert_eq!(text.lines().count(), live.len());
            for (line, site) in text.split_terminator('\n').zip(live) {
                let (stack, bytes) = line.rsplit_once(' ').unwrap();
                prop_assert_eq!(bytes.parse::<u64>().unwrap(), site.counts.live_bytes);
                let frames = site.frames.len().max(1);
                prop_assert_eq!(stack.split(';').count(), frames + 2);
                prop_assert!(!line.starts_with("# ") && !line.starts_with(' '));
            }
        }
    }
}
