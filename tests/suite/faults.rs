//! Whose memory grows at which stack, from sampled page faults of the whole host: against
//! programs that know what they touch.

use std::{collections::HashMap, process::Command, time::Instant};

use rustix::process::Signal;
use serde::Deserialize;
use tests::{
    DEADLINE, Program, bpf_objects, build, memtrace, needs_program, needs_tracing, programs_dir,
    wait_until,
};
use tracer::model::{Frame, JAVASCRIPT, host::FaultedStack};

/// A line that `memtrace faults` writes.
#[derive(Deserialize)]
struct Line {
    processes: Vec<Faulted>,
    stacks: HashMap<u64, Vec<Frame>>,
    samples: u64,
    map_bytes: u64,
    losses: HashMap<String, u64>,
}

#[derive(Deserialize)]
struct Faulted {
    faulted: Vec<FaultedStack>,
}

/// Starts it, and waits until it samples.
fn sample(arguments: &[&str]) -> Program {
    let mut command = memtrace();
    command
        .args(["faults", "--every-ms", "200"])
        .args(arguments);
    Program::ready_as(&mut command)
}

/// Ends it; every line that was not read.
fn end(mut sampler: Program) -> Vec<Line> {
    sampler.talk.close();
    let lines = sampler.talk.rest();
    assert!(sampler.wait().success(), "{}", sampler.errors_so_far());
    lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Bytes by the innermost function of each stack.
fn by_function(lines: &[Line]) -> HashMap<String, u64> {
    let mut sums = HashMap::new();
    for line in lines {
        for it in line.processes.iter().flat_map(|process| &process.faulted) {
            let first = line.stacks.get(&it.stack).and_then(|frames| frames.first());
            let name = first.and_then(|frame| frame.function.clone());
            *sums.entry(name.unwrap_or_default()).or_default() += it.bytes;
        }
    }
    sums
}

/// What two functions touch is told of them, within what sampling by chance allows: of
/// 300 samples, of which those in bursts stand for more, the sum is within 35% and the
/// share of the larger within 15 per cent of all (four standard deviations).
#[test]
fn functions_get_what_they_touched() {
    needs_tracing!();
    const ROUNDS: u64 = 64;
    let mut program = Program::ready_as(Command::new(build("faults")).arg(ROUNDS.to_string()));
    let mut sampler = sample(&["-p", &program.pid().to_string()]);
    let (mut lines, mut samples, mut touched_mib) = (Vec::new(), 0, 0);
    while samples < 300 {
        program.work();
        touched_mib += 4 * ROUNDS;
        let line: Line = serde_json::from_str(&sampler.talk.line()).unwrap();
        let of_it = line.processes.iter().flat_map(|process| &process.faulted);
        samples += of_it.map(|it| it.samples).sum::<u64>();
        lines.push(line);
    }
    lines.extend(end(sampler));
    let sums = by_function(&lines);
    let of = |name: &str| sums.get(name).copied().unwrap_or(0) as f64 / f64::from(1 << 20);
    let (most, less) = (of("touches_most"), of("touches_less"));
    let sum = (most + less) / touched_mib as f64;
    let share = most / (most + less);
    println!("{samples} samples: {sum:.3} of {touched_mib} MiB, {share:.3} by the one");
    assert!((sum - 1.0).abs() < 0.35, "{sums:?}");
    assert!((share - 0.75).abs() < 0.15, "{sums:?}");
    assert!(lines.iter().all(|line| line.losses.is_empty()));
}

/// A node program whose array grows is told with the JavaScript function that fills it,
/// once it has grown enough to be given unwind tables.
#[test]
fn growing_array_names_its_function() {
    needs_tracing!();
    needs_program!("node");
    let script = programs_dir().join("javascript/grows.js");
    let mut program = Program::ready_as(Command::new("node").arg(script));
    let mut sampler = sample(&["-p", &program.pid().to_string()]);
    let begun = Instant::now();
    loop {
        program.work();
        let line: Line = serde_json::from_str(&sampler.talk.line()).unwrap();
        let is_function = |frame: &Frame| {
            frame.module == JAVASCRIPT && frame.function.as_deref() == Some("rememberRequest")
        };
        if line.stacks.values().flatten().any(is_function) {
            break;
        }
        assert!(begun.elapsed() < *DEADLINE, "no stack names it");
    }
    end(sampler);
    drop(program);
}

/// A thousand processes that live for a moment neither end it nor fill its buffer, and its
/// maps stay as large as they were.
#[test]
fn short_lived_processes_are_survived() {
    needs_tracing!();
    let sampler = sample(&[]);
    let script = "i=0; while [ $i -lt 1000 ]; do /bin/true; i=$((i+1)); done";
    assert!(
        Command::new("sh")
            .args(["-c", script])
            .status()
            .unwrap()
            .success()
    );
    let lines = end(sampler);
    let last = lines.last().unwrap();
    println!("{} samples, {:?}", last.samples, last.losses);
    assert!(last.samples > 0);
    assert!(
        !last.losses.keys().any(|what| what.contains("buffer")),
        "{:?}",
        last.losses
    );
    assert!(last.map_bytes < 64 << 20);
}

/// Killed, it leaves nothing attached and no map.
#[test]
fn nothing_is_left_after_kill() {
    needs_tracing!();
    needs_program!("bpftool");
    let mut sampler = sample(&[]);
    let held = bpf_objects(sampler.pid());
    assert!(!held.programs.is_empty() && !held.maps.is_empty());
    sampler.signal(Signal::KILL);
    sampler.wait();
    wait_until("all of it is gone", || {
        held.remaining() == Default::default()
    });
}
