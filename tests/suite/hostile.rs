//! Targets that lie about themselves: in names, paths and perf maps.

use std::{
    fs,
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use tests::{Finished, Memtrace, Program, build, by_function, needs_tracing, run_tool};

const MARKUP: &str = "<script>alert(1)</script>\"'&amp;";
const ESCAPE: &str = "\u{1b}]0;owned\u{7}\u{1b}[31mred\u{202e}desrever";

/// What stands in `/tmp/perf-PID.map`, gone when dropped.
struct PerfMap(PathBuf);

impl PerfMap {
    fn of(pid: u32) -> Self {
        Self(format!("/tmp/perf-{pid}.map").into())
    }
}

impl Drop for PerfMap {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Traces the generated code of `jit` with something in the perf map's place.
fn trace_with_map(place: impl FnOnce(&Path)) -> Finished {
    let mut program = Program::ready("jit", &[]);
    let map = PerfMap::of(program.pid());
    place(&map.0);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    let finished = memtrace.end();
    let report = finished.report();
    assert_eq!(report.totals.counts, truth.total());
    assert!(program.end().success());
    finished
}

/// A perf map names generated code.
#[test]
fn perf_map_is_read() {
    needs_tracing!();
    let mut program = Program::ready("jit", &["LazyCompile:*handle /srv/app.js:12"]);
    let _map = PerfMap::of(program.pid());
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    let report = memtrace.end().report();
    let names = report.sites[0].frames[0].function.clone().unwrap();
    assert!(
        names.contains("handle") && names.contains("app.js"),
        "{names}"
    );
    assert_eq!(report.totals.counts, truth.total());
}

/// A FIFO in its place does not hang the trace.
#[test]
fn perf_map_fifo() {
    needs_tracing!();
    trace_with_map(|path| {
        let _ = run_tool("mkfifo", &[path.to_str().unwrap()]);
    });
}

/// A symbolic link is not followed: root could read what the target cannot.
#[test]
fn perf_map_symlink() {
    needs_tracing!();
    let secret = tempfile::NamedTempFile::new().unwrap();
    fs::write(&secret, "0 ffffffffffffffff SECRET-WORD\n").unwrap();
    let finished = trace_with_map(|path| symlink(&secret, path).unwrap());
    for name in ["report.json", "live.svg", "mappings.svg", "live.folded"] {
        let text = String::from_utf8(finished.file(name)).unwrap();
        assert!(!text.contains("SECRET-WORD"), "{name}");
    }
    assert!(!finished.stdout.contains("SECRET-WORD") && !finished.stderr.contains("SECRET-WORD"));
}

/// Two gigabytes of nothing are not read whole.
#[test]
fn perf_map_of_two_gigabytes() {
    needs_tracing!();
    trace_with_map(|path| fs::File::create(path).unwrap().set_len(2 << 30).unwrap());
}

/// Garbage in the map: lines without end, numbers that overflow, no text at all.
#[test]
fn perf_map_of_garbage() {
    needs_tracing!();
    trace_with_map(|path| {
        let mut garbage =
            b"zz zz zz\n ffffffffffffffff ffffffffffffffff x\n\xff\xfe\0\n1 2\n".to_vec();
        garbage.extend((0..200_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()));
        garbage.resize(garbage.len() + (1 << 20), b'a');
        fs::write(path, garbage).unwrap();
    });
}

/// A directory in its place.
#[test]
fn perf_map_directory() {
    needs_tracing!();
    let mut made = None;
    trace_with_map(|path| {
        fs::create_dir(path).unwrap();
        made = Some(path.to_owned());
    });
    fs::remove_dir(made.unwrap()).unwrap();
}

/// Nothing that a terminal or a browser would act on comes out.
fn assert_harmless(finished: &Finished) {
    let json = String::from_utf8(finished.file("report.json")).unwrap();
    let svg = String::from_utf8(finished.file("live.svg")).unwrap();
    let folded = String::from_utf8(finished.file("live.folded")).unwrap();
    assert!(!svg.contains("<script>alert"), "markup in live.svg");
    for (name, text) in [
        ("standard output", &finished.stdout),
        ("standard error", &finished.stderr),
        ("report.json", &json),
        ("live.folded", &folded),
        ("live.svg", &svg),
    ] {
        assert!(
            !text.contains(['\u{1b}', '\u{7}']),
            "control characters in {name}"
        );
    }
    for text in [&finished.stdout, &finished.stderr] {
        assert!(
            !text.contains('\u{202e}'),
            "a reversing character is printed"
        );
    }
    let _ = run_tool(
        "/usr/bin/python3",
        &[
            "-c",
            "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])",
            finished.path().join("live.svg").to_str().unwrap(),
        ],
    );
}

/// Markup and control characters in the symbols of a perf map.
#[test]
fn hostile_symbols() {
    needs_tracing!();
    for name in [MARKUP, ESCAPE] {
        let mut program = Program::ready("jit", &[name]);
        let _map = PerfMap::of(program.pid());
        let memtrace = Memtrace::attach(program.pid(), &[]);
        let truth = program.work();
        let finished = memtrace.end();
        let report = finished.report();
        assert_eq!(report.totals.counts, truth.total());
        let function = report.sites[0].frames[0].function.as_deref().unwrap();
        assert!(
            function.contains("alert") || function.contains("red"),
            "{function:?}"
        );
        assert_harmless(&finished);
        assert!(program.end().success());
    }
}

/// The same in the program's path, its first argument and its name.
#[test]
fn hostile_paths_and_names() {
    needs_tracing!();
    for name in [MARKUP, ESCAPE] {
        let directory = tempfile::tempdir().unwrap();
        // A slash would part the name.
        let place = directory.path().join(name.replace('/', "|"));
        fs::create_dir(&place).unwrap();
        let path = place.join("program\n\u{1b}[2J");
        fs::copy(build("midlife"), &path).unwrap();
        let mut program = Program::ready_as(Command::new(&path).arg0(name));
        let memtrace = Memtrace::attach(program.pid(), &[]);
        let truth = program.work();
        let finished = memtrace.end();
        let report = finished.report();
        assert_eq!(by_function(&report, "by_malloc"), truth.sites["by_malloc"]);
        assert_harmless(&finished);
        assert!(program.end().success());
    }
}
