//! Unwinding where it is hard, or limited.

use std::{collections::BTreeMap, process::Command};

use tests::{Build, programs_dir};
use tests::{Finished, Memtrace, Program, build_with, needs_program, needs_tracing};
use tracer::model::{Report, Site, StackEnd};

/// The names of a stack's functions, innermost first.
fn names(site: &Site) -> Vec<&str> {
    let names = site.frames.iter().map(|frame| frame.function.as_deref());
    names.map(|name| name.unwrap_or("?")).collect()
}

/// The one site whose blocks are of this size.
fn site_of(report: &Report, bytes: u64) -> &Site {
    let is_it = |site: &&Site| site.counts.allocated_bytes == bytes;
    report.sites.iter().find(is_it).unwrap()
}

/// Out of a signal handler, on a stack of its own, the stack goes on in what was
/// interrupted; out of an allocator's call as well, whose return address the
/// kernel's return probe has displaced.
#[test]
fn signal_handlers() {
    needs_tracing!();
    let program = build_with(&Build {
        name: "handlers",
        variant: "-O2",
        flags: &["-O2", "-fomit-frame-pointer"],
    });
    let mut program = Program::ready_at(&program, &[]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let _ = program.work();
    let report = memtrace.end().report();
    let site = site_of(&report, 1111);
    let found = names(site);
    assert_eq!(found[0], "on_alternate_stack", "{found:?}");
    assert_eq!(
        found.iter().filter(|name| **name == "interrupted").count(),
        4,
        "{found:?}"
    );
    assert!(
        found.contains(&"raise") && found.contains(&"main"),
        "{found:?}"
    );
    let within = site_of(&report, 2222);
    let found = names(within);
    assert_eq!(found[0], "within_allocator", "{found:?}");
    let (allocator, caller) = (
        found.iter().position(|name| name.contains("memalign")),
        "writes_nowhere",
    );
    let caller = found.iter().position(|name| *name == caller);
    assert!(allocator.is_some() && caller > allocator, "{found:?}");
    for site in [site, within] {
        assert_eq!(site.stack_end, StackEnd::Root);
        assert!(
            site.frames.iter().all(|frame| !frame.approximate),
            "{site:?}"
        );
        assert_eq!(names(site).last(), Some(&"_start"));
    }
}

/// Blocks by stack of a program that does the same in every run.
fn by_stack(finished: &Finished) -> BTreeMap<Vec<(String, u64)>, u64> {
    let mut stacks = BTreeMap::new();
    for site in &finished.report().sites {
        let frames = site
            .frames
            .iter()
            .map(|frame| (frame.module.clone(), frame.offset));
        *stacks.entry(frames.collect()).or_default() += site.counts.allocated_blocks;
    }
    stacks
}

/// The form for kernels without `bpf_loop` sees the same stacks, but for what is
/// deeper than it can go, which it tells. (Debug builds only: release builds
/// take what the kernel has.)
#[test]
fn form_for_old_kernels() {
    needs_tracing!();
    let program = build_with(&Build {
        name: "depths",
        variant: "-O2",
        flags: &["-O2", "-fomit-frame-pointer", "-DROUNDS=20"],
    });
    let trace = |bounded: bool| {
        let mut command = Command::new(&program);
        if bounded {
            command.env("MEMTRACE_BOUNDED", "1");
        }
        Memtrace::run(&[], &mut command).when_ready().finish()
    };
    assert_eq!(by_stack(&trace(true)), by_stack(&trace(false)));
}

/// Where the tables find no room, counts are as they were, stacks are marked
/// and the report says what to do.
#[test]
fn no_room_for_tables() {
    needs_tracing!();
    needs_program!("node");
    let script = programs_dir().join("workload.js");
    let mut command = Command::new("node");
    let memtrace = Memtrace::run(&["--unwind-memory", "1"], command.arg(script)).when_ready();
    let report = memtrace.finish().report();
    let said = |words: &str| report.notes.iter().any(|note| note.contains(words));
    assert!(
        said("did not fit") && said("--unwind-memory"),
        "{:?}",
        report.notes
    );
    let approximate = |site: &&Site| site.frames.iter().any(|frame| frame.approximate);
    assert!(report.sites.iter().filter(approximate).count() > 10);
}
