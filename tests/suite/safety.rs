//! The target is never harmed, whatever it does and whatever becomes of memtrace.

use std::{fs, path::Path, process::Command};

use rustix::process::Signal;
use tests::{
    Memtrace, Program, altered_code, assert_exact, bpf_objects, build, by_function, lost, memtrace,
    needs_tracing, run_tool, wait_until,
};
use tracer::model::{LossCause, Report};

use crate::exact::trace;

/// Exceptions fly past traced calls: no return probe stands where they pass.
#[test]
fn caught_bad_alloc() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("bad_alloc", &[]), &[]);
    assert_eq!(
        report.totals.counts.live_blocks,
        truth.value("live_blocks"),
        "{:?}",
        report.loss
    );
    assert_eq!(report.loss, []);
}

/// The same from the program's start, when the C++ runtime sets up its own blocks.
#[test]
fn caught_bad_alloc_from_the_start() {
    needs_tracing!();
    let mut memtrace = Memtrace::run(&[], &mut Command::new(build("bad_alloc")));
    memtrace.talk().wait_until_ready();
    memtrace.talk().go();
    memtrace.talk().truth();
    memtrace.talk().go();
    assert_eq!(memtrace.finish().report().loss, []);
}

/// A profiler's signal handler unwinds the stack in the midst of traced calls.
#[test]
fn backtrace_in_a_signal_handler() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("backtrace", &[]), &[]);
    assert_exact(&report, &truth);
    assert!(truth.value("backtraces") >= 100);
}

/// Calls left by longjmp are counted as missed returns, and silence nothing
/// that comes after them.
#[test]
fn longjmp_out_of_malloc() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("jumps", &["longjmp"]), &[]);
    assert_eq!(truth.value("missed_calls"), 50);
    assert_missed(report, &truth);
}

/// The same for a thread that ends in malloc.
#[test]
fn thread_exit_out_of_malloc() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("jumps", &["thread"]), &[]);
    assert_missed(report, &truth);
}

/// Fails unless exactly the calls that were left are lost.
fn assert_missed(mut report: Report, truth: &tests::Truth) {
    let missed = lost(&report, LossCause::MissedReturn);
    let expected = (truth.value("missed_calls"), truth.value("missed_bytes"));
    assert_eq!(missed, expected, "{:?}", report.loss);
    report
        .loss
        .retain(|loss| loss.cause != LossCause::MissedReturn);
    assert_exact(&report, truth);
}

/// A process that may make a handful of system calls only survives, or is
/// refused where this kernel's return probes would kill it.
#[test]
fn seccomp_filtered_before() {
    needs_tracing!();
    let mut program = Program::ready("filtered", &["before"]);
    let safe = run_tool(tests::binary().to_str().unwrap(), &["doctor"])
        .lines()
        .any(|line| line.starts_with("ok") && line.contains("return probes under seccomp"));
    if safe {
        let (report, truth) = trace(&mut program, &[]);
        assert_exact(&report, &truth);
    } else {
        let finished = Memtrace::attach_started(program.pid(), &[]).finish();
        finished.assert_refused(&["seccomp"]);
        program.work();
        assert!(program.end().success());
    }
}

/// The same for a process that takes on its filter under trace.
#[test]
fn seccomp_filtered_within() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("filtered", &["within"]), &[]);
    assert_exact(&report, &truth);
}

/// A target that a debugger holds: memtrace says so and ends when it is told to.
#[test]
fn stopped_by_a_debugger() {
    needs_tracing!();
    let mut program = Program::ready("midlife", &[]);
    let debugger = Debugger::attach(program.pid());
    let finished = Memtrace::attach(program.pid(), &[]).end();
    assert!(finished.stderr.contains("debugger"), "{}", finished.stderr);
    let report = finished.report();
    assert!(report.notes.iter().any(|note| note.contains("debugger")));
    assert_eq!(report.totals.counts.allocated_blocks, 0);
    drop(debugger);
    program.work();
    assert!(program.end().success());
}

/// A ptrace attachment of this thread; it lets go when dropped.
struct Debugger(i32);

impl Debugger {
    fn attach(pid: u32) -> Self {
        let pid = pid as i32;
        // SAFETY: plain system calls on a child of ours.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_ATTACH, pid, 0, 0), 0);
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &raw mut status, libc::__WALL), pid);
            assert!(libc::WIFSTOPPED(status));
        }
        Self(pid)
    }
}

impl Drop for Debugger {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) };
    }
}

/// memtrace killed in mid-trace: no program, link or map stays in the kernel
/// and no breakpoint in the target, which ends as if nothing had been.
#[test]
fn memtrace_killed() {
    needs_tracing!();
    let mut program = Program::ready("threads", &["each"]);
    assert_code_is_whole(&program);
    let mut memtrace = Memtrace::attach(program.pid(), &[]);
    let held = bpf_objects(memtrace.process().pid());
    assert!(!held.programs.is_empty() && !held.links.is_empty() && !held.maps.is_empty());
    assert_eq!(held.remaining(), held, "bpftool sees what memtrace holds");
    program.talk.go();
    wait_until("breakpoints in libc", || {
        !altered_code(program.pid()).is_empty()
    });
    memtrace.process().signal(Signal::KILL);
    assert_eq!(memtrace.process().wait().code(), None);
    let truth = program.talk.truth();
    // The kernel frees them in a worker's time.
    wait_until("memtrace's objects gone", || {
        held.remaining() == Default::default()
    });
    assert_code_is_whole(&program);
    assert!(truth.total().allocated_blocks > 0);
    assert!(program.end().success());
}

fn assert_code_is_whole(program: &Program) {
    let altered = altered_code(program.pid());
    assert!(altered.is_empty(), "breakpoints at {altered:x?}");
}

/// A trace that ends as it should leaves as little.
#[test]
fn nothing_left_after_the_end() {
    needs_tracing!();
    let mut program = Program::ready("midlife", &[]);
    let mut memtrace = Memtrace::attach(program.pid(), &[]);
    let held = bpf_objects(memtrace.process().pid());
    program.work();
    let finished = memtrace.end();
    assert!(finished.status.success());
    wait_until("memtrace's objects gone", || {
        held.remaining() == Default::default()
    });
    assert_code_is_whole(&program);
    assert!(program.end().success());
}

/// Two memtraces on one process are both right.
#[test]
fn two_at_once() {
    needs_tracing!();
    let mut program = Program::ready("functions", &[]);
    let first = Memtrace::attach(program.pid(), &[]);
    let second = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    assert_exact(&first.end().report(), &truth);
    assert_exact(&second.end().report(), &truth);
    assert!(program.end().success());
}

/// One of two memtraces may go in mid-trace without harm to the other.
#[test]
fn one_of_two_goes() {
    needs_tracing!();
    let mut program = Program::ready("threads", &["each"]);
    let first = Memtrace::attach(program.pid(), &[]);
    let second = Memtrace::attach(program.pid(), &[]);
    program.talk.go();
    assert!(second.end().status.success());
    let truth = program.talk.truth();
    assert_exact(&first.end().report(), &truth);
    assert!(program.end().success());
}

/// A trace that begins and ends while the target is at work: its figures are
/// whole, whatever calls were under way.
#[test]
fn attach_and_end_amid_work() {
    needs_tracing!();
    let mut program = Program::ready("threads", &["each"]);
    program.talk.go();
    let report = Memtrace::attach(program.pid(), &[]).end().report();
    assert_eq!(report.loss, [], "{:?}", report.loss);
    let truth = program.talk.truth();
    for (name, all) in &truth.sites {
        let seen = by_function(&report, name);
        assert!(seen.allocated_bytes <= all.allocated_bytes, "{name}");
        assert!(seen.allocated_blocks <= all.allocated_blocks, "{name}");
    }
    assert!(program.end().success());
}

/// memtrace does not trace memtraces: it would count its own work.
#[test]
fn itself_as_target() {
    needs_tracing!();
    let program = Program::ready("midlife", &[]);
    let mut memtrace = Memtrace::attach(program.pid(), &[]);
    let other = Memtrace::attach_started(memtrace.process().pid(), &[]).finish();
    other.assert_refused(&["memtrace", "Choose another process"]);
    assert!(
        !Path::new(&other.path()).exists(),
        "an empty directory stays"
    );
    assert!(memtrace.end().status.success());
}

/// Its own pid: a shell's exec makes it known beforehand.
#[test]
fn its_own_pid() {
    needs_tracing!();
    let mut shell = Command::new("/bin/sh");
    let path = memtrace().get_program().to_owned();
    shell
        .args(["-c", "exec \"$0\" -p $$ -d 1s -o own"])
        .arg(path);
    let directory = tempfile::tempdir().unwrap();
    let finished = Memtrace::start(shell.current_dir(directory.path())).finish();
    finished.assert_refused(&["is a memtrace"]);
}

/// Its helper processes are memtrace too.
#[test]
fn its_file_worker() {
    needs_tracing!();
    let program = Program::ready("midlife", &[]);
    let mut memtrace = Memtrace::attach(program.pid(), &[]);
    let pid = memtrace.process().pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    for child in children.split_whitespace() {
        let other = Memtrace::attach_started(child.parse().unwrap(), &[]).finish();
        other.assert_refused(&["memtrace"]);
    }
    assert!(memtrace.end().status.success());
}
