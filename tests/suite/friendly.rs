//! What helps a user beside the traces: completions, the manual, `doctor`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use tests::{Program, needs_tracing, run_memtrace};

/// The completions are bash's: it reads them, and they know the options.
#[test]
fn completions_are_bash() {
    let script = run_memtrace(&["completions", "bash"]).stdout;
    let mut bash = Command::new("bash")
        .args(["-c", "eval \"$(cat)\" && complete -p memtrace"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    let output = bash.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("memtrace"));
    for option in ["--follow", "--max-overhead", "--comm"] {
        assert!(script.contains(option), "{option}");
    }
}

/// Every option of every subcommand is in the manual, as `--help` tells it.
#[test]
fn manual_has_every_option() {
    let manual = run_memtrace(&["manual"]).stdout.replace('\\', "");
    for arguments in [&["--help"][..], &["run", "--help"], &["report", "--help"]] {
        let help = run_memtrace(arguments).stdout;
        let options = help
            .split_whitespace()
            .filter(|word| word.starts_with("--"));
        for option in options {
            let option = option.trim_end_matches(|c: char| !c.is_alphanumeric());
            assert!(manual.contains(option), "{option} of {arguments:?}");
        }
    }
}

/// `doctor` tells of a running process which allocator a trace would cover.
#[test]
fn doctor_tells_of_processes() {
    needs_tracing!();
    let mut program = Program::ready("many", &["2400000", "1"]);
    // 100 MB: among the largest on any machine that runs a test suite.
    program.work();
    let told = run_memtrace(&["doctor"]).stdout;
    let name = format!("many ({})", program.pid());
    let line = told.lines().find(|line| line.contains(&name));
    assert!(
        line.is_some_and(|line| line.starts_with("ok") && line.contains("glibc 2.")),
        "{told}"
    );
    assert!(program.end().success());
}
