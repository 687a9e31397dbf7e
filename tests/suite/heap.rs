//! One look at a heap, against what glibc itself and the kernel say of it.

mod releases;

use std::process::{Command, Stdio};

use tests::{Program, Truth, build, memtrace, needs_program, needs_tracing, wait_until};
use tracer::model::heap::{Chunks, Heap};

fn look(pid: u32, more: &[&str]) -> Heap {
    let pid = pid.to_string();
    let output = memtrace()
        .args(["heap", "-p", &pid, "--json"])
        .args(more)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let heap: Heap = serde_json::from_slice(&output.stdout).unwrap();
    // Whatever the heap, the walker's memory is bounded.
    assert!((1..64 << 20).contains(&heap.cost.worker_bytes));
    heap
}

fn chunks(heap: &Heap) -> Chunks {
    let mut sum = Chunks::default();
    heap.walked
        .arenas
        .iter()
        .for_each(|arena| sum += arena.chunks);
    sum
}

/// Every figure that glibc has of its own.
fn assert_as_glibc_says(heap: &Heap, truth: &Truth, case: &str) {
    let quality = &heap.walked.quality;
    assert!(quality.is_clean, "{case}: {quality:?}");
    let (chunks, mapped) = (chunks(heap), &heap.walked.mapped);
    let system: u64 = heap.walked.arenas.iter().map(|it| it.system_bytes).sum();
    let arenas = heap.walked.arenas.len() as u64;
    let top = &heap.walked.arenas[0].chunks.top_bytes;
    for (name, ours) in [
        ("arena", system),
        // The topmost chunk of each arena is one.
        ("ordblks", chunks.free_count + arenas),
        ("smblks", chunks.fast_count),
        ("fsmblks", chunks.fast_bytes),
        ("hblks", mapped.count),
        ("hblkhd", mapped.bytes),
        (
            "fordblks",
            chunks.free_bytes + chunks.fast_bytes + chunks.top_bytes,
        ),
        (
            "uordblks",
            chunks.live_bytes + chunks.overhead_bytes + chunks.cached_bytes + chunks.foreign_bytes,
        ),
        ("keepcost", *top),
    ] {
        assert_eq!(ours, truth.value(name), "{case}: {name}");
    }
}

/// What the program holds: every block of it, to the byte. (A thread's start
/// allocates too: its thread-local storage.)
fn assert_as_program_says(heap: &Heap, truth: &Truth, threads: u64, case: &str) {
    let (chunks, mapped) = (chunks(heap), &heap.walked.mapped);
    let live = chunks.live_count + mapped.count;
    let others = if threads > 1 {
        0..=2 * threads + 1
    } else {
        0..=0
    };
    let theirs = live as i64 - truth.value("live") as i64;
    assert!(others.contains(&(theirs as u64)), "{case}: {theirs} more");
    if threads == 1 && mapped.count == 0 {
        assert_eq!(chunks.live_bytes, truth.value("live_bytes"), "{case}");
    }
}

/// The parts of the resident set are all of it, and it is the kernel's figure.
fn assert_adds_up(heap: &Heap, case: &str) {
    let split = &heap.split;
    assert_eq!(split.unexplained_bytes, 0, "{case}: {split:?}");
    assert_eq!(split.explained(), split.resident_bytes, "{case}");
    for arena in &heap.walked.arenas {
        let pages = &arena.pages;
        let parts = pages.used_bytes + pages.empty_bytes + pages.pinned_bytes;
        assert_eq!(parts + pages.unknown_bytes, pages.resident_bytes, "{case}");
    }
}

fn run(shape: &str, blocks: u64, threads: u64, variables: &[(&str, &str)], more: &[&str]) {
    let mut command = Command::new(build("heap"));
    command.envs(variables.iter().copied());
    run_by(&mut command, shape, blocks, threads, more);
}

/// By a command that takes the program's arguments.
fn run_by(command: &mut Command, shape: &str, blocks: u64, threads: u64, more: &[&str]) -> Heap {
    command.args([shape, &blocks.to_string(), &threads.to_string()]);
    let case = format!("{command:?}");
    let mut program = Program::ready_as(command);
    let truth = program.work();
    let heap = look(truth.value("pid") as u32, more);
    assert_as_glibc_says(&heap, &truth, &case);
    assert_as_program_says(&heap, &truth, threads, &case);
    assert_adds_up(&heap, &case);
    program.talk.go();
    let returned = program.talk.truth().value("returned");
    let predicted = heap.trimmable_bytes();
    // A hundredth, and the few pages that telling takes.
    assert!(
        predicted.abs_diff(returned) <= returned / 100 + 8 * 4096,
        "{case}: {predicted} predicted, {returned} returned"
    );
    assert!(program.end().success());
    heap
}

/// Leaks, blocks freed at random and in runs, trimmed heaps, large and aligned
/// blocks, full caches and fastbins, by one thread and by eight: exact to the
/// byte, the resident set adds up, and `malloc_trim` returns what was predicted.
#[test]
fn exact_against_glibc() {
    needs_tracing!();
    for threads in [1, 8] {
        for shape in ["leak", "random", "runs", "trimmed", "top", "all", "moved"] {
            run(shape, 12_000, threads, &[], &[]);
        }
        for (shape, blocks) in [
            ("large", 300),
            ("aligned", 3000),
            ("cached", 2000),
            ("fast", 12_000),
        ] {
            run(shape, blocks, threads, &[], &[]);
        }
    }
}

/// Arenas that threads share, other thresholds, no caches, a child after fork,
/// and `brk` moved by somebody else or blocked.
#[test]
fn exact_in_other_settings() {
    needs_tracing!();
    run("random", 12_000, 8, &[("MALLOC_ARENA_MAX", "2")], &[]);
    run("random", 12_000, 8, &[("MALLOC_ARENA_MAX", "1")], &[]);
    run("fast", 12_000, 8, &[("MALLOC_ARENA_MAX", "1")], &[]);
    run("large", 300, 1, &[("MALLOC_MMAP_THRESHOLD_", "65536")], &[]);
    run(
        "large",
        300,
        8,
        &[("MALLOC_MMAP_THRESHOLD_", "1000000000")],
        &[],
    );
    run(
        "random",
        12_000,
        1,
        &[("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")],
        &[],
    );
    run(
        "cached",
        2000,
        1,
        &[("GLIBC_TUNABLES", "glibc.malloc.tcache_count=100")],
        &[],
    );
    run("forked", 12_000, 1, &[], &[]);
    run("random", 12_000, 8, &[], &["--freeze"]);
    run("scattered", 600_000, 1, &[], &[]);
    run("foreign", 12_000, 1, &[], &[]);
    run("blocked", 12_000, 1, &[], &[]);
    run("leak", 12_000, 1, &[("MALLOC_TOP_PAD_", "50000000")], &[]);
}

/// Four threads that allocate and free all the time, and are not stopped: what is
/// live is within two hundredths of what they hold, the resident set adds up to
/// what changed meanwhile, and they go on. Stopped, no chunk is missed.
#[test]
fn running_target() {
    needs_tracing!();
    let mut program = Program::ready("heap", &["busy", "20000", "4"]);
    let truth = program.work();
    let held = truth.value("live");
    for more in [&[][..], &["--freeze"]] {
        let heap = look(program.pid(), more);
        let live = chunks(&heap).live_count + heap.walked.mapped.count;
        assert!(
            live.abs_diff(held) <= held / 50,
            "{live} of {held}: {:?}",
            heap.walked.quality
        );
        let split = &heap.split;
        assert!(
            split.unexplained_bytes.unsigned_abs() <= split.resident_bytes / 50,
            "{split:?}"
        );
        let stopped = heap.cost.stopped_seconds;
        assert_eq!(stopped.is_some(), !more.is_empty());
        assert!(stopped.is_none_or(|seconds| (0.0..5.0).contains(&seconds)));
        if stopped.is_some() {
            assert_eq!((heap.walked.quality.breaks, heap.cost.attempts), (0, 1));
        }
    }
    program.talk.go();
    program.talk.truth();
    assert!(program.end().success());
}

fn state(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = (status.lines()).find_map(|line| line.strip_prefix("State:\t"));
    line.unwrap().chars().take(1).collect()
}

/// A memtrace that is killed while the target stands still leaves it running.
#[test]
fn killed_while_target_stands() {
    needs_tracing!();
    let mut program = Program::ready("heap", &["leak", "150000", "1"]);
    let pid = program.pid().to_string();
    let is_seen = (0..20).any(|_| {
        let mut memtrace = memtrace()
            .args(["heap", "--freeze", "-p", &pid])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stands = false;
        while !stands && memtrace.try_wait().unwrap().is_none() {
            stands = state(program.pid()) == "T";
        }
        memtrace.kill().unwrap();
        memtrace.wait().unwrap();
        stands
    });
    assert!(is_seen, "it was never seen to stand");
    wait_until("the target goes on", || state(program.pid()) != "T");
    program.work();
    program.talk.go();
    program.talk.truth();
    assert!(program.end().success());
}

/// The picture is a whole SVG of bounded size, in the place that was asked for.
#[test]
fn picture() {
    needs_tracing!();
    let mut program = Program::ready("heap", &["random", "12000", "4"]);
    program.work();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heap.svg");
    let pid = program.pid().to_string();
    let output = memtrace()
        .args(["heap", "-p", &pid, "-o"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "retention",
        "fragmentation",
        "malloc_trim(0) would return",
        "walk  clean",
        "heap map",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let picture = std::fs::read_to_string(&path).unwrap();
    assert!(picture.starts_with("<svg") && picture.ends_with("</svg>\n"));
    assert!(picture.len() < 512 << 10, "{}", picture.len());
    program.talk.go();
    program.talk.truth();
    assert!(program.end().success());
}

/// node, which is not ours: the walk is clean, and the parts are all.
#[test]
fn node_server() {
    needs_tracing!();
    needs_program!("node");
    let script =
        "const kept = []; for (let i = 0; i < 2000; i++) kept.push(Buffer.alloc(20000, 1));
        for (let i = 0; i < 2000; i++) if (i % 10) kept[i] = null;
        gc(); console.log('ready'); process.stdin.once('data', () => process.exit(0));";
    let mut command = Command::new("node");
    let mut node = Program::start(
        command
            .args(["--expose-gc", "-e", script])
            .stderr(Stdio::null()),
    );
    assert_eq!(node.talk.line(), "ready");
    let heap = look(node.pid(), &[]);
    assert!(heap.walked.quality.is_clean, "{:?}", heap.walked.quality);
    let split = &heap.split;
    assert!(
        split.unexplained_bytes.unsigned_abs() <= split.resident_bytes / 100,
        "{split:?}"
    );
    assert!(split.live_bytes > 200 * 20_000, "{split:?}");
    node.talk.go();
    assert!(node.wait().success());
}

/// What a node process keeps of a thousand streams that are gone, and what
/// `malloc_trim` returns of it when a debugger calls it there: as predicted,
/// within a hundredth.
#[test]
fn node_returns_what_was_predicted() {
    needs_tracing!();
    needs_program!("node");
    needs_program!("gdb");
    const SCRIPT: &str = "const zlib = require('zlib'), streams = [];
        const more = number => {
            if (number === 500) {
                for (let i = 0; i < 950; i++) { streams[i].close(); streams[i] = null; }
                return setTimeout(() => { gc(); gc(); console.log('ready'); }, 300);
            }
            const stream = zlib.createDeflateRaw();
            streams.push(stream, zlib.createInflateRaw());
            stream.on('data', () => {});
            stream.write(Buffer.alloc(3000, number & 255));
            stream.flush(() => more(number + 1));
        };
        more(0);
        process.stdin.once('data', () => process.exit(0));";
    let mut command = Command::new("node");
    let mut node = Program::start(
        command
            .args(["--expose-gc", "-e", SCRIPT])
            .stderr(Stdio::null()),
    );
    assert_eq!(node.talk.line(), "ready");
    let pid = node.pid();
    // Its threads may still be at what the collection left them.
    let (mut before, mut predicted) = (0, 0);
    wait_until("it stands still", || {
        let last = (before, predicted);
        let heap = look(pid, &[]);
        (before, predicted) = (anonymous(pid), heap.trimmable_bytes());
        heap.walked.quality.is_clean && last == (before, predicted)
    });
    let trim = [
        "-p",
        &pid.to_string(),
        "-batch",
        "-ex",
        "call (int)malloc_trim(0)",
    ];
    let called = Command::new("gdb").args(trim).output().unwrap();
    let said = String::from_utf8_lossy(&called.stderr);
    if said.contains("Couldn't write extended state") {
        println!(
            "not run here: node_returns_what_was_predicted: gdb cannot call functions on this processor"
        );
        return;
    }
    let returned = before.saturating_sub(anonymous(pid));
    assert!(returned > 20 << 20, "{returned}");
    assert!(
        predicted.abs_diff(returned) <= returned / 100,
        "{predicted} predicted, {returned} returned"
    );
    // Nothing is left to be returned.
    let left = look(pid, &[]).trimmable_bytes();
    assert!(left <= returned / 100, "{left}");
    node.talk.go();
    assert!(node.wait().success());
}

/// The process's own pages, by the kernel's account.
fn anonymous(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Anonymous:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A program that never called malloc of glibc, one without a glibc, and none at
/// all are refused, each with its reason.
#[test]
fn refusals() {
    needs_tracing!();
    let refused = |pid: &str, words: &str| {
        let output = memtrace().args(["heap", "-p", pid]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(words), "{errors}");
    };
    refused("999999999", "no process has pid");
    let mut gone = Program::ready("heap", &["leak", "100", "1"]);
    gone.child().kill().unwrap();
    gone.wait();
    refused(&gone.pid().to_string(), "no process has pid");
    let jemalloc = "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2";
    if std::path::Path::new(jemalloc).exists() {
        let mut command = Command::new(build("heap"));
        command
            .args(["leak", "100", "1"])
            .env("LD_PRELOAD", jemalloc);
        let other = Program::ready_as(&mut command);
        refused(&other.pid().to_string(), "glibc's malloc has not been used");
    }
}
