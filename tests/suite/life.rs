//! How targets end, and what is known of them then.

use std::process::Command;

use rustix::process::Signal;
use tests::{
    Build, Memtrace, Program, assert_exact, build, build_with, by_function, needs_tracing, total_of,
};
use tracer::model::Exit;

/// A target that exits within the trace: what it held is reported, and its status.
#[test]
fn exit_with_live_blocks() {
    needs_tracing!();
    let mut program = Program::ready("ends", &["exit", "7"]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    let report = memtrace.finish().report();
    assert_exact(&report, &truth);
    assert_eq!(report.processes[0].exit, Some(Exit::Status(7)));
    assert_eq!(program.wait().code(), Some(7));
}

/// The same for a target that is killed.
#[test]
fn killed_in_mid_trace() {
    needs_tracing!();
    let mut program = Program::ready("ends", &["killed"]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    program.signal(Signal::KILL);
    let report = memtrace.finish().report();
    assert_exact(&report, &truth);
    assert_eq!(report.processes[0].exit, Some(Exit::Signal(9)));
}

/// A target that becomes another program: the trace ends with what the first one held.
#[test]
fn exec_in_mid_trace() {
    needs_tracing!();
    let mut program = Program::ready("ends", &["exec", "/bin/true"]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    let report = memtrace.finish().report();
    assert_exact(&report, &truth);
    assert_eq!(report.processes[0].exit, Some(Exit::Exec));
    assert!(program.wait().success());
}

/// `run` follows a child through its execs; each program's blocks are its own.
#[test]
fn run_through_exec() {
    needs_tracing!();
    let ends = build("ends");
    let path = ends.to_str().unwrap();
    let mut memtrace =
        Memtrace::run(&[], Command::new(&ends).args(["exec", path, "exit", "5"])).when_ready();
    memtrace.talk().wait_until_ready();
    memtrace.talk().go();
    let first = memtrace.talk().truth();
    memtrace.talk().wait_until_ready();
    memtrace.talk().go();
    let second = memtrace.talk().truth();
    let finished = memtrace.finish();
    assert_eq!(finished.status.code(), Some(5));
    let report = finished.report_of_failure();
    assert_eq!(report.processes.len(), 2, "{:?}", report.processes);
    assert_eq!(report.processes[0].exit, Some(Exit::Exec));
    assert_eq!(report.processes[1].exit, Some(Exit::Status(5)));
    for (process, truth) in report.processes.iter().zip([first, second]) {
        assert_eq!(total_of(&report, process.id), truth.total());
    }
}

/// A program that becomes a static one without symbols: the first is reported to its exec,
/// the second is passed on untraced, and the user is told.
#[test]
fn run_into_a_static_program() {
    needs_tracing!();
    let idle = build_with(&Build {
        name: "idle",
        variant: "-static-stripped",
        flags: &["-static", "-s"],
    });
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exec \"$0\"", idle.to_str().unwrap()]);
    let mut memtrace = Memtrace::run(&[], &mut shell);
    memtrace.talk().wait_until_ready();
    memtrace.talk().go();
    memtrace.talk().go();
    let finished = memtrace.finish();
    assert!(
        finished.stderr.contains("is not traced"),
        "{}",
        finished.stderr
    );
    let report = finished.report();
    assert_eq!(report.processes.len(), 1);
    assert_eq!(report.processes[0].exit, Some(Exit::Exec));
    assert!(report.totals.counts.allocated_blocks > 0);
}

/// `run` passes on the program's status and output, and keeps out of both.
#[test]
fn run_passes_the_program_on() {
    needs_tracing!();
    let mut shell = Command::new("/bin/sh");
    shell.args([
        "-c",
        "echo to-standard-output; echo to-standard-error >&2; exit 41",
    ]);
    let mut memtrace = Memtrace::run(&[], &mut shell);
    let output = memtrace.talk().rest();
    let finished = memtrace.finish();
    assert_eq!(output, ["to-standard-output"]);
    assert!(finished.stderr.contains("to-standard-error"));
    assert_eq!(finished.status.code(), Some(41));
    let report = finished.report_of_failure();
    assert_eq!(report.processes[0].exit, Some(Exit::Status(41)));
}

/// A program that kills itself under `run` ends memtrace as a shell would tell it.
#[test]
fn run_tells_a_signal() {
    needs_tracing!();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -9 $$"]);
    let finished = Memtrace::run(&[], &mut shell).finish();
    assert_eq!(finished.status.code(), Some(128 + 9));
    let report = finished.report_of_failure();
    assert_eq!(report.processes[0].exit, Some(Exit::Signal(9)));
}

/// The time given with `-d` ends the trace by itself.
#[test]
fn duration_ends_the_trace() {
    needs_tracing!();
    let mut program = Program::ready("midlife", &[]);
    let memtrace = Memtrace::attach(program.pid(), &["-d", "2s"]);
    let truth = program.work();
    let report = memtrace.finish().report();
    let seconds = report.window.seconds;
    assert!((2.0..10.0).contains(&seconds), "{seconds}");
    assert_eq!(by_function(&report, "by_malloc"), truth.sites["by_malloc"]);
    assert!(program.end().success());
}
