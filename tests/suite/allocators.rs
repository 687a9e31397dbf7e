//! Equality to the block and byte under other allocators than glibc's shared one.

use std::{path::PathBuf, process::Command};

use tests::{
    Build, Memtrace, Program, Truth, assert_exact, build, build_with, is_prebuilt, needs_tracing,
    program_path, programs_dir, target_dir, wait_until,
};
use tracer::model::Report;

use crate::exact::trace;

/// Debian's, by the package that brings it.
pub const PRELOADED: [(&str, &str, &str); 3] = [
    ("jemalloc", "libjemalloc.so.2", "libjemalloc2"),
    (
        "tcmalloc",
        "libtcmalloc_minimal.so.4",
        "libtcmalloc-minimal4",
    ),
    ("mimalloc", "libmimalloc.so.2", "libmimalloc2.0"),
];

pub fn library(file: &str, package: &str) -> String {
    let path = format!("/usr/lib/x86_64-linux-gnu/{file}");
    assert!(std::path::Path::new(&path).exists(), "{package} is needed");
    path
}

/// Every function of the C interface, under every allocator that is preloaded.
#[test]
fn preloaded() {
    needs_tracing!();
    let path = build_with(&Build {
        name: "functions",
        variant: "-without-pvalloc",
        flags: &["-DWITHOUT_PVALLOC"],
    });
    for (name, file, package) in PRELOADED {
        let mut command = Command::new(&path);
        command.env("LD_PRELOAD", library(file, package));
        let (report, truth) = trace(&mut Program::ready_as(&mut command), &[]);
        assert_found(&report, name);
        assert_exact(&report, &truth);
    }
}

/// operator new and delete that the allocator brings itself, also where new
/// throws: the exception reaches its handler as without a trace, and what
/// failed is no block.
#[test]
fn operators() {
    needs_tracing!();
    for (name, file, package) in PRELOADED {
        let mut command = Command::new(build("operators"));
        command.env("LD_PRELOAD", library(file, package));
        if name == "mimalloc" {
            // Built as C it aborts.
            command.arg("never fail");
        }
        let (report, truth) = trace(&mut Program::ready_as(&mut command), &[]);
        assert_found(&report, name);
        assert_exact(&report, &truth);
        assert_eq!(report.unmatched_frees, 0);
    }
}

/// jemalloc's own functions, linked against.
#[test]
fn jemalloc_own_functions() {
    needs_tracing!();
    let path = build_with(&Build {
        name: "jemalloc_own",
        variant: "",
        flags: &["-Wl,--no-as-needed", "-ljemalloc"],
    });
    let (report, truth) = trace(&mut Program::ready_at(&path, &[]), &[]);
    assert_found(&report, "jemalloc");
    assert_exact(&report, &truth);
}

pub const MUSL: [&str; 2] = [
    "-DWITHOUT_PVALLOC",
    "-specs=/usr/lib/x86_64-linux-musl/musl-gcc.specs",
];

/// musl, whose loader is its libc, and a static program of it.
#[test]
fn musl() {
    needs_tracing!();
    for (variant, flags) in [
        ("-musl", &MUSL[..]),
        ("-musl-static", &[MUSL[0], MUSL[1], "-static"]),
    ] {
        let path = build_with(&Build {
            name: "functions",
            variant,
            flags,
        });
        let (report, truth) = trace(&mut Program::ready_at(&path, &[]), &[]);
        assert_found(&report, "musl");
        assert_exact(&report, &truth);
        let (report, truth) = from_start(&mut Command::new(&path));
        assert_exact(&report, &truth);
    }
}

fn assert_found(report: &Report, name: &str) {
    let process = &report.processes[0];
    assert!(process.allocator.contains(name), "{process:?}");
}

fn from_start(command: &mut Command) -> (Report, Truth) {
    let mut memtrace = Memtrace::run(&[], command).when_ready();
    memtrace.talk().wait_until_ready();
    memtrace.talk().go();
    let truth = memtrace.talk().truth();
    memtrace.talk().go();
    (memtrace.finish().report(), truth)
}

/// Rust programs with an allocator of their own, under the names that crates
/// give it: `tikv-jemallocator`'s jemalloc, the `mimalloc` crate.
#[test]
fn rust_with_its_own() {
    needs_tracing!();
    for (allocator, path) in [
        ("jemalloc", build_rust_with_jemalloc()),
        ("mimalloc", example("rust_mimalloc")),
    ] {
        let (report, truth) = trace(&mut Program::ready_at(&path, &[]), &[]);
        assert_found(&report, allocator);
        assert_eq!(report.totals.counts, truth.total(), "{allocator}");
        assert_eq!(report.loss, []);
        assert_eq!(report.unmatched_frees, 0);
    }
}

/// A stripped program has an allocator of its own beside libc's: the figures
/// are libc's, and every output says whose are missing.
#[test]
fn hidden_in_a_stripped_program() {
    needs_tracing!();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stripped");
    succeed(
        Command::new("strip")
            .arg("-o")
            .arg(&path)
            .arg(example("rust_mimalloc")),
    );
    let mut program = Program::ready_at(&path, &[]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    program.work();
    let finished = memtrace.end();
    assert!(program.end().success());
    let report = finished.report();
    assert_found(&report, "glibc");
    assert_eq!(report.not_covered.len(), 1);
    assert!(
        report.not_covered[0].starts_with("mimalloc, "),
        "{report:?}"
    );
    assert!(
        finished.stdout.contains("NOT COVERED"),
        "{}",
        finished.stdout
    );
    for picture in ["live.svg", "mappings.svg"] {
        let picture = String::from_utf8(finished.file(picture)).unwrap();
        assert!(picture.contains("NOT COVERED: 1 allocator"));
    }
}

/// A program that was built with the suite.
fn example(name: &str) -> PathBuf {
    let path = target_dir().join("examples").join(name);
    assert!(
        path.exists(),
        "cargo build --package tests --example {name}"
    );
    path
}

/// Debian's jemalloc with the prefix of `tikv-jemallocator`, linked into Rust.
fn build_rust_with_jemalloc() -> PathBuf {
    const FUNCTIONS: [&str; 14] = [
        "malloc",
        "calloc",
        "realloc",
        "free",
        "memalign",
        "valloc",
        "aligned_alloc",
        "posix_memalign",
        "mallocx",
        "rallocx",
        "xallocx",
        "dallocx",
        "sdallocx",
        "mallctl",
    ];
    let path = program_path("rust_jemalloc");
    if is_prebuilt(&path) {
        return path;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut objcopy = Command::new("objcopy");
    for function in FUNCTIONS {
        objcopy.arg(format!("--redefine-sym={function}=_rjem_{function}"));
    }
    objcopy.arg(library("libjemalloc_pic.a", "libjemalloc-dev"));
    succeed(objcopy.arg(directory.path().join("librjem.a")));
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition=2024",
        "-Copt-level=1",
        "-Cforce-frame-pointers=yes",
    ]);
    rustc.arg("-L").arg(directory.path());
    rustc.args(["-lstatic=rjem", "-lstdc++", "-lm"]);
    rustc.arg(programs_dir().join("rust_jemalloc.rs"));
    succeed(rustc.arg("-o").arg(&path));
    path
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}

/// An allocator that comes in mid-run is covered from its arrival on, however
/// often it came and went before, and libc's beside it all the while.
#[test]
fn arrives_in_mid_run() {
    needs_tracing!();
    // jemalloc cannot: its thread-local variables need room from the start.
    let mimalloc = library("libmimalloc.so.2", "libmimalloc2.0");
    let path = build_with(&Build {
        name: "arrives",
        variant: "",
        flags: &["-ldl"],
    });
    for times in ["0", "20"] {
        let mut program = Program::ready_at(&path, &[&mimalloc, times]);
        let mut memtrace = Memtrace::attach(program.pid(), &[]);
        program.talk.go();
        assert_eq!(program.talk.line(), "{\"event\":\"loaded\"}");
        wait_until("it has its probes", || {
            memtrace.process().errors_so_far().contains("mimalloc")
        });
        let truth = program.work();
        let report = memtrace.end().report();
        assert!(program.end().success());
        assert_found(&report, "mimalloc");
        assert_exact(&report, &truth);
    }
}

/// tcmalloc linked into a program.
#[test]
fn static_tcmalloc() {
    needs_tracing!();
    library("libtcmalloc_minimal.a", "libgoogle-perftools-dev");
    let path = build_with(&Build {
        name: "functions",
        variant: "-tcmalloc",
        flags: &[
            "-DWITHOUT_PVALLOC",
            "-Wl,--whole-archive,-l:libtcmalloc_minimal.a,--no-whole-archive,--no-as-needed",
            "-lstdc++",
            "-lm",
        ],
    });
    let (report, truth) = trace(&mut Program::ready_at(&path, &[]), &[]);
    assert_found(&report, "tcmalloc");
    assert_exact(&report, &truth);
}

/// A static program has its allocator in itself, at a fixed address or not.
#[test]
fn static_glibc() {
    needs_tracing!();
    for (variant, flags) in [
        ("-static", &["-static"][..]),
        ("-static-pie", &["-static-pie", "-fPIE"]),
    ] {
        let path = build_with(&Build {
            name: "functions",
            variant,
            flags,
        });
        let (report, truth) = trace(&mut Program::ready_at(&path, &[]), &[]);
        assert_exact(&report, &truth);
        let (report, truth) = from_start(&mut Command::new(&path));
        assert_exact(&report, &truth);
        assert_eq!(report.unmatched_frees, 0);
    }
}
