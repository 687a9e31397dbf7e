//! `--fail-on` and `--max-growth`: the status that CI goes by, and its reason.

use std::process::Command;

use tests::{Finished, Memtrace, Program, build, needs_tracing, run_memtrace};

const FAILED: Option<i32> = Some(3);

/// What memtrace says of its gate.
fn lines<'a>(finished: &'a Finished, beginning: &str) -> Vec<&'a str> {
    let beginning = format!("memtrace: {beginning}");
    let lines = finished.stderr.lines();
    lines.filter(|line| line.starts_with(&beginning)).collect()
}

/// A program that leaks fails the gate, in a trace as from its recording; for other
/// kinds it passes. Its memory rose by what it leaked.
#[test]
fn a_leak_fails() {
    needs_tracing!();
    let mut program = Program::ready("outlives", &["8", "0", "l"]);
    let options = ["--fail-on", "leak,backlog", "--max-growth", "16M"];
    let memtrace = Memtrace::attach(program.pid(), &options);
    let truth = program.work();
    let traced = memtrace.end();
    assert!(program.end().success());
    assert_eq!(traced.status.code(), FAILED, "{}", traced.stderr);
    let pid = program.pid();
    let reasons = lines(&traced, "--");
    let beginning = "memtrace: --fail-on leak: leak of ";
    let end = format!(" in process {pid} (outlives), by remember (outlives.c:");
    assert!(
        reasons[0].starts_with(beginning) && reasons[0].contains(&end),
        "{}",
        traced.stderr
    );
    assert!(reasons[1].starts_with("memtrace: --max-growth 16.0 MiB: memory rose by "));
    assert!(traced.path().join("report.json").exists());

    // What is asked of it lies a tenth around the truth.
    let leaked = truth.sites["remember"].live_bytes;
    let recording = traced.path().join("recording.memtrace");
    let again = |options: &[&str]| {
        let mut command = tests::memtrace();
        command.arg("report").arg(&recording).args(options);
        Memtrace::start(&mut command).finish()
    };
    for (options, status) in [
        (vec!["--fail-on", "any"], FAILED),
        (vec!["--fail-on", "leak", "--format", "json"], FAILED),
        (vec!["--fail-on", "retention,js-heap"], Some(0)),
        (vec!["--max-growth", &(leaked * 9 / 10).to_string()], FAILED),
        (
            vec!["--max-growth", &(leaked * 11 / 10).to_string()],
            Some(0),
        ),
        (vec![], Some(0)),
    ] {
        let finished = again(&options);
        assert_eq!(
            finished.status.code(),
            status,
            "{options:?}: {}",
            finished.stderr
        );
        let told = lines(&finished, "--").len();
        assert_eq!(told, usize::from(status == FAILED), "{}", finished.stderr);
        assert!(
            lines(&finished, "passed, but").is_empty(),
            "{}",
            finished.stderr
        );
    }
}

/// Of what memtrace runs its own failure counts first, then the gate; a cache that fills
/// up, a pool and batches pass.
#[test]
fn run_passes_on_what_failed() {
    needs_tracing!();
    // Memory is seen each second; a heap may not be looked at again before a short run ends.
    let gate = ["--max-growth", "8M"];
    let run = |options: &[&str], arguments: [&str; 3]| {
        let program = build("outlives");
        let mut memtrace = Memtrace::run(options, Command::new(program).args(arguments));
        memtrace.talk().wait_until_ready();
        memtrace.talk().go();
        memtrace.talk().truth();
        memtrace.talk().go();
        memtrace.finish()
    };
    let leaks = run(&gate, ["7", "0", "l"]);
    assert_eq!(leaks.status.code(), FAILED, "{}", leaks.stderr);
    assert_eq!(lines(&leaks, "--max-growth 8.0 MiB: ").len(), 1);
    let fails_too = run(&gate, ["7", "9", "l"]);
    assert_eq!(fails_too.status.code(), Some(9), "{}", fails_too.stderr);
    assert_eq!(lines(&fails_too, "--max-growth 8.0 MiB: ").len(), 1);
    let healthy = run(&["--fail-on", "leak"], ["10", "0", "cpb"]);
    assert_eq!(healthy.status.code(), Some(0), "{}", healthy.stderr);
    assert!(
        lines(&healthy, "passed, but").is_empty(),
        "{}",
        healthy.stderr
    );
}

/// A gate that passes because there was too little to see says so.
#[test]
fn too_little_passes_and_is_told() {
    needs_tracing!();
    let mut program = Program::ready("outlives", &["1", "0", "l"]);
    let options = ["--fail-on", "leak", "-d", "60s"];
    let memtrace = Memtrace::attach(program.pid(), &options);
    program.work();
    let traced = memtrace.end();
    assert_eq!(traced.status.code(), Some(0), "{}", traced.stderr);
    let told = lines(&traced, "passed, but: ").join("\n");
    assert!(
        told.contains("was checked for ") && told.contains(" only, of 1 min 00 s"),
        "{told}"
    );
    assert!(told.contains("Not enough data: "), "{told}");
    assert!(program.end().success());
    let recording = traced.path().join("recording.memtrace");
    let recording = recording.to_str().unwrap();
    let asked = run_memtrace(&["report", recording, "--fail-on", "not-enough-data"]);
    assert_eq!(asked.status.code(), FAILED, "{}", asked.stderr);
}

/// Kinds that there are not are refused with those that there are; so are sizes.
#[test]
fn nonsense_is_refused() {
    let refused = run_memtrace(&["-p", "1", "--fail-on", "leek"]);
    refused.assert_refused(&["leek", "js-heap", "not-enough-data", "any"]);
    let refused = run_memtrace(&["-p", "1", "--max-growth", "64X"]);
    refused.assert_refused(&["64X", "64M"]);
}

/// Between two recordings of a process that leaks its live blocks grew, by code that has a
/// name, and the gate fails on it; between a recording and itself there is nothing to tell.
#[test]
fn a_difference_fails() {
    needs_tracing!();
    let mut program = Program::ready("outlives", &["20", "0", "l"]);
    program.talk.go();
    let trace = || {
        let traced = Memtrace::attach(program.pid(), &["-d", "6s"]).finish();
        assert!(traced.status.success(), "{}", traced.stderr);
        traced
    };
    let (before, after) = (trace(), trace());
    program.talk.truth();
    assert!(program.end().success());
    let recording = |traced: &Finished| traced.path().join("recording.memtrace");
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("diff");
    let diff = |before: &Finished, after: &Finished, options: &[&str]| {
        let mut command = tests::memtrace();
        command
            .arg("diff")
            .arg(recording(before))
            .arg(recording(after));
        command.arg("-o").arg(&out).args(options);
        Memtrace::start(&mut command).finish()
    };
    let gate = ["--fail-on", "any", "--max-growth", "8M"];
    let failed = diff(&before, &after, &gate);
    assert_eq!(failed.status.code(), FAILED, "{}", failed.stderr);
    let reasons = lines(&failed, "--");
    assert_eq!(reasons.len(), 2, "{}", failed.stderr);
    let beginning = "memtrace: --fail-on leak: leak of ";
    assert!(reasons[0].starts_with(beginning) && reasons[0].contains(", by remember (outlives.c:"));
    assert!(
        failed.stdout.contains("verdict  Live blocks grew: "),
        "{}",
        failed.stdout
    );
    let json = std::fs::read(out.join("diff.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let verdict = &json["verdicts"][0];
    assert_eq!(
        (&verdict["kind"], &verdict["confidence"]),
        (&"leak".into(), &"high".into())
    );
    // What both windows saw of the leak, to a fifth.
    let rate = verdict["bytes_per_second"].as_f64().unwrap();
    let truth = 200.0 * 24_000.0;
    assert!(
        (rate / truth - 1.0).abs() < 0.2,
        "{rate} of {truth} a second"
    );
    let same = diff(&before, &before, &gate);
    assert_eq!(same.status.code(), Some(0), "{}", same.stderr);
    assert!(
        lines(&same, "passed, but: Not enough data").len() == 1,
        "{}",
        same.stderr
    );
}
