//! Reports of strangers: `report.json` and `recording.memtrace`. What is read
//! comes back the same when written again, and no render breaks on it.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};
use tracer::{
    model::Report,
    render::{flamegraph, folded, invariants, json, text},
    store::recording,
};

use crate::seeds::REPORT;

pub const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "-1",
    "1e308",
    "18446744073709551615",
    "\"18446744073709551615\"",
    "9007199254740992",
    "\\u0000",
    "\\u202e",
    "\\ud800",
    "\"schema\":2",
    "\"loss\"",
    "\"exit\":{\"kind\":\"exec\"}",
    "<script>",
    "]]>",
    "&",
    ";",
    "\u{1b}[2J",
];

pub fn report_seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    Ok(vec![REPORT.to_vec()])
}

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let mut whole = Vec::new();
    recording::write(&json::read(REPORT)?, &mut whole)?;
    Ok(vec![whole])
}

/// `report.json`, and the same inside a sound envelope.
pub fn run_report(text: &[u8]) {
    let read = json::read(text).ok();
    let recorded = recording::read(&sealed(1, &packed(text))).ok();
    assert_eq!(read, recorded);
    if let Some(report) = read {
        check(&report);
    }
}

/// `recording.memtrace`: as it is, and its content under a checksum that fits.
pub fn run(bytes: &[u8]) {
    let version = bytes.get(8).map_or(1, |version| u32::from(*version));
    let content = bytes.get(24..).unwrap_or_default();
    for recording in [bytes, &sealed(version, content)] {
        if let Ok(report) = recording::read(recording) {
            check(&report);
        }
    }
}

fn check(report: &Report) {
    let mut again = Vec::new();
    recording::write(report, &mut again).expect("memory takes it");
    assert_eq!(recording::read(&again).as_ref().ok(), Some(report));
    let mut again = Vec::new();
    json::write(report, &mut again).expect("memory takes it");
    assert_eq!(json::read(&again).as_ref().ok(), Some(report));
    let _no_panic = invariants::violations(report);

    for columns in [0, 80, 400] {
        let colour = columns == 0;
        let shown = text::render(report, text::Page { columns, colour });
        let forged = |c: char| c.is_control() && c != '\n' && !(colour && c == '\u{1b}');
        assert!(!shown.contains(forged), "{shown:?}");
    }
    let mut lines = Vec::new();
    folded::write(report, &mut lines).expect("memory takes it");
    let lines = String::from_utf8(lines).expect("text");
    for line in lines.lines() {
        let (stack, bytes) = line.rsplit_once(' ').expect("stack and bytes");
        assert!(bytes.parse::<u64>().is_ok() && !stack.contains(char::is_control));
    }
    let mut picture = Vec::new();
    flamegraph::write(report, &mut picture).expect("memory takes it");
    let picture = String::from_utf8(picture).expect("text");
    let options = roxmltree::ParsingOptions {
        allow_dtd: true,
        ..Default::default()
    };
    let parsed = roxmltree::Document::parse_with_options(&picture, options);
    assert!(parsed.is_ok(), "{:?}", parsed.err());
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(text).expect("memory takes it");
    packer.finish().expect("memory takes it")
}

/// An envelope as `tracer::store::recording` describes it, its checksum right.
fn sealed(version: u32, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u64;
    let head = [&version.to_le_bytes()[..], &length.to_le_bytes()].concat();
    let checksum = crc32fast::hash(&[&head, content].concat());
    [
        b"\x89MTR\r\n\x1a\n",
        &head[..],
        &checksum.to_le_bytes(),
        content,
    ]
    .concat()
}
