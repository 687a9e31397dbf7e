//! Where code and libraries stand: unloaded, deleted, in another root.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;
use tests::{
    Build, Memtrace, Program, assert_exact, build, build_with, by_function, memtrace,
    needs_tracing, run_tool, total_of, wait_until,
};

use crate::{allocators::MUSL, exact::trace};

fn library(variant: &'static str, flags: &'static [&'static str]) -> PathBuf {
    build_with(&Build {
        name: "library",
        variant,
        flags,
    })
}

/// An address is another function once a library has gone and another has
/// come to its place: each keeps its name. Where memtrace was too late to see
/// which of them it was, the frames say that they may be wrong.
#[test]
fn libraries_that_take_turns() {
    needs_tracing!();
    const TRIES: usize = 5;
    let seen_in_time = (0..TRIES).any(|_| take_turns());
    assert!(seen_in_time, "the libraries were never seen in time");
}

/// Whether each kept its name.
fn take_turns() -> bool {
    let first = library("-first.so", &["-shared", "-fPIC", "-DSITE_NAME=in_first"]);
    let second = library("-second.so", &["-shared", "-fPIC", "-DSITE_NAME=in_second"]);
    let arguments = [first.to_str().unwrap(), second.to_str().unwrap()];
    let mut program = Program::ready("plugins", &arguments);
    let mut memtrace = Memtrace::attach(program.pid(), &[]);
    for library in [&first, &second] {
        program.talk.go();
        assert_eq!(program.talk.line(), "{\"event\":\"loaded\"}");
        // Otherwise it cannot know what stood there: it looks when the loader
        // changes something, not before.
        wait_until("memtrace has seen the library", || {
            holds_open(memtrace.process().pid(), library)
        });
    }
    let truth = program.work();
    let report = memtrace.end().report();
    assert_eq!(truth.value("same_place"), 1, "the test tests nothing");
    let names = ["in_first", "in_second"];
    if (names.iter()).all(|name| by_function(&report, name) == truth.sites[*name]) {
        return true;
    }
    let frames = report.sites.iter().flat_map(|site| &site.frames);
    let mut named = frames.filter(|frame| {
        let function = frame.function.as_deref();
        names.iter().any(|name| function == Some(name))
    });
    assert!(named.any(|frame| frame.approximate), "wrong in silence");
    false
}

fn holds_open(pid: u32, file: &Path) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut links = descriptors
        .flatten()
        .map(|entry| fs::read_link(entry.path()));
    links.any(|link| link.is_ok_and(|link| link == file))
}

/// What an object needs beside itself, as `ldd` lists it.
fn needed(program: &Path) -> Vec<PathBuf> {
    let list = run_tool("ldd", &[program.to_str().unwrap()]);
    list.split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

/// A libc that was deleted (or replaced by an upgrade) under the process.
#[test]
fn deleted_libc() {
    needs_tracing!();
    let program = build("functions");
    let directory = tempfile::tempdir().unwrap();
    let libc = needed(&program)
        .into_iter()
        .find(|path| path.ends_with("libc.so.6"))
        .unwrap();
    fs::copy(libc, directory.path().join("libc.so.6")).unwrap();
    let copy = directory.path().join("functions");
    fs::copy(&program, &copy).unwrap();
    let mut command = Command::new(&copy);
    command.env("LD_LIBRARY_PATH", directory.path());
    let mut program = Program::ready_as(&mut command);
    let maps = fs::read_to_string(format!("/proc/{}/maps", program.pid())).unwrap();
    assert!(maps.contains(directory.path().join("libc.so.6").to_str().unwrap()));
    directory.close().unwrap();
    let (report, truth) = trace(&mut program, &[]);
    assert_exact(&report, &truth);
}

/// A root with programs and what they need.
fn root_with(programs: &[(PathBuf, Vec<PathBuf>)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (program, needed) in programs {
        let name = program.file_name().unwrap();
        fs::copy(program, root.path().join(name)).unwrap();
        for path in needed {
            let place = root.path().join(path.strip_prefix("/").unwrap());
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::copy(path, &place).unwrap();
        }
    }
    fs::create_dir(root.path().join("tmp")).unwrap();
    root
}

fn with_needed(program: PathBuf) -> (PathBuf, Vec<PathBuf>) {
    let needed = needed(&program);
    (program, needed)
}

/// A target in another root, with a libc and a perf map of its own.
#[test]
fn another_root() {
    needs_tracing!();
    let root = root_with(&["functions", "jit"].map(|name| with_needed(build(name))));
    let chroot = |arguments: &[&str]| {
        let mut command = Command::new("chroot");
        command.arg(root.path()).args(arguments);
        Program::ready_as(&mut command)
    };
    let (report, truth) = trace(&mut chroot(&["/functions"]), &[]);
    assert_exact(&report, &truth);
    assert!(report.processes[0].executable.ends_with("/functions"));
    let (report, truth) = trace(&mut chroot(&["/jit", "generated"]), &[]);
    assert_eq!(by_function(&report, "generated"), truth.sites["jit"]);
}

/// Processes of one container by their host pids, in one trace: namespaces of
/// its own, two libcs, and a perf map that is named by the inner pid.
#[test]
fn container() {
    needs_tracing!();
    let musl = build_with(&Build {
        name: "functions",
        variant: "-musl",
        flags: &MUSL,
    });
    // Its loader is its libc.
    let loader = vec![PathBuf::from("/lib/ld-musl-x86_64.so.1")];
    let root = root_with(&[with_needed(build("jit")), (musl, loader)]);
    let contained = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args([
            "--pid",
            "--mount",
            "--net",
            "--fork",
            "--kill-child",
            "--root",
        ]);
        command.arg(root.path()).args(arguments);
        Program::ready_as(&mut command)
    };
    let mut programs = [
        contained(&["/jit", "generated"]),
        contained(&["/functions-musl"]),
    ];
    let pids = programs.each_ref().map(|program| only_child(program.pid()));
    let both = format!("{},{}", pids[0], pids[1]);
    let memtrace = Memtrace::start(memtrace().args(["-p", &both, "--max-overhead", "off"]));
    let memtrace = memtrace.when_ready();
    let truths = programs.each_mut().map(Program::work);
    let report = memtrace.end().report();
    for ((pid, truth), libc) in pids.iter().zip(&truths).zip(["glibc", "musl"]) {
        let mut processes = report.processes.iter();
        let process = processes.find(|process| process.pid == *pid).unwrap();
        assert_eq!(process.ns_pid, 1);
        assert!(process.allocator.contains(libc), "{process:?}");
        assert_eq!(total_of(&report, process.id), truth.total());
    }
    assert_eq!(by_function(&report, "generated"), truths[0].sites["jit"]);
    assert_eq!(report.loss, []);
    for program in &mut programs {
        assert!(program.end().success());
    }
}

fn only_child(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.trim().parse().unwrap()
}

/// A process in a pid namespace of its own is traced or refused in words.
#[test]
fn another_pid_namespace() {
    needs_tracing!();
    let program = build("functions");
    let mut outer = Command::new("unshare");
    outer
        .args(["--pid", "--fork", "--kill-child", "--"])
        .arg(&program);
    let mut program = Program::ready_as(&mut outer);
    let inner = only_child(program.pid());
    let memtrace = Memtrace::attach(inner, &[]);
    let truth = program.work();
    let report = memtrace.end().report();
    assert_exact(&report, &truth);
    assert_eq!(
        (report.processes[0].pid, report.processes[0].ns_pid),
        (inner, 1)
    );
    assert!(program.end().success());
}
