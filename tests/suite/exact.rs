//! Equality to the block and byte, by site, with what the program counts.

use tests::{
    Build, Memtrace, Program, Truth, assert_exact, build_with, by_function, lost, needs_tracing,
};
use tracer::model::{LossCause, Report};

/// Attaches at the program's barrier, lets it work, and ends the trace while
/// the program stands still.
pub fn trace(program: &mut Program, arguments: &[&str]) -> (Report, Truth) {
    let memtrace = Memtrace::attach(program.pid(), arguments);
    let truth = program.work();
    let report = memtrace.end().report();
    assert!(program.end().success());
    (report, truth)
}

/// Every function of the allocator is counted at its caller, whatever its
/// arguments: sizes of 0, small alignments, growing, shrinking, failing,
/// blocks with a mapping of their own.
#[test]
fn every_function() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("functions", &[]), &[]);
    assert_exact(&report, &truth);
    // The program has no other blocks.
    assert_eq!(report.totals.counts, truth.total());
    assert_eq!(report.unmatched_frees, 0);
    assert!(!report.window.from_start);
}

/// The source of a site is the function that was called, not one that it
/// reaches inside the allocator.
#[test]
fn sources_are_the_called_functions() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("functions", &[]), &[]);
    for site in &report.sites {
        let function = site.frames[0].function.as_deref().unwrap();
        let called = match function.strip_prefix("by_").unwrap() {
            // One address in glibc 2.36 and 2.37, where they are the same.
            "aligned_alloc" | "memalign" => &["aligned_alloc", "memalign"][..],
            other => &[other][..],
        };
        assert!(called.contains(&site.source.name()), "{site:?}");
    }
    assert_eq!(truth.sites.len(), 9);
}

/// Without frame pointers stacks may be imprecise, totals may not.
#[test]
fn totals_without_frame_pointers() {
    needs_tracing!();
    let path = build_with(&Build {
        name: "functions",
        variant: "-no-frame-pointers",
        flags: &["-O2", "-fomit-frame-pointer"],
    });
    let (report, truth) = trace(&mut Program::ready_at(&path, &[]), &[]);
    assert_eq!(report.totals.counts, truth.total());
    assert_eq!(report.loss, []);
    // The direct caller is known even so.
    assert_exact(&report, &truth);
}

/// Two million blocks live at once are two million in the report.
#[test]
fn two_million_live_blocks() {
    needs_tracing!();
    let mut program = Program::ready("many", &["2000000", "3"]);
    let (report, truth) = trace(&mut program, &[]);
    assert_exact(&report, &truth);
    assert_eq!(report.totals.counts.live_blocks, 2_000_000);
    assert_eq!(report.totals.counts, truth.total());
}

/// A full ledger tells what did not enter, takes no later free for another,
/// and takes in again once there is room.
#[test]
fn full_ledger() {
    needs_tracing!();
    let mut program = Program::ready("many", &["50000", "50000"]);
    let (report, truth) = trace(&mut program, &["--max-blocks", "10000"]);
    let expected = truth.total();
    let found = report.totals.counts;
    let (calls, bytes) = lost(&report, LossCause::LedgerFull);
    assert_eq!(report.loss.len(), 1, "{:?}", report.loss);
    assert_eq!(found.allocated_blocks + calls, expected.allocated_blocks);
    assert_eq!(found.allocated_bytes + bytes, expected.allocated_bytes);
    // All of the first site's blocks went: what had entered is freed, the rest unmatched.
    let first = by_function(&report, "by_many");
    assert_eq!(first.live_blocks, 0);
    assert_eq!(first.live_bytes, 0);
    assert_eq!(report.unmatched_frees, 50_000 - first.freed_blocks);
    let room = 9_000..=10_000;
    assert!(room.contains(&first.allocated_blocks), "{first:?}");
    assert!(room.contains(&found.live_blocks), "{found:?}");
    assert_eq!(
        by_function(&report, "by_later").live_blocks,
        found.live_blocks
    );
}

/// Blocks from before the attach are not in the report; their frees are told
/// as unmatched, one each, also where a realloc gives them back.
#[test]
fn attach_in_mid_life() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("midlife", &[]), &[]);
    assert_exact(&report, &truth);
    assert_eq!(report.totals.counts, truth.total());
    assert_eq!(report.unmatched_frees, truth.value("unmatched_frees"));
}

/// From the first allocation on, everything is seen: nothing is unmatched.
#[test]
fn from_the_start() {
    needs_tracing!();
    let program = tests::build("midlife");
    let mut memtrace = Memtrace::run(&[], &mut std::process::Command::new(program)).when_ready();
    memtrace.talk().wait_until_ready();
    memtrace.talk().go();
    let truth = memtrace.talk().truth();
    memtrace.talk().go();
    let finished = memtrace.finish();
    let report = finished.report();
    assert!(report.window.from_start);
    assert_eq!(report.unmatched_frees, 0);
    assert_eq!(report.loss, []);
    // 1,000 freed, 500 given to realloc; the site is reset by the program at the barrier.
    let before = by_function(&report, "before");
    assert_eq!((before.allocated_blocks, before.freed_blocks), (3000, 1500));
    assert_eq!(by_function(&report, "by_malloc"), truth.sites["by_malloc"]);
    assert_eq!(
        by_function(&report, "by_realloc"),
        truth.sites["by_realloc"]
    );
}
