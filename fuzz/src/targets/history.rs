//! Segments of a host's history, whole and piece by piece. Whatever the bytes are, reading ends;
//! of a part of them no more is read than of all; and what is read can be written and read again.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use tracer::{
    model::{
        Frame,
        host::{FaultedStack, Gauge, Interval, LineId, LineInterval},
    },
    store::history::{Bounds, History, read_segment},
};

pub const WORDS: &[&str] = &[
    "interval", "stacks", "lines", "faulted", "stack", "place", "frames",
];

/// Bytes before the first frame, and before a frame's content: see docs/history.md.
const START: usize = 16;
const HEADER: usize = 44;

fn intervals() -> Vec<Interval> {
    let frame = |name: &str| Frame {
        function: Some(name.to_owned()),
        ..Frame::default()
    };
    let interval = |number: u64| Interval {
        start_ms: number * 10_000,
        end_ms: (number + 1) * 10_000,
        lines: vec![LineInterval {
            line: LineId(number % 2),
            name: "node".to_owned(),
            resident: Gauge::of(number << 20),
            faulted: vec![FaultedStack {
                stack: number % 3,
                bytes: 4096,
                samples: 1,
            }],
            ..LineInterval::default()
        }],
        stacks: [(number % 3, vec![frame("fill"), frame("main")])].into(),
        ..Interval::default()
    };
    (0..5).map(interval).collect()
}

/// A segment as the store writes it.
fn segment(intervals: &[Interval]) -> anyhow::Result<Vec<u8>> {
    let place = tempfile::tempdir()?;
    let path = place.path().join("history");
    let bounds = Bounds {
        bytes: 1 << 30,
        age: Duration::MAX,
    };
    let history = History::open(&path, bounds)?;
    for interval in intervals {
        history.append(interval)?;
    }
    Ok(std::fs::read(path.join("000000000001-000000000001.0"))?)
}

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let whole = segment(&intervals())?;
    let mut seeds = vec![segment(&[Interval::default()])?];
    // Each content, unpacked, behind its kind: for `sealed`.
    let mut rest = whole.get(START..).unwrap_or_default();
    while let Some((header, behind)) = rest.split_at_checked(HEADER) {
        let length = u32::from_le_bytes(header[8..12].try_into()?) as usize;
        let (content, next) = behind.split_at(length);
        let mut seed = vec![header[4]];
        DeflateDecoder::new(content).read_to_end(&mut seed)?;
        seeds.push(seed);
        rest = next;
    }
    seeds.push(whole);
    Ok(seeds)
}

/// A frame, its checksums right.
fn sealed(kind: u8, content: &[u8]) -> Vec<u8> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(content).expect("memory takes it");
    let content = packer.finish().expect("memory takes it");
    let mut frame = b"\xf5MTf".to_vec();
    frame.extend([kind, 0, 0, 0]);
    frame.extend((content.len() as u32).to_le_bytes());
    frame.extend([0; 24]);
    frame.extend(crc32fast::hash(&content).to_le_bytes());
    frame.extend(crc32fast::hash(&frame).to_le_bytes());
    frame.extend(content);
    frame
}

pub fn run(bytes: &[u8]) {
    let (found, _) = read_segment(bytes);
    let (before, _) = read_segment(bytes.get(..bytes.len() / 2).unwrap_or_default());
    assert_eq!(found.get(..before.len()), Some(before.as_slice()));
    found.iter().for_each(check);
    if let Some((kind, content)) = bytes.split_first() {
        let (found, damaged) = read_segment(&sealed(*kind, content));
        assert!(found.len() as u64 + damaged <= 1);
        found.iter().for_each(check);
    }
}

/// Written and read again it is the same; a number that is none has become 0 by then.
fn check(interval: &Interval) {
    let again = |interval: &Interval| {
        let segment = segment(std::slice::from_ref(interval)).expect("it is written again");
        let (mut found, damaged) = read_segment(&segment);
        assert_eq!((found.len(), damaged), (1, 0));
        found.remove(0)
    };
    let once = again(interval);
    assert_eq!(again(&once), once);
}
