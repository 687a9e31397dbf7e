//! The files that a trace writes.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tests::{Finished, Memtrace, Program, needs_tracing, run_memtrace};

const FILES: [&str; 8] = [
    "report.json",
    "live.folded",
    "live.svg",
    "mappings.svg",
    "fragmentation.svg",
    "sockets.svg",
    "profile.pb.gz",
    "recording.memtrace",
];

fn trace_of(program: &str) -> Finished {
    let mut program = Program::ready(program, &[]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    program.work();
    let finished = memtrace.end();
    assert!(program.end().success());
    finished
}

/// `report.json` keeps to the published schema.
#[test]
fn report_matches_its_schema() {
    needs_tracing!();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.schema.json");
    let schema = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let report = serde_json::from_slice(&trace_of("functions").file("report.json")).unwrap();
    let wrong: Vec<String> = schema.iter_errors(&report).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// `memtrace report` makes the same files from the recording, byte for byte.
#[test]
fn recording_gives_the_same_outputs() {
    needs_tracing!();
    let traced = trace_of("functions");
    let recording = traced.path().join("recording.memtrace");
    let rendered = run_memtrace(&["report", recording.to_str().unwrap()]);
    assert!(rendered.status.success(), "{}", rendered.stderr);
    for name in FILES {
        assert!(traced.file(name) == rendered.file(name), "{name} differs");
    }
    assert_eq!(traced.stdout, rendered.stdout);
}

/// The results are for their owner's eyes.
#[test]
fn files_are_private() {
    needs_tracing!();
    let traced = trace_of("midlife");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&traced.path()), 0o700);
    let mut names: Vec<String> = fs::read_dir(traced.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected = FILES.map(str::to_owned);
    expected.sort();
    assert_eq!(names, expected);
    for name in FILES {
        assert_eq!(mode(&traced.path().join(name)), 0o600, "{name}");
    }
}

/// The folded stacks add up to the live bytes, and the picture and the
/// terminal name the function that holds most.
#[test]
fn outputs_agree() {
    needs_tracing!();
    let traced = trace_of("functions");
    let report = traced.report();
    let folded = String::from_utf8(traced.file("live.folded")).unwrap();
    let sum: u64 = folded
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, report.totals.counts.live_bytes);
    let largest = report.sites[0].frames[0].function.as_deref().unwrap();
    let svg = String::from_utf8(traced.file("live.svg")).unwrap();
    assert!(svg.contains(largest) && traced.stdout.contains(largest));
    assert!(report.totals.footprint_bytes >= report.totals.counts.live_bytes);
    let order: Vec<u64> = report
        .sites
        .iter()
        .map(|site| site.counts.live_bytes)
        .collect();
    assert!(order.is_sorted_by(|a, b| a >= b));
}

/// Two traces of the same work name its sites the same.
#[test]
fn site_ids_are_stable() {
    needs_tracing!();
    let ids = |finished: Finished| {
        let mut ids: Vec<String> = finished
            .report()
            .sites
            .into_iter()
            .map(|site| site.site_id)
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(trace_of("functions")), ids(trace_of("functions")));
}
