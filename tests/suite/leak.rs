//! `leak.svg`: what keeps growing stands out from what only holds much.

use tests::{Memtrace, Program, needs_tracing, run_memtrace};

/// Of a program with a leak, a cache as large that fills up and goes on changing, a pool
/// and batches, the leak has nearly all of the picture, and not more than it holds.
#[test]
fn the_leak_has_the_picture() {
    needs_tracing!();
    let mut program = Program::ready("outlives", &["12", "0", "lcpb"]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    let traced = memtrace.end();
    assert!(program.end().success());
    let report = traced.report();
    let recording = traced.path().join("recording.memtrace");
    let recording = recording.to_str().unwrap();
    let folded = traced.path().join("leak.folded");
    let which = ["--format", "folded", "--which", "leak"];
    let arguments = [
        &["report", recording, "-o", folded.to_str().unwrap()][..],
        &which,
    ];
    let rendered = run_memtrace(&arguments.concat());
    assert!(rendered.status.success(), "{}", rendered.stderr);
    let folded = std::fs::read_to_string(folded).unwrap();
    let of = |function: &str| -> u64 {
        let lines = folded.lines().filter(|line| line.contains(function));
        let bytes = lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap());
        bytes.sum()
    };
    let (whole, leaked) = (of(""), of(";remember;"));
    println!("leak.svg: {leaked} of {whole} bytes are the leak's\n{folded}");
    assert!(leaked * 10 >= whole * 9, "{folded}");
    let live = truth.sites["remember"].live_bytes;
    assert!(
        leaked <= live && leaked * 10 >= live * 8,
        "{leaked} of {live}"
    );
    let picture = String::from_utf8(traced.file("leak.svg")).unwrap();
    assert!(picture.contains("steady growth in outlives") && picture.contains("red: malloc"));
    // As much is live of the cache.
    assert!(report.totals.counts.live_bytes >= 2 * live * 9 / 10);
}
