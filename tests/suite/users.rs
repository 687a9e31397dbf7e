//! What a person runs: as whom, with which words, for whom the results are.

use std::{fs, os::unix::fs::MetadataExt as _, process::Command};

use tests::{Memtrace, needs_tracing, run_memtrace};

const NOBODY: u32 = 65534;

/// Runs `id -u` under memtrace as sudo would start it; what it prints, and the
/// owner of the results.
fn run_behind_sudo(arguments: &[&str]) -> (String, u32) {
    let directory = tempfile::tempdir().unwrap();
    let mut command = tests::memtrace();
    command
        .arg("run")
        .args(arguments)
        .args(["-o", directory.path().join("out").to_str().unwrap()])
        .args(["--", "/usr/bin/id", "-u"])
        .env("SUDO_USER", "nobody")
        .env("SUDO_UID", NOBODY.to_string())
        .env("SUDO_GID", NOBODY.to_string());
    let finished = Memtrace::start(&mut command).finish();
    assert!(finished.status.success(), "{}", finished.stderr);
    let report = fs::metadata(directory.path().join("out/report.json")).unwrap();
    (finished.stdout.trim().to_owned(), report.uid())
}

/// Under sudo the program runs as the user who called it, who owns the results.
#[test]
fn run_drops_to_the_invoking_user() {
    needs_tracing!();
    assert_eq!(run_behind_sudo(&[]), (NOBODY.to_string(), NOBODY));
}

/// As root only when told to.
#[test]
fn run_as_root() {
    needs_tracing!();
    assert_eq!(run_behind_sudo(&["--as-root"]), ("0".to_owned(), NOBODY));
}

/// The report holds argv[0] only: arguments hold secrets.
#[test]
fn arguments_stay_out() {
    needs_tracing!();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "exit 0", "SECRET-WORD"]);
    let finished = Memtrace::run(&[], &mut shell).finish();
    let _ = finished.report();
    for name in ["report.json", "live.svg", "mappings.svg", "live.folded"] {
        let text = String::from_utf8(finished.file(name)).unwrap();
        assert!(!text.contains("SECRET-WORD"), "{name}");
    }
    assert!(!finished.stderr.contains("SECRET-WORD"));
}

/// `memtrace demo` traces its own program and names the function that leaks.
#[test]
fn demo() {
    needs_tracing!();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let finished = run_memtrace(&["demo", "-d", "3s", "-o", out.to_str().unwrap()]);
    assert!(finished.status.success(), "{}", finished.stderr);
    let svg = fs::read_to_string(out.join("live.svg")).unwrap();
    assert!(
        svg.contains("remember") || svg.contains("Log"),
        "{}",
        finished.stdout
    );
    assert!(out.join("report.json").exists() && out.join("recording.memtrace").exists());
}

/// `memtrace doctor` and the help say what they are for and succeed.
#[test]
fn doctor_and_help() {
    needs_tracing!();
    assert!(
        run_memtrace(&["doctor"])
            .stdout
            .contains("memtrace works here")
    );
    let help = run_memtrace(&["--help"]);
    assert!(help.status.success());
    for word in ["run", "report", "demo", "doctor", "--pid", "--max-overhead"] {
        assert!(help.stdout.contains(word), "{word}");
    }
}
