use std::path::Path;

use proptest::prelude::*;
use roxmltree::{Document, ParsingOptions};

use super::*;
use crate::model::{Frame, Loss, LossCause, Source};
use crate::render::sample;

mod leak;

fn svg(report: &Report) -> String {
    let mut svg = Vec::new();
    write(report, &mut svg).unwrap();
    String::from_utf8(svg).unwrap()
}

fn mappings_svg(report: &Report) -> String {
    let mut svg = Vec::new();
    write_mappings(report, &mut svg).unwrap();
    String::from_utf8(svg).unwrap()
}

fn sockets_svg(report: &Report) -> String {
    let mut svg = Vec::new();
    write_sockets(report, &mut svg).unwrap();
    String::from_utf8(svg).unwrap()
}

fn live_subtitle(report: &Report) -> String {
    subtitle(report, &level(report), frames_of(&report.sites))
}

fn parse(svg: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(svg, options).unwrap()
}

fn text_of(document: &Document<'_>, id: &str) -> String {
    let element = document
        .descendants()
        .find(|node| node.attribute("id") == Some(id))
        .unwrap();
    element.text().unwrap().to_owned()
}

/// What a reader sees on hovering each frame.
fn frames(document: &Document<'_>) -> Vec<String> {
    document
        .descendants()
        .filter(|node| node.has_tag_name("title"))
        .map(|node| node.text().unwrap().to_owned())
        .collect()
}

/// Compares with the kept picture; `MEMTRACE_BLESS=1` keeps the new one. The
/// script is inferno's and under its licence: left out.
fn assert_golden(name: &str, svg: &str) {
    let (head, rest) = svg.split_once("<script").unwrap_or((svg, "</script>"));
    let (_, tail) = rest.split_once("</script>").unwrap();
    // One element a line, so that a changed picture can be read as a diff.
    let picture = format!("{head}{tail}").replace("><", ">\n<");
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/render/flamegraph")
        .join(name);
    if std::env::var_os("MEMTRACE_BLESS").is_some() {
        std::fs::write(&path, &picture).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept == picture,
        "{name} differs; look at it, then MEMTRACE_BLESS=1"
    );
}

/// The picture changes only on purpose.
#[test]
fn draws_the_kept_pictures() {
    assert_golden("small.svg", &svg(&sample::small()));
    assert_golden("troubled.svg", &svg(&sample::troubled()));
    assert_golden("empty.svg", &svg(&sample::empty()));
    assert_golden("mappings.svg", &mappings_svg(&sample::troubled()));
    assert_golden("sockets.svg", &sockets_svg(&sample::troubled()));
}

/// Title and subtitle tell whose memory, how much, when, how completely.
#[test]
fn says_what_it_shows() {
    let svg = svg(&sample::small());
    let document = parse(&svg);
    assert_eq!(
        text_of(&document, "title"),
        "memtrace: live memory of node (4242): 9.0 MiB in 130 blocks"
    );
    assert_eq!(
        text_of(&document, "subtitle"),
        "30.0 s from 2026-11-20 19:58:07 UTC · \
         every call recorded · nothing lost · some frames may be wrong: see report.json"
    );
    let frames = frames(&document);
    assert!(
        frames.contains(&"leak_buffer (8,388,608 bytes, 88.88%)".to_owned()),
        "{frames:?}"
    );
    assert!(frames.contains(&"keep<[u8: 8]> (8,388,608 bytes, 88.88%)".to_owned()));
    assert!(frames.contains(&"calloc (1,048,576 bytes, 11.11%)".to_owned()));
}

/// Loss and sampling stand in the picture, also when there is nothing else to draw.
#[test]
fn loss_is_visible() {
    let mut report = sample::troubled();
    let expected = "30.0 s from 2026-11-20 19:58:07 UTC · \
                    sampled, 1 in 8: estimates · LOST: ledger full 1,200 calls (5.6 MiB), \
                    missed return 34 calls · \
                    NOT COVERED: 1 allocator";
    assert_eq!(live_subtitle(&report), expected);
    assert!(title(&report).ends_with(": about 9.0 MiB in 130 blocks"));
    report.sites.clear();
    let svg = svg(&report);
    assert_eq!(text_of(&parse(&svg), "subtitle"), expected);
    report.level = Level::Exact;
    assert!(live_subtitle(&report).contains(" · not sampled · LOST: "));
}

/// With every cause at work and endless names the heading still fits the picture.
#[test]
fn the_heading_fits() {
    let mut report = sample::troubled();
    report.processes[0].command = "x".repeat(5_000);
    report.window.start_utc = "y".repeat(5_000);
    let causes = [
        LossCause::LedgerFull,
        LossCause::LedgerOutOfMemory,
        LossCause::SiteTableFull,
        LossCause::StackCollision,
        LossCause::StackTruncated,
    ];
    report.loss = causes
        .map(|cause| Loss {
            cause,
            calls: 1_000_000_000,
            bytes: Some(u64::MAX),
        })
        .to_vec();
    assert!(
        width(&title(&report)) <= TITLE_COLUMNS,
        "{}",
        title(&report)
    );
    assert!(title(&report).ends_with(": about 9.0 MiB in 130 blocks"));
    let subtitle = live_subtitle(&report);
    assert!(
        subtitle.contains("LOST: 5 causes 5,000,000,000 calls"),
        "{subtitle}"
    );
    assert!(width(&subtitle) <= SUBTITLE_COLUMNS, "{subtitle}");
}

/// A trace without live blocks gives a picture that says so.
#[test]
fn empty_is_a_picture() {
    let mut report = sample::empty();
    report.processes[0].command = "<&\">".to_owned();
    let svg = svg(&report);
    let document = parse(&svg);
    assert_eq!(
        text_of(&document, "title"),
        "memtrace: live memory of <&\"> (4242): 0 B in 0 blocks"
    );
    assert!(text_of(&document, "empty").starts_with("Nothing allocated"));
}

/// The picture of the sockets tells how much waits on which side, and for whom; one
/// of a trace that did not look says so.
#[test]
fn sockets_are_a_picture() {
    let mut report = sample::troubled();
    let svg = sockets_svg(&report);
    let document = parse(&svg);
    assert_eq!(
        text_of(&document, "title"),
        "memtrace: socket queues of node (4242): 37.8 MiB to send, 63.9 KiB not read, 32.0 KiB of orphans"
    );
    let frames = frames(&document);
    let slow = "10.0.0.1:51001 (does not read) (4,185,008 bytes, 10.54%)";
    assert!(frames.contains(&slow.to_owned()), "{frames:?}");
    report.sockets = None;
    let svg = sockets_svg(&report);
    let told = "The sockets were not looked at (--no-sockets).";
    assert_eq!(text_of(&parse(&svg), "empty"), told);
}

/// Markup in names stays text, and names made to confuse inferno's reader do not.
#[test]
fn hostile_names_stay_text() {
    let mut report = sample::small();
    report.processes[0].command = "# <b>&\"evil".to_owned();
    let named = |name: &str| Frame {
        function: Some(name.to_owned()),
        ..Frame::default()
    };
    let evil = "]]></title><script>\u{1b}[2J\n;\u{ffff}";
    report.sites[0].frames = vec![named(evil)];
    report.sites[1].source = Source::Malloc;
    report.sites[1].frames = vec![named("malloc 1z"), named("f")];
    report.sites.insert(2, report.sites[1].clone());
    report.sites[2].frames = vec![named("f")];
    let svg = svg(&report);
    let document = parse(&svg);
    let scripts = document
        .descendants()
        .filter(|node| node.has_tag_name("script"))
        .count();
    assert_eq!(scripts, 1);
    let frames = frames(&document);
    let shown = "]]></title><script>\u{fffd}[2J\u{fffd}:\u{fffd} (8,388,608 bytes, 80.00%)";
    assert!(frames.contains(&shown.to_owned()), "{frames:?}");
    assert!(
        frames.contains(&"malloc 1z (1,048,576 bytes, 10.00%)".to_owned()),
        "{frames:?}"
    );
    assert!(
        frames.contains(&"f (2,097,152 bytes, 20.00%)".to_owned()),
        "{frames:?}"
    );
    let root = "\u{fffd} <b>&\"evil (4242) (10,486,272 bytes, 100.00%)";
    assert!(frames.contains(&root.to_owned()), "{frames:?}");
}

/// Figures of a damaged report that exceed 64 bits are refused, not wrapped.
#[test]
fn refuses_impossible_sums() {
    let mut report = sample::small();
    report.sites[0].counts.live_bytes = u64::MAX;
    let error = write(&report, Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

/// Two renders of one report are the same, byte for byte.
#[test]
fn is_deterministic() {
    let report = sample::node_sized(50);
    assert!(svg(&report) == svg(&report));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any report gives well-formed XML whose root frame holds all live bytes.
    #[test]
    fn any_report_is_a_picture(report in sample::any_report()) {
        let svg = svg(&report);
        let document = parse(&svg);
        let live = report.totals.counts.live_bytes;
        if live > 0 {
            // Inferno's figures are doubles.
            let all = format!("all ({} bytes, 100%)", words::count(live as f64 as u64));
            prop_assert!(frames(&document).contains(&all));
        }
    }

    /// The same of what was mapped, unless its figures cannot be.
    #[test]
    fn any_mappings_are_a_picture(report in sample::any_report()) {
        let mut svg = Vec::new();
        let resident: u128 =
            mapping_sites(&report).map(|site| u128::from(site.extent.resident_bytes)).sum();
        match write_mappings(&report, &mut svg) {
            Ok(()) => {
                let svg = String::from_utf8(svg).unwrap();
                let document = parse(&svg);
                if resident > 0 {
                    let all = format!("all ({} bytes, 100%)", words::count(resident as f64 as u64));
                    prop_assert!(frames(&document).contains(&all));
                }
            }
            Err(_) => prop_assert!(u64::try_from(resident).is_err()),
        }
    }

    /// And of sockets.
    #[test]
    fn any_sockets_are_a_picture(report in sample::any_report()) {
        let svg = sockets_svg(&report);
        let document = parse(&svg);
        let queued: u64 = folded::socket_stacks(&report).iter().map(|(_, bytes)| bytes).sum();
        if queued > 0 {
            let all = format!("all ({} bytes, 100%)", words::count(queued as f64 as u64));
            prop_assert!(frames(&document).contains(&all));
        }
    }
}
