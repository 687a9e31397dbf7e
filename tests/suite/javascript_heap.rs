//! V8's heap: what of it is resident, and which functions allocate, against the scripts'
//! own counts, on every node that is here.

use std::{collections::HashMap, process::Command};

use serde::Deserialize;
use tests::{Memtrace, Program, needs_tracing, node, programs_dir};
use tracer::model::{
    Frame, JAVASCRIPT, Report,
    javascript_heap::{JavascriptHeap, own_part},
    verdict::Kind,
};

const NODES: [u32; 5] = [18, 20, 22, 24, 26];
/// Of a share of what was allocated, in per cent of all.
const SHARE_ERROR: f64 = 2.0;
/// Of all that was allocated, of it.
const SUM_ERROR: f64 = 0.03;
/// Of what is resident, of it.
const RESIDENT_ERROR: f64 = 0.05;

/// What a script says of itself.
#[derive(Debug, Deserialize)]
struct Truth {
    #[serde(default)]
    bytes: HashMap<String, u64>,
    physical_bytes: u64,
}

/// Runs the script under trace.
fn run(command: &mut Command, what: &[&str]) -> (Truth, Report) {
    let script = programs_dir().join("javascript/heap.js");
    let mut program = Program::start(command.arg(script).args(what));
    program.talk.wait_until_ready();
    let memtrace = Memtrace::attach(program.pid(), &[]);
    program.talk.go();
    let truth = serde_json::from_str(&program.talk.line()).unwrap();
    let report = memtrace.end().report();
    program.end();
    (truth, report)
}

fn heap(report: &Report) -> &JavascriptHeap {
    &report.javascript.as_ref().unwrap().processes[0]
}

/// The innermost function of the program's own.
fn function(frames: &[Frame]) -> &str {
    own_part(frames)
        .iter()
        .filter(|frame| frame.module == JAVASCRIPT)
        .find(|frame| {
            frame
                .file
                .as_deref()
                .is_some_and(|file| file.ends_with("heap.js"))
        })
        .and_then(|frame| frame.function.as_deref())
        .unwrap_or("-")
}

/// Which functions allocate, small objects, arrays, strings made by node's own code and
/// objects with pages of their own, in which shares and how much in all.
#[test]
fn shares_are_those_that_the_script_counted() {
    needs_tracing!();
    for major in NODES {
        let Some(node) = node(major) else {
            continue;
        };
        let (truth, report) = run(&mut Command::new(&node), &["shares", "1500"]);
        let heap = heap(&report);
        let mut estimated: HashMap<&str, u64> = HashMap::new();
        for site in &heap.sites {
            *estimated.entry(function(&site.frames)).or_default() += site.estimated_bytes;
        }
        let whole: u64 = truth.bytes.values().sum();
        let sum_error = heap.allocated_bytes as f64 / whole as f64 - 1.0;
        let mut shares = Vec::new();
        for (name, bytes) in &truth.bytes {
            let share = |bytes: u64, whole: u64| bytes as f64 * 100.0 / whole as f64;
            let own = estimated.get(name.as_str()).copied().unwrap_or_default();
            let (right, told) = (share(*bytes, whole), share(own, heap.allocated_bytes));
            shares.push(format!("{name} {told:.1} (is {right:.1})"));
            assert!(
                (told - right).abs() < SHARE_ERROR,
                "node {major}: {shares:?}"
            );
        }
        println!(
            "node {major}: {} %, sum {:+.2} %",
            shares.join(", "),
            sum_error * 100.0
        );
        assert!(sum_error.abs() < SUM_ERROR, "node {major}");
        assert_eq!(report.javascript.as_ref().unwrap().lost_samples, 0);
    }
}

fn assert_resident(major: u32, truth: &Truth, heap: &JavascriptHeap) {
    let resident = heap.timeline.last().unwrap().total();
    let error = resident as f64 / truth.physical_bytes as f64 - 1.0;
    println!(
        "node {major}: {resident} bytes resident, {} by V8's own count ({:+.2} %)",
        truth.physical_bytes,
        error * 100.0
    );
    assert!(
        error.abs() < RESIDENT_ERROR,
        "node {major}: {:?}",
        heap.timeline.last()
    );
}

/// A list of ids that grows for ever: the JS heap grows, by the function that
/// fills the list, and by as much as V8 says.
#[test]
fn a_leak_names_its_function() {
    needs_tracing!();
    for major in NODES {
        let Some(node) = node(major) else {
            continue;
        };
        let (truth, report) = run(&mut Command::new(&node), &["leak", "500"]);
        assert_resident(major, &truth, heap(&report));
        let told: Vec<_> = (report.verdicts.iter())
            .map(|it| (it.kind, it.confidence, &it.summary))
            .collect();
        println!("node {major}: {told:?}");
        assert_eq!(told[0].0, Kind::JsHeap, "node {major}: {told:?}");
        let verdict = &report.verdicts[0];
        let stack = &verdict.stacks[0];
        println!(
            "node {major}: {:.0} % by {}",
            stack.share * 100.0,
            function(&stack.frames)
        );
        assert_eq!(function(&stack.frames), "remember", "{:?}", verdict.stacks);
    }
}

/// A node whose symbols were taken away has no sampling point: that is told, not left
/// out, and nothing else fails.
#[test]
fn without_symbols_the_gap_is_told() {
    needs_tracing!();
    let Some(node) = node(24) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let stripped = directory.path().join("node");
    let status = Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(&node)
        .status();
    assert!(status.unwrap().success());
    let (_, report) = run(&mut Command::new(&stripped), &["shares", "20"]);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("no sampling point")),
        "{:?}",
        report.notes
    );
}
