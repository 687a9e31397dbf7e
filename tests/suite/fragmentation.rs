//! What is freed and resident all the same, in a trace: how much, who pins it, who
//! freed it; under glibc, where the heap can be walked, and under others.

use std::process::Command;

use tests::{
    Finished, Memtrace, Program, Truth, build, needs_tracing, node, npm_package, programs_dir,
    wait_until,
};
use tracer::model::{
    Report,
    heap::Split,
    trace_heap::{ProcessHeap, Shares},
};

use crate::allocators::{PRELOADED, library};

fn heap_of(report: &Report) -> &ProcessHeap {
    report.heap.as_ref().unwrap().processes.last().unwrap()
}

/// The share of bytes that sites have whose stack's first function is this.
fn share_of(report: &Report, shares: &Shares, function: &str) -> f64 {
    let is_its = |site_id: &str| {
        let site = report.sites.iter().find(|site| site.site_id == site_id);
        let first = site.and_then(|site| site.frames.first());
        first.and_then(|frame| frame.function.as_deref()) == Some(function)
    };
    let its = shares.sites.iter().filter(|it| is_its(&it.site_id));
    its.map(|it| it.bytes).sum::<u64>() as f64 / shares.total() as f64
}

/// The function below the allocator that zlib was given, in the stack of the site
/// that freed most of what is kept.
fn freed_most(report: &Report) -> Option<&str> {
    let most = heap_of(report).retained.as_ref()?.sites.first()?;
    let site = report.sites.iter().find(|it| it.site_id == most.site_id)?;
    site.frames.get(1)?.function.as_deref()
}

/// A program that is traced from its start, and lives when the trace ends.
fn run(arguments: &[&str], preloaded: Option<&str>) -> (Finished, Truth) {
    let mut program = Command::new(build("pinning"));
    program.args(arguments);
    if let Some(library) = preloaded {
        program.env("LD_PRELOAD", library);
    }
    let memtrace = Memtrace::run(&["--max-overhead", "off"], &mut program);
    let mut memtrace = memtrace.when_ready();
    memtrace.talk().wait_until_ready();
    memtrace.talk().go();
    let truth = memtrace.talk().truth();
    memtrace.process().signal(rustix::process::Signal::INT);
    let report = memtrace.path().join("live.svg");
    wait_until("the trace has ended", || report.exists());
    memtrace.talk().go();
    let finished = memtrace.finish();
    assert!(finished.status.success(), "{}", finished.stderr);
    (finished, truth)
}

/// A program that is attached to before it works.
fn attached(arguments: &[&str]) -> Finished {
    let mut program = Program::ready("pinning", arguments);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let _truth = program.work();
    let finished = memtrace.end();
    assert!(program.end().success());
    finished
}

fn last_split(heap: &ProcessHeap) -> Split {
    heap.timeline.last().unwrap().split
}

/// Every page has a block that stays: the function that keeps them holds the
/// pages, and the picture.
#[test]
fn who_pins_the_pages() {
    needs_tracing!();
    let finished = attached(&["60000", "1", "1"]);
    let report = finished.report();
    let heap = heap_of(&report);
    let split = last_split(heap);
    let pinned = heap.pinned.as_ref().unwrap();
    assert!(split.pinned_bytes > split.resident_bytes / 2, "{split:?}");
    assert_eq!(pinned.total(), split.pinned_bytes);
    let share = share_of(&report, pinned, "keep");
    assert!(share >= 0.9, "{share}");
    println!(
        "keep pins {:.1}% of {} bytes",
        share * 100.0,
        split.pinned_bytes
    );
    let picture = String::from_utf8(finished.file("fragmentation.svg")).unwrap();
    for words in [
        "freed but resident in pinning",
        "free beside live blocks",
        ">keep",
    ] {
        assert!(picture.contains(words), "{words}");
    }
}

/// What is free on whole pages goes to who freed it, over time too; the resident
/// set is shared out to the byte.
#[test]
fn who_freed_what_is_kept() {
    needs_tracing!();
    let finished = attached(&["20000", "16", "100"]);
    let report = finished.report();
    let heap = heap_of(&report);
    let split = last_split(heap);
    let retained = heap.retained.as_ref().unwrap();
    assert!(
        split.retained_bytes > split.resident_bytes / 10 * 9,
        "{split:?}"
    );
    assert_eq!(retained.total(), split.retained_bytes);
    let share = share_of(&report, retained, "pass");
    assert!(share >= 0.99, "{share}");
    assert_eq!(heap.mappable_bytes, Some(0));
    for moment in &heap.timeline {
        let split = &moment.split;
        let told = split.explained() as i64 + split.unexplained_bytes;
        assert_eq!(told, split.resident_bytes as i64);
    }
}

/// From the ledger and the mappings the same comes out as from a walk, within
/// half a hundredth.
#[test]
fn ledger_against_walk() {
    needs_tracing!();
    let (finished, truth) = run(&["20000", "16", "8"], None);
    let report = finished.report();
    let heap = heap_of(&report);
    let traced = heap.traced.unwrap();
    let split = last_split(heap);
    assert!(!traced.is_upper_bound);
    assert_eq!(traced.live_bytes, truth.total().live_bytes);
    let walked = (split.retained_bytes + split.pinned_bytes) as f64;
    let told = (traced.retained_bytes + traced.pinned_bytes) as f64;
    assert!((told - walked).abs() <= walked * 0.005, "{told} {walked}");
    println!("free but resident: {told} bytes by the ledger, {walked} by walking");
}

/// Under allocators that tell nothing: live bytes are the program's own count,
/// pages are the kernel's, and they add up to the byte.
#[test]
fn other_allocators() {
    needs_tracing!();
    for (name, file, package) in PRELOADED {
        let (finished, truth) = run(&["20000", "16", "8"], Some(&library(file, package)));
        let report = finished.report();
        let heap = heap_of(&report);
        let traced = heap.traced.unwrap();
        assert!(heap.timeline.is_empty() && !traced.is_upper_bound, "{name}");
        assert_eq!(traced.live_bytes, report.totals.counts.live_bytes, "{name}");
        let own = truth.total().live_bytes;
        // A preloaded allocator and libc allocate for themselves.
        assert!(
            (own..own + (1 << 20)).contains(&traced.live_bytes),
            "{name}"
        );
        let used = traced.resident_bytes - traced.retained_bytes - traced.pinned_bytes;
        assert!(used <= traced.live_bytes, "{name}: {traced:?}");
        assert!(used >= own / 100 * 99, "{name}: {traced:?}");
        let mapped = report.mappings.as_ref().unwrap().processes.last().unwrap();
        assert!(
            traced.resident_bytes <= mapped.total.resident_bytes,
            "{name}"
        );
        assert!(traced.resident_bytes > own, "{name}");
        let retained = heap.retained.as_ref().unwrap();
        assert_eq!(retained.total(), traced.retained_bytes, "{name}");
        println!("{name}: {traced:?}");
    }
}

/// A process that was attached to has blocks that nobody has seen: what is told of
/// its heap is an upper bound, and called one.
#[test]
fn attached_to_in_mid_life() {
    needs_tracing!();
    let (_, file, package) = PRELOADED[0];
    let mut command = Command::new(build("pinning"));
    command.args(["20000", "16", "8"]);
    let mut program = Program::ready_as(command.env("LD_PRELOAD", library(file, package)));
    let memtrace = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    let finished = memtrace.end();
    assert!(program.end().success());
    let report = finished.report();
    let traced = heap_of(&report).traced.unwrap();
    assert!(traced.is_upper_bound, "{traced:?}");
    assert_eq!(traced.live_bytes, truth.total().live_bytes);
    assert!(
        finished.stdout.contains("upper bounds"),
        "{}",
        finished.stdout
    );
    // Nobody looks where nobody is to.
    let mut program = Program::ready("pinning", &["1", "1", "1"]);
    let memtrace = Memtrace::attach(program.pid(), &["--no-heap"]);
    program.work();
    assert_eq!(memtrace.end().report().heap, None);
    assert!(program.end().success());
}

/// A thousand sockets with perMessageDeflate, of which most have left: no leak,
/// little live, most of the resident set free on whole pages, hardly any pinned;
/// and with a lower mmap threshold less than half as much is resident.
#[test]
fn sockets_that_left() {
    needs_tracing!();
    let (Some(node), Some(modules)) = (node(20), npm_package("ws", "ws@8")) else {
        assert!(
            std::env::var_os("MEMTRACE_PREBUILT").is_some(),
            "no node, or no ws"
        );
        return;
    };
    let splits = ["", "65536"].map(|threshold| {
        let mut command = Command::new(&node);
        command
            .arg("--expose-gc")
            .arg(programs_dir().join("deflate/server.js"))
            .arg("1600")
            .env("NODE_PATH", &modules);
        if !threshold.is_empty() {
            command.env("MALLOC_MMAP_THRESHOLD_", threshold);
        }
        let mut program = Program::start(&mut command);
        program.talk.wait_until_ready();
        let memtrace = Memtrace::attach(program.pid(), &["--no-mappings"]);
        program.talk.go();
        let _truth = program.talk.truth();
        let finished = memtrace.end();
        program.end();
        let report = finished.report();
        let heap = heap_of(&report);
        assert_eq!(freed_most(&report), Some("deflateInit2_"));
        (last_split(heap), heap.mappable_bytes.unwrap())
    });
    let [(split, mappable), (lower, _)] = splits;
    println!("by default {split:?}, {mappable} mappable; with a lower threshold {lower:?}");
    let resident = split.resident_bytes as f64;
    assert!(split.retained_bytes as f64 > resident * 0.5);
    assert!((split.live_bytes as f64) < resident * 0.15);
    let free = split.retained_bytes + split.pinned_bytes;
    assert!(split.pinned_bytes * 20 < free);
    assert!((lower.resident_bytes as f64) < resident * 0.5);
    // What was predicted of the threshold is about what it gave back.
    let gave = resident - lower.resident_bytes as f64;
    assert!(
        (mappable as f64 - gave).abs() < gave * 0.3,
        "{mappable} {gave}"
    );
}
