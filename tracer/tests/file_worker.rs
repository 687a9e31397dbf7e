//! The file worker as the program runs it: a process of its own, of the real binary.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tracer::symbolize::{FileWorker, FileWorkerError, perf_map};

fn worker() -> FileWorker {
    FileWorker::with_command(|| Command::new(env!("CARGO_BIN_EXE_memtrace"))).unwrap()
}

fn libc() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("libc.so.6"));
    line.and_then(|line| line.split_whitespace().last())
        .unwrap()
        .into()
}

fn status_field(worker: &FileWorker, field: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{}/status", worker.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let values: Vec<&str> = line.split_whitespace().skip(1).collect();
    values.join(" ")
}

fn died_by(error: FileWorkerError) -> Option<i32> {
    match error {
        FileWorkerError::Died(status) => status.and_then(|status: ExitStatus| status.signal()),
        other => panic!("{other}"),
    }
}

fn kill(worker: &FileWorker, signal: i32) {
    let id = i32::try_from(worker.id().unwrap()).unwrap();
    // SAFETY: signals the child that this test started and still holds.
    assert_eq!(unsafe { libc::kill(id, signal) }, 0);
}

/// Through the process boundary the answers are those of the pure parsers.
#[test]
fn answers_are_those_of_the_parsers() {
    let bytes = std::fs::read(libc()).unwrap();
    let file = File::open(libc()).unwrap();
    let mut worker = worker();
    let summary = worker.inspect(&file).unwrap();
    assert_eq!(summary, tracer::symbolize::elf::inspect(&bytes).unwrap());
    assert!(summary.defines_malloc);

    // More offsets than go into one message.
    let offsets: Vec<u64> = (0..10_000).map(|step| 0x26000 + step * 64).collect();
    let expected = tracer::symbolize::elf::symbolize(&bytes, &offsets).unwrap();
    assert_eq!(worker.symbolize(&file, &offsets).unwrap(), expected);
    assert_eq!(worker.symbolize(&file, &offsets).unwrap(), expected);
    assert_eq!(worker.symbolize(&file, &[]).unwrap(), Vec::<Vec<_>>::new());
}

/// The child that reads hostile files is nobody, can gain nothing, and is
/// filtered; it does not outlive its parent's handle.
#[test]
fn the_worker_has_nothing_to_lose() {
    let worker = worker();
    assert_eq!(status_field(&worker, "Seccomp:"), "2");
    assert_eq!(status_field(&worker, "NoNewPrivs:"), "1");
    assert_eq!(status_field(&worker, "CapPrm:"), "0000000000000000");
    if rustix::process::geteuid().is_root() {
        assert_eq!(status_field(&worker, "Uid:"), "65534 65534 65534 65534");
        assert_eq!(status_field(&worker, "Gid:"), "65534 65534 65534 65534");
        assert_eq!(status_field(&worker, "Groups:"), "");
    }
    let process = format!("/proc/{}", worker.id().unwrap());
    drop(worker);
    assert!(!Path::new(&process).exists());
}

/// A worker killed from outside, by the system's memory killer for one, is
/// replaced without anyone noticing.
#[test]
fn a_killed_worker_is_replaced() {
    let file = File::open(libc()).unwrap();
    let mut worker = worker();
    let first = worker.id().unwrap();
    worker.inspect(&file).unwrap();
    kill(&worker, libc::SIGKILL);
    // Another file: what was found in the first is remembered here.
    let itself = File::open("/proc/self/exe").unwrap();
    worker.inspect(&itself).unwrap();
    assert_ne!(worker.id().unwrap(), first);
}

/// Tokio's blocking threads come and go; the worker stays with the handle, not
/// with the thread that started it.
#[test]
fn the_worker_survives_the_thread_that_started_it() {
    let mut worker = std::thread::spawn(worker).join().unwrap();
    let first = worker.id();
    worker.inspect(&File::open(libc()).unwrap()).unwrap();
    assert_eq!(worker.id(), first);
}

/// A file system without room: a hole in a file there cannot be read through a
/// mapping, which is the SIGBUS of a file that was cut short after it was mapped.
fn file_that_kills_its_reader() -> File {
    use rustix::mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
        fsopen,
    };
    let system = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    fsconfig_set_string(&system, "size", "4k").unwrap();
    fsconfig_create(&system).unwrap();
    let mount = fsmount(
        &system,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .unwrap();
    let file = rustix::fs::openat(
        &mount,
        "object",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CREATE,
        rustix::fs::Mode::RUSR,
    )
    .unwrap();
    let file = File::from(file);
    let mut object = std::fs::read(libc()).unwrap();
    let length = object.len() as u64;
    object.truncate(4096);
    file.write_all_at(&object, 0).unwrap();
    // The section headers stand at the end, in the hole.
    file.set_len(length).unwrap();
    file
}

/// A mapped file that is cut short kills the worker, twice; the program gets an
/// error, and the next file is read as ever.
#[test]
fn a_truncated_mapping_costs_one_answer() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let deadly = file_that_kills_its_reader();
    let mut worker = worker();
    let error = worker.inspect(&deadly).unwrap_err();
    assert_eq!(died_by(error), Some(libc::SIGBUS));
    let error = worker.symbolize(&deadly, &[0x26000]).unwrap_err();
    assert_eq!(died_by(error), Some(libc::SIGBUS));
    let libc = File::open(libc()).unwrap();
    assert!(worker.inspect(&libc).unwrap().defines_malloc);
}

/// An object that changes between two requests is read anew, also when it
/// shrank to nothing.
#[test]
fn a_changed_object_is_not_answered_from_memory() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("object");
    std::fs::copy(libc(), &path).unwrap();
    let file = File::open(&path).unwrap();
    let mut worker = worker();
    let malloc = worker.inspect(&file).unwrap().functions[0].clone();
    let known = worker.symbolize(&file, &[malloc.file_offset]).unwrap();
    assert_eq!(known[0][0].function.as_deref(), Some(malloc.name.as_str()));
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(8192)
        .unwrap();
    let first = worker.id();
    for _ in 0..2 {
        let error = worker.symbolize(&file, &[malloc.file_offset]).unwrap_err();
        assert!(matches!(error, FileWorkerError::Refused(_)), "{error}");
    }
    assert_eq!(worker.id(), first);
}

/// What is no object, and what is too long, is refused with a reason, not died of.
#[test]
fn refusals_say_why() {
    let mut worker = worker();
    let mut script = tempfile::tempfile().unwrap();
    script.write_all(b"#!/bin/sh\n").unwrap();
    let reason = worker.inspect(&script).unwrap_err().to_string();
    assert_eq!(reason, "not a 64-bit little-endian ELF object");
    let sparse = tempfile::tempfile().unwrap();
    sparse.set_len(3 << 30).unwrap();
    let reason = worker.inspect(&sparse).unwrap_err().to_string();
    assert_eq!(reason, "it is 3221225472 bytes long, more than 2147483648");
}

/// A stopped worker stands for one that a file keeps busy: the call ends in
/// time, and the next one has a new worker.
#[test]
fn a_worker_that_does_not_answer_is_given_up() {
    let file = File::open(libc()).unwrap();
    let mut worker = worker().with_timeout(Duration::from_millis(300));
    kill(&worker, libc::SIGSTOP);
    let begun = Instant::now();
    let error = worker.inspect(&file).unwrap_err();
    assert!(matches!(error, FileWorkerError::TimedOut(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut worker = worker.with_timeout(Duration::from_secs(20));
    assert!(worker.inspect(&file).unwrap().defines_malloc);
}

/// A program that is no worker is told from one, whatever it does.
#[test]
fn a_command_that_is_no_worker_is_an_error() {
    for program in ["/bin/true", "/bin/false", "/nonexistent"] {
        let started = FileWorker::with_command(move || Command::new(program));
        let error = started.err().unwrap();
        assert!(matches!(error, FileWorkerError::NotStarted(_)), "{error}");
    }
}

/// The subcommand called by hand ends with a failure and without a word.
#[test]
fn without_a_parent_the_worker_fails() {
    let output = Command::new(env!("CARGO_BIN_EXE_memtrace"))
        .arg("file-worker")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}

/// A map of 2 GB must not become 2 GB of memory or minutes of work: its
/// beginning is read, and that it was cut is told.
#[test]
fn an_endless_perf_map_is_cut_and_says_so() {
    let map = tempfile::tempfile().unwrap();
    map.write_all_at(b"1000 10 first\n", 0).unwrap();
    map.write_all_at(b"\n2000 10 behind the limit\n", perf_map::MAX_BYTES)
        .unwrap();
    map.set_len(2_000_000_000).unwrap();
    let mut worker = worker();
    let answer = worker.perf_map(&map, &[0x1008, 0x2008]).unwrap();
    assert!(answer.truncated);
    assert_eq!(answer.names[1], None);

    let small = tempfile::tempfile().unwrap();
    small.write_all_at(b"1000 10 first\n", 0).unwrap();
    // Twice: reading must not move the parent's place in the file.
    for _ in 0..2 {
        let answer = worker.perf_map(&small, &[0x1008, 0x2008]).unwrap();
        assert_eq!(answer.names, [Some("first".to_owned()), None]);
        assert!(!answer.truncated);
    }
}
