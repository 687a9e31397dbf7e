//! What is mapped, by whom, and how much of it is memory, against the kernel's
//! own accounts and the program's.

use std::{
    fs,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tests::{Memtrace, Program, build, has_program, lost, needs_tracing, wait_until};
use tracer::model::{Extent, LossCause, MappingSite, ProcessMappings, Report};

fn only(report: &Report) -> &ProcessMappings {
    let mappings = report.mappings.as_ref().unwrap();
    assert_eq!(mappings.processes.len(), 1);
    &mappings.processes[0]
}

fn sum<'a>(extents: impl Iterator<Item = &'a Extent>) -> Extent {
    let mut sum = Extent::default();
    extents.for_each(|extent| sum += *extent);
    sum
}

fn by_function(process: &ProcessMappings, function: &str) -> Extent {
    let is_it = |site: &&MappingSite| {
        let caller = site.frames.first();
        caller.and_then(|frame| frame.function.as_deref()) == Some(function)
    };
    sum(process.sites.iter().filter(is_it).map(|site| &site.extent))
}

/// `Rss`, and the address space that may be touched and that may not, by the
/// kernel's own account.
fn smaps(pid: u32) -> Extent {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap();
    let mut extent = Extent::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["Rss:", kilobytes, "kB"] = words[..] {
            extent.resident_bytes += kilobytes.parse::<u64>().unwrap() << 10;
        } else if let Some((start, end)) = words[0].split_once('-')
            && let Ok(start) = u64::from_str_radix(start, 16)
            && words.last() != Some(&"[vsyscall]")
        {
            let bytes = u64::from_str_radix(end, 16).unwrap() - start;
            match words[1].starts_with("---") {
                true => extent.reserved_bytes += bytes,
                false => extent.usable_bytes += bytes,
            }
        }
    }
    extent
}

fn assert_adds_up(process: &ProcessMappings) {
    let mut parts = sum(process.sites.iter().map(|site| &site.extent));
    for part in [process.before, process.allocator, process.unseen] {
        parts += part;
    }
    assert_eq!(parts, process.total);
}

/// After ten thousand steps of mapping, unmapping in parts, moving, protecting
/// and giving back, by one thread and by four, what is mapped and what is
/// resident are the kernel's own figures, all of it is somebody's, and what
/// each function of the program mapped is what it says.
#[test]
fn storm() {
    needs_tracing!();
    for (seed, threads) in [("1", "1"), ("2", "1"), ("3", "4"), ("4", "4")] {
        let mut program = Program::ready("mappings", &["10000", seed, threads]);
        let memtrace = Memtrace::attach(program.pid(), &[]);
        let truth = program.work();
        // The pages with breakpoints are copies that go with the trace.
        let smaps = smaps(program.pid());
        let report = memtrace.end().report();
        assert!(program.end().success());
        let process = only(&report);
        assert_eq!(process.total, smaps, "seed {seed}");
        assert_eq!(process.unseen, Extent::default(), "seed {seed}");
        assert_eq!(report.loss, []);
        assert_adds_up(process);
        let kept = by_function(process, "keep_mapped");
        assert_eq!(kept.resident_bytes, truth.value("kept_resident"));
        assert_eq!(kept.usable_bytes, truth.value("kept_usable"));
        let reserved = by_function(process, "reserve");
        assert_eq!(reserved.reserved_bytes, truth.value("reserved"));
        assert_eq!(reserved.usable_bytes, 0);
        let usable = by_function(process, "make_usable");
        assert_eq!(usable.usable_bytes, truth.value("made_usable"));
        assert_eq!(usable.resident_bytes, truth.value("made_usable"));
        let shared = by_function(process, "share");
        assert_eq!(shared.resident_bytes, truth.value("shared_resident"));
        // And malloc's own page in front of the block.
        let allocator = process.allocator.resident_bytes;
        let block = truth.value("allocator_resident");
        assert!((block..=block + 8192).contains(&allocator), "{allocator}");
        assert!(report.mappings.unwrap().events > 5000);
    }
}

/// More calls than can be told in time: what is mapped is right all the same,
/// who mapped it is not known, and both are said.
#[test]
fn more_calls_than_can_be_told() {
    needs_tracing!();
    let mut program = Program::ready("mappings", &["300000", "5", "1"]);
    let mut memtrace = Memtrace::attach(program.pid(), &[]);
    // Not a tick of memtrace's happens meanwhile.
    memtrace.process().signal(Signal::STOP);
    program.work();
    memtrace.process().signal(Signal::CONT);
    let smaps = smaps(program.pid());
    let report = memtrace.end().report();
    assert!(program.end().success());
    let process = only(&report);
    assert_eq!(process.total, smaps);
    assert_adds_up(process);
    let dropped = lost(&report, LossCause::MappingDropped);
    assert!(dropped.0 > 0, "{:?}", report.loss);
}

/// Without watching there is nothing about mappings, and no tracepoint.
#[test]
fn can_be_left_out() {
    needs_tracing!();
    let mut program = Program::ready("mappings", &["10", "1", "1"]);
    let memtrace = Memtrace::attach(program.pid(), &["--no-mappings"]);
    program.work();
    let finished = memtrace.end();
    assert!(program.end().success());
    assert_eq!(finished.report().mappings, None);
    let picture = String::from_utf8(finished.file("mappings.svg")).unwrap();
    assert!(picture.contains("--no-mappings"));
}

/// node reserves gigabytes of addresses for one fetch: they are told apart from
/// memory, and V8's heap growth has V8's stacks.
#[test]
fn node_reserves_without_memory() {
    needs_tracing!();
    if !has_program("node") {
        eprintln!("SKIPPED mappings::node_reserves_without_memory: no node");
        return;
    }
    let script = "process.stdin.once('data', async () => {
        const server = require('http').createServer((_, answer) => answer.end('x'));
        await new Promise(ready => server.listen(0, ready));
        await (await fetch('http://127.0.0.1:' + server.address().port)).text();
        globalThis.kept = Array.from({length: 30}, (_, i) => new Array(100000).fill(i));
        console.log('done');
        process.stdin.once('data', () => process.exit(0));
    }); console.log('ready')";
    let mut node = Program::start(
        Command::new("node")
            .args(["-e", script])
            .stderr(Stdio::null()),
    );
    assert_eq!(node.talk.line(), "ready");
    let memtrace = Memtrace::attach(node.pid(), &[]);
    node.talk.go();
    assert_eq!(node.talk.line(), "done");
    let report = memtrace.end().report();
    node.talk.go();
    node.wait();
    let process = only(&report);
    assert_adds_up(process);
    let total = process.total;
    assert!(total.reserved_bytes > 5 << 30, "{total:?}");
    assert!(total.resident_bytes < 500 << 20, "{total:?}");
    let mut by_v8 = 0;
    for site in &process.sites {
        let names: Vec<_> = site.frames.iter().flat_map(|it| &it.function).collect();
        if names.iter().any(|name| name.starts_with("v8::internal::")) {
            by_v8 += site.extent.resident_bytes;
        }
    }
    // Thirty arrays of 800,000 bytes each.
    assert!(by_v8 >= 24_000_000, "{by_v8}");
}

/// From its first instruction on: the loader's mappings are the program's own.
#[test]
fn from_start() {
    needs_tracing!();
    let mut command = Command::new(build("mappings"));
    let mut memtrace = Memtrace::run(&[], command.args(["2000", "7"])).when_ready();
    memtrace.talk().wait_until_ready();
    memtrace.talk().go();
    let truth = memtrace.talk().truth();
    // The trace ends, the program stands at its barrier.
    memtrace.process().signal(Signal::INT);
    wait_until("the report is there", || {
        memtrace
            .process()
            .errors_so_far()
            .contains("the trace has ended")
    });
    memtrace.talk().go();
    let report = memtrace.finish().report();
    let process = only(&report);
    assert_adds_up(process);
    assert_eq!(process.unseen, Extent::default());
    let kept = by_function(process, "keep_mapped");
    assert_eq!(kept.resident_bytes, truth.value("kept_resident"));
}

/// A million small objects of Python's are a few arenas: they are told as growth
/// of its pool, and the bytes are those of the arenas.
#[test]
fn pymalloc_is_named() {
    needs_tracing!();
    const SCRIPT: &str = "import sys
print('ready', flush=True); sys.stdin.readline()
kept = [(number,) for number in range(400000)]
print('done', flush=True); sys.stdin.readline()";
    // The machine's, and Debian's own, which has no symbols.
    for python in ["python3", "/usr/bin/python3"] {
        if !has_program(python) {
            eprintln!("SKIPPED mappings::pymalloc_is_named: no {python}");
            continue;
        }
        let mut python = Program::start(Command::new(python).args(["-c", SCRIPT]));
        assert_eq!(python.talk.line(), "ready");
        let memtrace = Memtrace::attach(python.pid(), &[]);
        python.talk.go();
        assert_eq!(python.talk.line(), "done");
        let report = memtrace.end().report();
        python.talk.go();
        assert!(python.wait().success());
        let is_named = |pool: &String| pool.starts_with("pymalloc");
        let sites = only(&report).sites.iter();
        let pools = sites.filter(|site| site.pool.as_ref().is_some_and(is_named));
        let resident = sum(pools.map(|site| &site.extent)).resident_bytes;
        // A tuple of one has 48 bytes with the collector's, an int 32; some stood free.
        let expected = 400_000 * 74..400_000 * 82;
        assert!(expected.contains(&resident), "{resident}");
    }
}
