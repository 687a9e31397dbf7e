//! Six answers that libbpf's memleak gets wrong, each shown right here.

use tests::{Build, Memtrace, Program, assert_exact, build_with, by_function, lost, needs_tracing};
use tracer::model::LossCause;

use crate::exact::trace;

/// 1: large blocks, which malloc maps, belong to malloc's caller; memleak
/// showed ten as one frame without a name.
#[test]
fn large_blocks_keep_their_site() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("wrong", &["large"]), &[]);
    assert_exact(&report, &truth);
    assert_eq!(by_function(&report, "keeps_large").live_bytes, 10 << 20);
    let site = &report.sites[0];
    let names: Vec<_> = site
        .frames
        .iter()
        .flat_map(|frame| &frame.function)
        .collect();
    assert_eq!(names[..3], ["keeps_large", "large", "main"]);
}

/// 2: more than a million live blocks are all there; memleak said exactly 1,000,000.
#[test]
fn more_than_a_million_blocks() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("many", &["1200000", "0"]), &[]);
    assert_exact(&report, &truth);
    assert_eq!(report.totals.counts.live_blocks, 1_200_000);
}

/// 3: when the ledger was full, blocks that went do not look leaked; memleak
/// made up a leak of 200,001 blocks.
#[test]
fn no_false_leak_after_full() {
    needs_tracing!();
    let mut program = Program::ready("many", &["30000", "30000"]);
    let (report, _) = trace(&mut program, &["--max-blocks", "20000"]);
    assert!(lost(&report, LossCause::LedgerFull).0 > 0);
    assert_eq!(by_function(&report, "by_many").live_blocks, 0);
}

/// 4: a block whose realloc failed is still live; memleak dropped it.
#[test]
fn failed_realloc_keeps_the_block() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("wrong", &["failed"]), &[]);
    assert_exact(&report, &truth);
    assert_eq!(by_function(&report, "by_malloc").live_blocks, 100);
}

/// 5: what a forked child does is not the parent's, and the report says that
/// the child was not traced; memleak was silent.
#[test]
fn forked_children() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("wrong", &["fork"]), &[]);
    let parent = by_function(&report, "by_malloc");
    assert_eq!(parent, truth.sites["by_malloc"]);
    assert_eq!(by_function(&report, "in_child").allocated_blocks, 0);
    assert_eq!(report.loss, []);
    assert_eq!(report.processes.len(), 1);
    assert!(
        report.notes.iter().any(|note| note.contains("child")),
        "nothing tells of the child: {:?}",
        report.notes
    );
}

/// 6: without frame pointers a site is not split and its caller is right;
/// memleak showed one site as several.
#[test]
fn no_frame_pointers() {
    needs_tracing!();
    let path = build_with(&Build {
        name: "wrong",
        variant: "-no-frame-pointers",
        flags: &["-O2", "-fomit-frame-pointer"],
    });
    let memtrace_arguments: &[&str] = &[];
    let mut program = Program::ready_at(&path, &["large"]);
    let memtrace = Memtrace::attach(program.pid(), memtrace_arguments);
    let truth = program.work();
    let report = memtrace.end().report();
    assert_exact(&report, &truth);
}
