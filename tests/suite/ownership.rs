//! Whose things are whose: files belong to the user behind sudo, the program
//! runs as that user, and its streams, settings and status are its own.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Command};

use tests::{Finished, Memtrace, Program, memtrace, needs_tracing};

const NOBODY: (u32, u32) = (65534, 65533);

/// memtrace as sudo starts it for `nobody`, in a group that is not the user's own.
fn behind_sudo() -> Command {
    let mut command = memtrace();
    command
        .env("SUDO_UID", NOBODY.0.to_string())
        .env("SUDO_GID", NOBODY.1.to_string())
        .env("SUDO_USER", "nobody");
    command
}

/// Runs a program under a memtrace behind sudo.
fn run_behind_sudo(options: &[&str], program: &[&str]) -> Finished {
    let directory = tempfile::tempdir().unwrap();
    let mut command = behind_sudo();
    command
        .args(["run", "-o"])
        .arg(directory.path().join("out"));
    Memtrace::start(command.args(options).arg("--").args(program)).finish()
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::metadata(path).unwrap();
    (found.uid(), found.gid())
}

/// The results are given to the user behind sudo, directory and all.
#[test]
fn results_belong_to_the_user_behind_sudo() {
    needs_tracing!();
    let mut program = Program::ready("midlife", &[]);
    let pid = program.pid().to_string();
    let trace = Memtrace::start(behind_sudo().args(["-p", &pid])).when_ready();
    program.work();
    let finished = trace.end();
    assert!(finished.status.success(), "{}", finished.stderr);
    assert_eq!(owner(&finished.path()), NOBODY);
    let mut files = 0;
    for entry in fs::read_dir(finished.path()).unwrap() {
        assert_eq!(owner(&entry.unwrap().path()), NOBODY);
        files += 1;
    }
    assert_eq!(files, 10);
    assert!(program.end().success());
}

/// `run` starts the program as the user behind sudo, in that user's groups and
/// without root's rights; `--as-root` leaves it root.
#[test]
fn programs_run_as_the_user_behind_sudo() {
    needs_tracing!();
    let status = &["grep", "-E", "^(Uid|Gid|CapEff)", "/proc/self/status"];
    let finished = run_behind_sudo(&[], status);
    assert!(finished.status.success(), "{}", finished.stderr);
    let expected = "Uid:\t65534\t65534\t65534\t65534\n\
                    Gid:\t65533\t65533\t65533\t65533\n\
                    CapEff:\t0000000000000000\n";
    assert_eq!(finished.stdout, expected);
    let finished = run_behind_sudo(&["--as-root"], &["id", "-u"]);
    assert_eq!(finished.stdout, "0\n", "{}", finished.stderr);
}

/// A program under `run` has the standard input and the settings of whoever
/// called memtrace, and writes nothing but its own to standard output.
#[test]
fn streams_and_settings_are_passed_on() {
    needs_tracing!();
    let mut shell = Command::new("sh");
    shell.args(["-c", "read line; echo \"$line $SETTING\"; cat"]);
    let mut memtrace = Memtrace::run(&[], shell.env("SETTING", "a setting")).when_ready();
    memtrace.talk().say("first");
    memtrace.talk().say("second");
    memtrace.talk().close();
    assert_eq!(memtrace.talk().rest(), ["first a setting", "second"]);
    assert!(memtrace.finish().status.success());
}
