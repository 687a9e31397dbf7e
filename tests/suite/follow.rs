//! Several processes in one trace: children, execs, memory that two share,
//! pids that come again, processes found by name.

use std::{fs, process::Command};

use tests::{
    Memtrace, Program, Truth, assert_exact, build, by_function, has_program, memtrace,
    needs_tracing, total_of, wait_until,
};
use tracer::model::{Beginning, Exit, Process, Report};

/// Waits until so many processes have come under trace after the first.
fn wait_until_followed(memtrace: &mut Memtrace, count: usize) {
    wait_until("the child is followed", || {
        let said = memtrace.process().errors_so_far();
        said.matches("following process").count() >= count
    });
}

fn process_of<'a>(report: &'a Report, truth: &Truth) -> &'a Process {
    let pid = truth.value("pid");
    let mut found = report.processes.iter();
    (found.rfind(|process| u64::from(process.pid) == pid))
        .unwrap_or_else(|| panic!("no process {pid}: {:?}", report.processes))
}

/// Each process of a tree of forks has a ledger of its own: what it inherited
/// is not charged to it, and what it gives back of that is its parent's still.
#[test]
fn a_tree_of_forks() {
    needs_tracing!();
    let mut program = Program::ready("forks", &["tree", "2"]);
    let mut memtrace = Memtrace::attach(program.pid(), &["--follow"]);
    program.talk.go();
    let mut truths = Vec::new();
    // Two children, each with two, end before their parent tells the truth.
    let mut followed = 0;
    for child_of in [2, 2] {
        program.talk.wait_until_ready();
        followed += 1;
        wait_until_followed(&mut memtrace, followed);
        program.talk.go();
        for _ in 0..child_of {
            program.talk.wait_until_ready();
            followed += 1;
            wait_until_followed(&mut memtrace, followed);
            program.talk.go();
            truths.push(program.talk.truth());
            program.talk.go();
        }
        truths.push(program.talk.truth());
        program.talk.go();
    }
    truths.push(program.talk.truth());
    let report = memtrace.end().report();
    assert!(program.end().success());
    assert_eq!(report.processes.len(), 7, "{:?}", report.processes);
    assert_eq!(report.loss, []);
    let mut inherited = 0;
    for truth in &truths {
        let process = process_of(&report, truth);
        assert_eq!(total_of(&report, process.id), truth.total(), "{process:?}");
        inherited += truth.value("inherited_freed");
    }
    assert!(inherited > 0);
    assert_eq!(report.unmatched_frees, inherited);
    for process in &report.processes[1..] {
        let followed = process.followed.as_ref().unwrap();
        assert_eq!(followed.since, Beginning::Fork);
        assert!(followed.gap_ms > 0.0);
        assert_eq!(process.exit, Some(Exit::Status(0)));
    }
    let parents = |parent: u32| {
        let followed = report.processes.iter().filter_map(|p| p.followed.as_ref());
        followed.filter(|it| it.parent == parent).count()
    };
    assert_eq!(parents(program.pid()), 2);
}

/// What a child allocates in its parent's memory is the parent's, whether that
/// waits for it (vfork) or not.
#[test]
fn memory_that_two_share() {
    needs_tracing!();
    for how in ["shared", "vforked"] {
        let mut program = Program::ready("forks", &[how]);
        let mut memtrace = Memtrace::attach(program.pid(), &["--follow"]);
        program.talk.go();
        program.talk.wait_until_ready();
        wait_until_followed(&mut memtrace, 1);
        program.talk.go();
        let truth = program.talk.truth();
        let report = memtrace.end().report();
        assert!(program.end().success());
        assert_eq!(report.processes.len(), 1, "{how}");
        assert_exact(&report, &truth);
        assert_eq!(report.unmatched_frees, 0);
    }
}

/// A pid that comes again is another process.
#[test]
fn a_pid_comes_again() {
    needs_tracing!();
    let mut program = Program::ready("forks", &["reuse"]);
    let mut memtrace = Memtrace::attach(program.pid(), &["--follow"]);
    program.talk.go();
    let mut pids = Vec::new();
    let mut totals = Vec::new();
    for count in 1..=2 {
        program.talk.wait_until_ready();
        wait_until_followed(&mut memtrace, count);
        program.talk.go();
        let truth = program.talk.truth();
        pids.push(truth.value("pid"));
        totals.push(truth.total());
        program.talk.go();
    }
    program.talk.truth();
    let report = memtrace.end().report();
    assert!(program.end().success());
    assert_eq!(pids[0], pids[1], "the test tests nothing");
    assert_eq!(report.processes.len(), 3);
    for (process, total) in report.processes[1..].iter().zip(totals) {
        assert_eq!(u64::from(process.pid), pids[0]);
        assert_eq!(total_of(&report, process.id), total);
    }
}

/// An attached process that execs is followed into its next program.
#[test]
fn an_exec_chain() {
    needs_tracing!();
    let ends = build("ends");
    let path = ends.to_str().unwrap();
    let mut program = Program::ready("ends", &["exec", path, "exec", path, "exit", "6"]);
    let mut memtrace = Memtrace::attach(program.pid(), &["--follow"]);
    let mut truths = vec![program.work()];
    for count in 1..=2 {
        program.talk.wait_until_ready();
        wait_until_followed(&mut memtrace, count);
        truths.push(program.work());
    }
    let report = memtrace.finish().report();
    assert_eq!(program.wait().code(), Some(6));
    let exits: Vec<_> = report
        .processes
        .iter()
        .map(|process| process.exit)
        .collect();
    assert_eq!(
        exits,
        [Some(Exit::Exec), Some(Exit::Exec), Some(Exit::Status(6))]
    );
    for (process, truth) in report.processes.iter().zip(truths) {
        let sites = report.sites.iter();
        let own = Report {
            sites: (sites.filter(|site| site.process == process.id).cloned()).collect(),
            ..report.clone()
        };
        assert_exact(&own, &truth);
    }
    let since = |process: &Process| process.followed.as_ref().map(|it| it.since);
    assert_eq!(since(&report.processes[2]), Some(Beginning::Exec));
}

/// Ten thousand children that end at once: all are counted, none harms its
/// parent's ledger, and nothing is held open for them.
#[test]
fn ten_thousand_short_children() {
    needs_tracing!();
    let mut program = Program::ready("forks", &["many", "10000"]);
    let mut memtrace = Memtrace::attach(program.pid(), &["--follow"]);
    let truth = program.work();
    let open = fs::read_dir(format!("/proc/{}/fd", memtrace.process().pid()))
        .unwrap()
        .count();
    let report = memtrace.end().report();
    assert!(program.end().success());
    let note = report
        .notes
        .iter()
        .find(|note| note.starts_with("Children"));
    assert!(
        note.is_some_and(|note| note.contains(": 10000 were started")),
        "{:?}",
        report.notes
    );
    assert_eq!(total_of(&report, 1), truth.total());
    assert_eq!(report.loss, []);
    assert!(open < 100, "{open} descriptors");
}

/// Two pids make one report, each with a ledger of its own, and so do all
/// processes of a name.
#[test]
fn several_processes() {
    needs_tracing!();
    let directory = tempfile::tempdir().unwrap();
    // No other process has this name.
    let name = "memtrace-twins";
    let path = directory.path().join(name);
    fs::copy(build("functions"), &path).unwrap();
    let ready = || Program::ready_as(&mut Command::new(&path));
    for by_name in [false, true] {
        let mut programs = [ready(), ready()];
        let pids = programs.each_ref().map(|program| program.pid());
        let both = format!("{},{}", pids[0], pids[1]);
        let which = if by_name {
            ["--comm", name]
        } else {
            ["-p", &both]
        };
        let memtrace =
            Memtrace::start(memtrace().args(which).args(["--max-overhead", "off"])).when_ready();
        let truths = programs.each_mut().map(|program| program.work());
        let report = memtrace.end().report();
        assert_eq!(report.processes.len(), 2);
        for (pid, truth) in pids.iter().zip(&truths) {
            let process = report.processes.iter().find(|it| it.pid == *pid).unwrap();
            assert_eq!(total_of(&report, process.id), truth.total());
        }
        assert!(by_function(&report, "by_malloc").allocated_blocks > 0);
        for program in &mut programs {
            assert!(program.end().success());
        }
    }
}

/// `npm test` under `memtrace run`: npm, its shell and the test's node each
/// have a ledger, and what the test kept is in its own.
#[test]
fn npm_test() {
    needs_tracing!();
    if !has_program("npm") {
        eprintln!("SKIPPED follow::npm_test: no npm");
        return;
    }
    let package = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(package.path().join(name), text).unwrap();
    write(
        "package.json",
        r#"{"name": "kept", "version": "1.0.0", "scripts": {"test": "node --test"}}"#,
    );
    write(
        "kept.test.js",
        "require('node:test')('keeps', () => {
            globalThis.kept = Array.from({length: 64}, () => Buffer.allocUnsafeSlow(1 << 20));
        });",
    );
    let mut npm = Command::new("npm");
    npm.arg("test").current_dir(package.path());
    npm.env("npm_config_update_notifier", "false");
    let finished = Memtrace::run(&[], &mut npm).finish();
    let report = finished.report();
    assert!(finished.status.success(), "{}", finished.stderr);
    let names: Vec<&str> = (report.processes.iter())
        .map(|process| process.executable.rsplit('/').next().unwrap_or_default())
        .collect();
    assert!(names.contains(&"dash"), "{names:?}");
    assert!(
        names.iter().filter(|name| **name == "node").count() >= 3,
        "{names:?}"
    );
    let kept = report.processes.iter().filter(|process| {
        let sites = report.sites.iter();
        let mut own = sites.filter(|site| site.process == process.id);
        own.any(|site| site.counts.allocated_bytes >= 64 << 20)
    });
    assert_eq!(kept.count(), 1);
}
