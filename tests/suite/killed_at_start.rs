//! memtrace killed while the program that it starts stands still for its probes: the program
//! goes on.

use std::{fs, path::Path, process::Command};

use rustix::process::Signal;
use tests::{Memtrace, hold_bpf_links, needs_tracing, wait_until};

/// A program that makes that file, under trace from its start.
fn start(file: &Path) -> Memtrace {
    let mut touch = Command::new("touch");
    touch.arg(file);
    let mut memtrace = Memtrace::run(&[], &mut touch);
    wait_for_stop(&mut memtrace, file);
    memtrace
}

fn wait_for_stop(memtrace: &mut Memtrace, file: &Path) {
    let pid = memtrace.process().pid();
    // The symbolizer's worker is a child too, and never stands still.
    wait_until("the program stands still or has run", || {
        stopped_child(pid).is_some() || file.exists()
    });
}

/// Whenever that is.
#[test]
fn the_program_runs() {
    needs_tracing!();
    let directory = tempfile::tempdir().unwrap();
    let mut hits = 0;
    for round in 0..20 {
        let file = directory.path().join(round.to_string());
        let mut memtrace = start(&file);
        hits += u32::from(stopped_child(memtrace.process().pid()).is_some());
        memtrace.process().signal(Signal::KILL);
        memtrace.process().wait();
        wait_until("the program has run", || file.exists());
    }
    assert!(hits > 0, "the test tests nothing");
}

/// memtrace's probes outlive it for a moment, here for longer: they stop the program no more,
/// at whichever of its stops that was.
#[test]
fn probes_that_outlive_it_stop_nobody() {
    needs_tracing!();
    let directory = tempfile::tempdir().unwrap();
    let mut hits = 0;
    for round in 0..10 {
        let file = directory.path().join(round.to_string());
        let mut memtrace = start(&file);
        let pid = memtrace.process().pid();
        // There are some twenty looks with probes in all: of each start another is the last.
        let mut looks = 0;
        while !file.exists() {
            // It does not go on while it is looked at.
            memtrace.process().signal(Signal::STOP);
            wait_until("memtrace stands still", || state(pid) == Some('T'));
            let links = hold_bpf_links(pid, "uprobe_multi");
            looks += usize::from(!links.is_empty() && stopped_child(pid).is_some());
            if looks > round * 2 {
                memtrace.process().signal(Signal::KILL);
                memtrace.process().wait();
                wait_until("the program has run", || file.exists());
                hits += 1;
                break;
            }
            memtrace.process().signal(Signal::CONT);
            wait_for_stop(&mut memtrace, &file);
        }
    }
    assert!(hits > 0, "the test tests nothing");
}

/// As `/proc/PID/stat` has it.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

fn stopped_child(pid: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let children = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let children: Vec<String> = children.collect();
    let mut pids = (children.iter()).flat_map(|list| list.split_whitespace());
    pids.find_map(|child| {
        let child = child.parse().ok()?;
        (state(child) == Some('T')).then_some(child)
    })
}
