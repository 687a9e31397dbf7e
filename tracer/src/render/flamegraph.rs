//! `live.svg`: the live bytes as a flame graph, drawn by inferno; `mappings.svg`:
//! the resident bytes of mappings; `fragmentation.svg`: what is free and resident;
//! `sockets.svg`: what is in the queues of sockets; `leak.svg`: what keeps growing.
//!
//! Width is bytes; the process stands at the bottom, the allocator function on
//! top. The title says whose memory and how much, the subtitle when, how
//! completely, and what was lost. The same report gives the same picture.

use std::io::{self, Write};

use inferno::flamegraph::{self, Options, TextTruncateDirection, color, color::PaletteMap};

use crate::model::{
    Frame, Level, MappingSite, Report, Site, trace_heap::Shares, trace_sockets::Queue,
};

use super::layout::{cut_end, width};
use super::{folded, loss, names, palette, words};

mod empty;
mod faulted;
mod leak;

pub(super) use faulted::{write_faulted, write_faulted_difference};
pub use leak::write_leak;

/// Frames narrower than this share of the picture, in per cent, are left out:
/// about half a pixel, so that the file stays small enough for a browser.
const MIN_WIDTH: f64 = 0.05;

/// Width of a character in font heights; common monospace fonts have 0.6, and
/// names must not run into the next frame.
const FONT_WIDTH: f64 = 0.61;

/// What fits into the picture's 1200 pixels beside inferno's buttons.
pub(super) const TITLE_COLUMNS: usize = 100;
pub(super) const SUBTITLE_COLUMNS: usize = 160;

/// Causes of loss named in the subtitle, where they fit.
const CAUSES_MAX: usize = 4;

const IMPOSSIBLE: &str = "the sites' bytes add up to more than there can be: damaged report";

/// Said where there is room: the numbers come first.
const APPROXIMATE: &str = " · some frames may be wrong: see report.json";

/// Writes the picture of the live bytes; for a report without any, one that says so.
///
/// # Errors
/// Those of `to`; `InvalidData` for a damaged report whose bytes add up to
/// 2^64 and more.
pub fn write(report: &Report, to: impl Write) -> io::Result<()> {
    let picture = Picture {
        title: title(report),
        subtitle: subtitle(report, &level(report), frames_of(&report.sites)),
        empty: "Nothing allocated within the window was live at its end.",
    };
    let colours = palette::colours(frames_of(&report.sites));
    draw(folded::stacks(report).collect(), picture, colours, to)
}

/// Writes the picture of the resident bytes that the processes mapped themselves.
///
/// # Errors
/// As [`write`].
pub fn write_mappings(report: &Report, to: impl Write) -> io::Result<()> {
    let frames = mapping_sites(report).flat_map(|site| &site.frames);
    let picture = Picture {
        title: mappings_title(report),
        subtitle: subtitle(report, "what was resident at the end", frames),
        empty: match &report.mappings {
            Some(mappings) if mappings.processes.is_empty() => {
                "The processes ended before the trace did: what they had mapped went with them."
            }
            Some(_) => "Nothing was mapped within the window, beside what allocators mapped.",
            None => "Mapping calls were not watched (--no-mappings).",
        },
    };
    let frames = mapping_sites(report).flat_map(|site| &site.frames);
    let colours = palette::colours(frames);
    draw(
        folded::mapping_stacks(report).collect(),
        picture,
        colours,
        to,
    )
}

/// Writes the picture of what JavaScript functions were seen to allocate.
///
/// # Errors
/// As [`write`].
pub fn write_javascript(report: &Report, to: impl Write) -> io::Result<()> {
    let heaps = || report.javascript.iter().flat_map(|it| &it.processes);
    let bytes = heaps()
        .map(|it| it.allocated_bytes)
        .fold(0, u64::saturating_add);
    let frames = || heaps().flat_map(|it| &it.sites).flat_map(|it| &it.frames);
    let picture = Picture {
        title: title_of("JavaScript heap allocated by", report, &words::bytes(bytes)),
        subtitle: subtitle(
            report,
            "sampled once an allocation buffer; collected or not",
            frames(),
        ),
        empty: "No allocation in a JavaScript heap was seen.",
    };
    let colours = palette::colours(frames());
    draw(
        folded::javascript_stacks(report).collect(),
        picture,
        colours,
        to,
    )
}

/// Writes the picture of what is free and resident all the same: who pins it, and
/// who freed it.
///
/// # Errors
/// As [`write`].
pub fn write_fragmentation(report: &Report, to: impl Write) -> io::Result<()> {
    let picture = Picture {
        title: fragmentation_title(report),
        subtitle: subtitle(
            report,
            "free but resident, at the end",
            frames_of(&report.sites),
        ),
        empty: match &report.heap {
            Some(heap) if heap.processes.iter().all(|it| it.retained.is_none()) => {
                "No heap could be looked into: see report.json."
            }
            Some(_) => "Nothing was free and resident all the same.",
            None => "The heaps were not looked at (--no-heap).",
        },
    };
    let colours = palette::colours(frames_of(&report.sites));
    draw(folded::fragmentation_stacks(report), picture, colours, to)
}

/// Writes the picture of what is in the kernel's queues of sockets: whose code sent
/// or received it, and who the other end is.
///
/// # Errors
/// As [`write`].
pub fn write_sockets(report: &Report, to: impl Write) -> io::Result<()> {
    let sites = || report.sockets.iter().flat_map(|it| &it.sites);
    let frames = || sites().flat_map(|site| &site.frames);
    let picture = Picture {
        title: sockets_title(report),
        subtitle: subtitle(report, "in the kernel, at the end", frames()),
        empty: match &report.sockets {
            Some(_) => "Nothing was in the queues of sockets at the end.",
            None => "The sockets were not looked at (--no-sockets).",
        },
    };
    let mut colours = palette::colours(frames());
    palette::add_peers(&mut colours, sites().flat_map(|site| &site.peers));
    draw(folded::socket_stacks(report), picture, colours, to)
}

/// What stands around the flames.
pub(super) struct Picture {
    pub title: String,
    pub subtitle: String,
    /// In their place, where there are none.
    pub empty: &'static str,
}

/// Draws stacks with bytes before and after, the second above 0, sorted frame by
/// frame: as wide as what is after, each frame in the colour of what it gained itself.
pub(super) fn draw_difference(
    stacks: &[(String, u64, u64)],
    picture: Picture,
    mut to: impl Write,
) -> io::Result<()> {
    if stacks.is_empty() {
        return empty::write_empty(&picture, &mut to);
    }
    // Inferno multiplies the largest difference by 150 in 64 bits.
    const MOST: u128 = i64::MAX as u128 / 150;
    let sum = |of: fn(&(String, u64, u64)) -> u64| -> u128 {
        stacks.iter().map(|stack| u128::from(of(stack))).sum()
    };
    if sum(|it| it.1).max(sum(|it| it.2)) > MOST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, IMPOSSIBLE));
    }
    // As a flame chart inferno takes the order as it is, from the last to the first. Its
    // own, by whole lines, puts `f!g` between `f` and `f;h` and tears `f` in two.
    let lines: Vec<String> = (stacks.iter().rev())
        .map(|(stack, before, after)| format!("{stack} {before} {after}"))
        .collect();
    let mut options = options(picture);
    options.flame_chart = true;
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), to)
}

pub(super) fn draw(
    mut stacks: Vec<(String, u64)>,
    picture: Picture,
    mut colours: PaletteMap,
    mut to: impl Write,
) -> io::Result<()> {
    let total: u128 = stacks.iter().map(|(_, bytes)| u128::from(*bytes)).sum();
    if total == 0 {
        return empty::write_empty(&picture, &mut to);
    }
    if u64::try_from(total).is_err() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, IMPOSSIBLE));
    }
    // Inferno sorts whole lines, counts included, then insists on sorted
    // stacks: a function named `malloc 1z` would make it give up.
    stacks.sort_unstable();
    let lines: Vec<String> = stacks
        .into_iter()
        .map(|(stack, bytes)| format!("{stack} {bytes}"))
        .collect();
    let mut options = options(picture);
    options.palette_map = Some(&mut colours);
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), to)
}

fn options<'a>(picture: Picture) -> Options<'a> {
    let mut options = Options::default();
    options.title = picture.title;
    options.subtitle = Some(picture.subtitle);
    options.count_name = "bytes".to_owned();
    // By kind of code, where `palette` has no other.
    options.colors = color::Palette::Multi(color::MultiPalette::Js);
    options.bgcolors = Some(color::BackgroundColor::Grey);
    options.deterministic = true;
    options.min_width = MIN_WIDTH;
    options.font_width = FONT_WIDTH;
    options.text_truncate_direction = TextTruncateDirection::Right;
    options.no_sort = true;
    options
}

fn mappings_title(report: &Report) -> String {
    let resident = mapping_sites(report).fold(0_u64, |sum, site| {
        sum.saturating_add(site.extent.resident_bytes)
    });
    title_of("resident memory mapped by", report, &words::bytes(resident))
}

fn fragmentation_title(report: &Report) -> String {
    let heaps = || report.heap.iter().flat_map(|it| &it.processes);
    let total = |shares: &mut dyn Iterator<Item = &Shares>| {
        shares.map(Shares::total).fold(0, u64::saturating_add)
    };
    let pinned = total(&mut heaps().filter_map(|it| it.pinned.as_ref()));
    let retained = total(&mut heaps().filter_map(|it| it.retained.as_ref()));
    let figures = format!(
        "{} on whole pages, {} pinned",
        words::bytes(retained),
        words::bytes(pinned)
    );
    title_of("freed but resident in", report, &figures)
}

fn sockets_title(report: &Report) -> String {
    let queued = |queue: Queue| {
        let sockets = || report.sockets.iter();
        let sites = sockets().flat_map(|it| &it.sites);
        let sites = sites.filter(|it| it.queue == queue).map(|it| it.bytes);
        let rest = sockets().flat_map(|it| &it.unattributed);
        let rest = rest.filter(|it| it.queue == queue).map(|it| it.bytes);
        sites.chain(rest).fold(0, u64::saturating_add)
    };
    let mut figures = format!(
        "{} to send, {} not read",
        words::bytes(queued(Queue::Send)),
        words::bytes(queued(Queue::Receive))
    );
    for (queue, what) in [
        (Queue::Accept, "not accepted"),
        (Queue::Orphan, "of orphans"),
    ] {
        if queued(queue) > 0 {
            figures = format!("{figures}, {} {what}", words::bytes(queued(queue)));
        }
    }
    title_of("socket queues of", report, &figures)
}

fn title(report: &Report) -> String {
    let counts = &report.totals.counts;
    let about = match report.level {
        Level::Exact => "",
        Level::Sampled => "about ",
    };
    let figures = format!(
        "{about}{} in {}",
        words::bytes(counts.live_bytes),
        words::counted(counts.live_blocks, "block")
    );
    title_of("live memory of", report, &figures)
}

fn title_of(what: &str, report: &Report, figures: &str) -> String {
    let around = format!("memtrace: {what} : {figures}");
    let room = TITLE_COLUMNS.saturating_sub(width(&around));
    let processes = names::processes(report);
    format!("memtrace: {what} {}: {figures}", cut_end(&processes, room))
}

fn mapping_sites(report: &Report) -> impl Iterator<Item = &MappingSite> {
    let processes = report.mappings.iter().flat_map(|it| &it.processes);
    processes.flat_map(|process| &process.sites)
}

fn frames_of(sites: &[Site]) -> impl Iterator<Item = &Frame> {
    sites.iter().flat_map(|site| &site.frames)
}

/// When, how the bytes were found, what was lost, as far as there is room.
fn subtitle<'a>(
    report: &Report,
    found: &str,
    mut frames: impl Iterator<Item = &'a Frame>,
) -> String {
    let mut text = (1..=CAUSES_MAX)
        .rev()
        .map(|causes| subtitle_with(report, found, causes))
        .find(|text| width(text) <= SUBTITLE_COLUMNS)
        .unwrap_or_else(|| subtitle_with(report, found, 0));
    let notes = (!report.notes.is_empty()).then(|| {
        let notes = words::counted(report.notes.len() as u64, "note");
        format!(" · {notes} in report.json")
    });
    let approximate = frames
        .any(|frame| frame.approximate)
        .then(|| APPROXIMATE.to_owned());
    for more in [notes, approximate].into_iter().flatten() {
        if width(&text) + width(&more) <= SUBTITLE_COLUMNS {
            text.push_str(&more);
        }
    }
    text
}

fn level(report: &Report) -> String {
    match (report.level, &report.sampling) {
        (Level::Exact, _) if loss::any(&report.loss) || !report.not_covered.is_empty() => {
            "not sampled".to_owned()
        }
        (Level::Exact, _) => "every call recorded".to_owned(),
        (Level::Sampled, Some(sampling)) => match &sampling.slices {
            Some(slices) => format!("sampled for {}: estimates", words::seconds(slices.seconds)),
            None => {
                let one_in = words::count(u64::from(sampling.one_in));
                format!("sampled, 1 in {one_in}: estimates")
            }
        },
        (Level::Sampled, None) => "sampled: estimates".to_owned(),
    }
}

fn subtitle_with(report: &Report, found: &str, causes: usize) -> String {
    let mut parts = vec![
        format!(
            "{} from {}",
            words::seconds(report.window.seconds),
            cut_end(&words::utc(&report.window.start_utc), 32)
        ),
        found.to_owned(),
        loss::summary(&report.loss, causes).replace("lost: ", "LOST: "),
    ];
    if !report.not_covered.is_empty() {
        let allocators = words::counted(report.not_covered.len() as u64, "allocator");
        parts.push(format!("NOT COVERED: {allocators}"));
    }
    parts.join(" · ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
