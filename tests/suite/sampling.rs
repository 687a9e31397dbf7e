//! The limit on the cost: above it memtrace samples, says so, and stays right
//! within what a sample can be.

use tests::{Memtrace, Program, Truth, by_function, needs_tracing};
use tracer::model::{Level, Report};

fn trace_busy(arguments: &[&str]) -> (Report, Truth) {
    let mut program = Program::ready("busy", &[]);
    let pid = program.pid().to_string();
    let mut command = tests::memtrace();
    command.args(["-p", &pid, "-d", "4s"]).args(arguments);
    let memtrace = Memtrace::start(&mut command).when_ready();
    program.talk.go();
    let finished = memtrace.finish();
    assert!(finished.status.success(), "{}", finished.stderr);
    let report = serde_json::from_slice(&finished.file("report.json")).unwrap();
    program.talk.say("enough");
    let truth = program.talk.truth();
    assert!(program.end().success());
    (report, truth)
}

/// A program that does nothing but allocate costs more than a fifth: the
/// trace goes over to a sample, labels it, and the site that keeps its blocks
/// is the one that grows.
#[test]
fn falls_back_to_sampling() {
    needs_tracing!();
    let (report, truth) = trace_busy(&[]);
    assert_eq!(report.level, Level::Sampled);
    let sampling = report.sampling.clone().unwrap();
    assert!(
        sampling.one_in > 1 && sampling.passed_over > 0,
        "{sampling:?}"
    );
    assert!(sampling.reason.contains('%'), "{sampling:?}");
    let (kept, passing) = (
        by_function(&report, "kept"),
        by_function(&report, "passing"),
    );
    // It went on after the trace: its counts are an upper bound, with room for chance.
    let (all_kept, all_passing) = (truth.sites["kept"], truth.sites["passing"]);
    assert!(kept.live_bytes > 0 && kept.live_bytes == kept.allocated_bytes);
    assert!(kept.allocated_bytes < all_kept.allocated_bytes * 3 / 2);
    assert!(passing.allocated_blocks < all_passing.allocated_blocks * 3 / 2);
    assert!(kept.live_bytes > 10 * passing.live_bytes, "{passing:?}");
}

/// Without a limit every call is recorded, whatever it costs.
#[test]
fn off_records_everything() {
    needs_tracing!();
    let (report, _) = trace_busy(&["--max-overhead", "off"]);
    assert_eq!(report.level, Level::Exact);
    assert_eq!(report.sampling, None);
    let passing = by_function(&report, "passing");
    assert!(passing.live_blocks <= 1, "{passing:?}");
}
