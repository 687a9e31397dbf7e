//! JavaScript functions on the stacks of node as it is shipped, started without
//! any flag, against `Error.captureStackTrace` on the line that allocates.

use std::{
    collections::{BTreeMap, HashMap},
    process::Command,
};

use serde::Deserialize;
use tests::{Finished, Memtrace, Program, needs_tracing, node, programs_dir};
use tracer::model::{Frame, JAVASCRIPT, Site};

/// A stack as the program knows it: function, file, line, made of a string.
type OwnFrame = (String, String, Option<u32>, bool);

#[derive(Debug, Deserialize)]
struct OwnStack {
    size: u64,
    frames: Vec<OwnFrame>,
    blocks: u64,
}

/// What was compared.
#[derive(Debug, Default)]
struct Compared {
    sites: u64,
    frames: u64,
    names: u64,
    lines: u64,
    inlined: u64,
    blocks: u64,
    missed: Vec<String>,
}

impl Compared {
    /// Compares the frames of one site, outwards from the function that allocates.
    fn add(&mut self, own: &OwnStack, site: &Site) {
        let own_frames: Vec<_> = (own.frames.iter())
            .filter(|(_, file, _, is_made)| !file.is_empty() || *is_made)
            .collect();
        let frames: Vec<_> = (site.frames.iter())
            .filter(|frame| frame.module == JAVASCRIPT)
            .skip_while(|frame| frame.function.as_deref() != Some(HERE))
            .collect();
        self.sites += 1;
        self.frames += own_frames.len() as u64;
        self.blocks += site.counts.allocated_blocks;
        let mut pairs: Vec<_> = own_frames.iter().zip(&frames).collect();
        if own_frames.len() != frames.len() {
            let names: Vec<_> = frames.iter().map(|frame| &frame.function).collect();
            self.missed.push(format!("{own_frames:?} is not {names:?}"));
            // Some are missing: what is the same from both ends is not.
            pairs = common(&own_frames, &frames);
        }
        for (own, frame) in pairs {
            self.inlined += u64::from(frame.inlined);
            let (is_name, is_line) = (is_name(own, frame), is_place(own, frame));
            self.names += u64::from(is_name);
            self.lines += u64::from(is_line);
            if !is_name || !is_line {
                self.missed.push(format!("{own:?} is not {frame:?}"));
            }
        }
    }
}

/// The frames that have the same names, from both ends of two stacks.
fn common<'a>(
    own: &'a [&'a OwnFrame],
    frames: &'a [&'a Frame],
) -> Vec<(&'a &'a OwnFrame, &'a &'a Frame)> {
    let is_same = |pair: &(&&OwnFrame, &&Frame)| is_name(pair.0, pair.1);
    let mut pairs: Vec<_> = own.iter().zip(frames).take_while(is_same).collect();
    let left = own.len().min(frames.len()) - pairs.len();
    let outer = own.iter().rev().zip(frames.iter().rev());
    pairs.extend(outer.take(left).take_while(is_same));
    pairs
}

const HERE: &str = "here";

fn is_name((name, ..): &OwnFrame, frame: &Frame) -> bool {
    let shown = if name.is_empty() { "(anonymous)" } else { name };
    frame.function.as_deref() == Some(shown)
}

fn is_place((_, file, line, is_made): &OwnFrame, frame: &Frame) -> bool {
    let file = file.strip_prefix("file://").unwrap_or(file);
    let is_file = if *is_made {
        frame.file.is_none()
    } else {
        frame.file.as_deref() == Some(file)
    };
    is_file && frame.line == *line
}

/// A site's size of one block, if all are of one size.
fn block_size(site: &Site) -> Option<u64> {
    let (bytes, blocks) = (site.counts.allocated_bytes, site.counts.allocated_blocks);
    (blocks > 0 && bytes % blocks == 0).then(|| bytes / blocks)
}

/// How many per cent of each must be right.
const LEAST_BLOCKS: u64 = 99;
const LEAST_NAMES: u64 = 98;
const LEAST_LINES: u64 = 99;

fn compare(major: u32) {
    needs_tracing!();
    let Some(node) = node(major) else {
        assert!(
            std::env::var_os("MEMTRACE_PREBUILT").is_some(),
            "no node {major}"
        );
        return;
    };
    let script = programs_dir().join("javascript/stacks.js");
    let mut program = Program::start(Command::new(node).arg(script).arg("400"));
    program.talk.wait_until_ready();
    let memtrace = Memtrace::attach(program.pid(), &["--no-mappings"]);
    program.talk.go();
    let mut own: HashMap<u64, OwnStack> = HashMap::new();
    loop {
        let line = program.talk.line();
        match serde_json::from_str::<OwnStack>(&line) {
            Ok(stack) => assert!(own.insert(stack.size, stack).is_none()),
            Err(_) => break assert_eq!(line, "{\"event\":\"truth\"}"),
        }
    }
    let report = memtrace.end().report();
    program.end();
    let mut compared = Compared::default();
    for site in &report.sites {
        let own = block_size(site).and_then(|size| own.get(&size));
        if let Some(own) = own {
            compared.add(own, site);
        }
    }
    let all_blocks: u64 = own.values().map(|stack| stack.blocks).sum();
    let Compared {
        sites,
        frames,
        names,
        lines,
        inlined,
        blocks,
        missed,
    } = compared;
    println!(
        "javascript on node {major}: {names} of {frames} names, {lines} of {frames} lines, {inlined} inlined, in {sites} stacks of {blocks} of {all_blocks} blocks"
    );
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for miss in missed {
        *kinds.entry(miss).or_default() += 1;
    }
    for (miss, count) in kinds.iter().take(40) {
        println!("{count} x {miss}");
    }
    assert!(
        blocks * 100 >= all_blocks * LEAST_BLOCKS,
        "{blocks} of {all_blocks} blocks"
    );
    assert!(
        names * 100 >= frames * LEAST_NAMES,
        "{names} of {frames} names"
    );
    assert!(
        lines * 100 >= frames * LEAST_LINES,
        "{lines} of {frames} lines"
    );
    assert!(inlined > 0, "nothing was compiled");
}

/// Names and lines of what runs on each node, attached to while it runs:
/// interpreted and compiled functions, those put into others, closures,
/// classes, async functions, workers and modules.
#[test]
fn node_18() {
    compare(18);
}

/// See [`node_18`].
#[test]
fn node_20() {
    compare(20);
}

/// See [`node_18`].
#[test]
fn node_22() {
    compare(22);
}

/// See [`node_18`].
#[test]
fn node_24() {
    compare(24);
}

/// See [`node_18`].
#[test]
fn node_26() {
    compare(26);
}

/// No function is given another's name while thousands are made and dropped,
/// one in another's place.
#[test]
fn no_wrong_name() {
    needs_tracing!();
    const COUNT: u64 = 3000;
    for major in [20, 22, 24] {
        let Some(node) = node(major) else {
            assert!(
                std::env::var_os("MEMTRACE_PREBUILT").is_some(),
                "no node {major}"
            );
            return;
        };
        let script = programs_dir().join("javascript/churn.js");
        let count = COUNT.to_string();
        let mut program = Program::start(Command::new(node).arg(script).arg(count));
        program.talk.wait_until_ready();
        let memtrace = Memtrace::attach(program.pid(), &["--no-mappings"]);
        program.talk.go();
        assert_eq!(program.talk.line(), "{\"event\":\"truth\"}");
        let report = memtrace.end();
        program.end();
        let (right, unknown) = churned(&report);
        println!("churn on node {major}: {right} of {COUNT} names, {unknown} unknown, none wrong");
        assert!(right * 2 > COUNT, "{right} of {COUNT} names");
    }
}

/// How many of the churned functions have their name, and none.
fn churned(finished: &Finished) -> (u64, u64) {
    let (mut right, mut unknown) = (0, 0);
    for site in &finished.report().sites {
        let names: Vec<&str> = (site.frames.iter())
            .filter(|frame| frame.module == JAVASCRIPT)
            .filter_map(|frame| frame.function.as_deref())
            .filter(|name| name.starts_with("churned"))
            .collect();
        let number = block_size(site).and_then(|size| size.checked_sub(50_003));
        let Some(number) = number.filter(|it| site.counts.allocated_blocks == 1 && it % 16 == 0)
        else {
            continue;
        };
        match names[..] {
            [] => unknown += 1,
            [name] => {
                assert_eq!(name, format!("churned{}", number / 16), "{site:?}");
                right += 1;
            }
            _ => panic!("{names:?}"),
        }
    }
    (right, unknown)
}
