//! Bad input and bad luck: an error that says what to do, and no panic
//! (`Memtrace::finish` looks for one in every test).

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tempfile::TempDir;
use tests::{
    Build, Finished, Memtrace, Nobody, Process, Program, build_with, memtrace, needs_tracing,
    run_memtrace, run_tool,
};

fn attach(pid: &str) -> Finished {
    run_memtrace(&["-p", pid, "-d", "5s"])
}

/// Pids that no process can have, or has.
#[test]
fn no_such_process() {
    for pid in ["4294967295", "2147483647", "4194303", "0"] {
        attach(pid).assert_refused(&["no process has pid", "ps -e"]);
    }
    for pid in ["-5", "12x", "", "4294967296"] {
        attach(pid).assert_refused(&["--pid"]);
    }
}

/// A thread of the kernel's has no heap.
#[test]
fn kernel_thread() {
    if fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd") {
        attach("2").assert_refused(&["kernel thread", "Choose"]);
    } else {
        eprintln!("SKIPPED bad_input::kernel_thread: in a pid namespace there is none");
    }
}

/// A zombie's memory is gone.
#[test]
fn zombie() {
    let mut child = Process::start(&mut Command::new("/bin/true"));
    let pid = child.pid();
    tests::wait_until("it is a zombie", || {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    });
    attach(&pid.to_string()).assert_refused(&["already ended"]);
    assert!(child.wait().success());
}

/// A thread is not a process; the error names the process.
#[test]
fn thread_of_a_process() {
    let mut node = Program::start(
        Command::new("node").args(["-e", "console.log(1); setTimeout(()=>{}, 1e9)"]),
    );
    assert_eq!(node.talk.line(), "1");
    let pid = node.pid();
    let thread = fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .find(|thread| *thread != pid.to_string())
        .unwrap();
    attach(&thread).assert_refused(&["is a thread of", &format!("memtrace -p {pid}")]);
}

/// A user without rights is told which would do.
#[test]
fn not_root() {
    let nobody = Nobody::new();
    let program = Program::ready("idle", &[]);
    let pid = program.pid().to_string();
    let out = nobody.place().join("out");
    let out = ["-o", out.to_str().unwrap()];
    for arguments in [&["-p", &pid][..], &["run", "--", "/bin/true"]] {
        let (first, rest) = arguments.split_at(arguments.len() - 2);
        let mut command = nobody.memtrace();
        command.args(first).args(out).args(rest);
        let finished = Memtrace::start(&mut command).finish();
        finished.assert_refused(&["CAP_"]);
        assert!(
            finished.stderr.to_lowercase().contains("root"),
            "{}",
            finished.stderr
        );
    }
    assert_eq!(
        fs::read_dir(nobody.place()).unwrap().count(),
        0,
        "left behind"
    );
}

fn static_program() -> std::path::PathBuf {
    build_with(&Build {
        name: "idle",
        variant: "-static-stripped",
        flags: &["-static", "-s"],
    })
}

/// A static program without symbols is refused, and told whose malloc it has.
#[test]
fn static_binary() {
    needs_tracing!();
    let mut program = Program::ready_at(&static_program(), &[]);
    attach(&program.pid().to_string()).assert_refused(&[
        "static",
        "without symbols",
        "glibc",
        "do not strip",
    ]);
    program.talk.go();
    assert!(program.end().success());
}

/// The same when memtrace is to start it: it does not run on untraced.
#[test]
fn run_static_binary() {
    needs_tracing!();
    let finished = Memtrace::run(&[], &mut Command::new(static_program())).finish();
    finished.assert_refused(&["static", "without symbols", "glibc", "do not strip"]);
    assert!(!finished.path().exists(), "an empty directory stays");
}

/// A program that is not there, and one that may not be run.
#[test]
fn run_what_cannot_be_started() {
    needs_tracing!();
    for program in ["/nonexistent/program", "/etc/passwd", "/"] {
        let finished = Memtrace::run(&[], &mut Command::new(program)).finish();
        finished.assert_refused(&["cannot start", program]);
        assert!(!finished.path().exists(), "an empty directory stays");
    }
}

/// Ctrl-C, and at once again: the results are whole all the same.
#[test]
fn interrupted_twice() {
    needs_tracing!();
    let mut program = Program::ready("functions", &[]);
    let mut memtrace = Memtrace::attach(program.pid(), &[]);
    let truth = program.work();
    memtrace.process().signal(Signal::INT);
    memtrace.process().signal(Signal::INT);
    let finished = memtrace.end();
    assert_eq!(finished.report().totals.counts, truth.total());
    assert!(program.end().success());
}

/// Ctrl-C while it still attaches: it ends, and the target goes on.
#[test]
fn interrupted_at_once() {
    needs_tracing!();
    let mut program = Program::ready("idle", &[]);
    let finished = Memtrace::attach_started(program.pid(), &[]).end();
    assert!(!finished.stderr.contains("error"), "{}", finished.stderr);
    program.talk.go();
    assert!(program.end().success());
}

/// Places that cannot be written are refused before anything is traced.
#[test]
fn unwritable_output() {
    let program = Program::ready("idle", &[]);
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("file"), "").unwrap();
    symlink(directory.path(), at("link")).unwrap();
    let refused = |place: &str, words: &[&str]| {
        let pid = program.pid().to_string();
        let finished = run_memtrace(&["-p", &pid, "-d", "60s", "-o", place]);
        finished.assert_refused(words);
        assert!(finished.stderr.contains(place), "{}", finished.stderr);
    };
    refused(&at("file"), &["not a directory", "-o"]);
    refused(&at("link"), &["symbolic link"]);
    refused(&at("no/such/parent"), &["parent", "create it"]);
    refused("/proc/memtrace-test", &[]);
    refused("/sys/memtrace-test", &["-o"]);
}

/// A disk that fills up: the error says what is missing and where, what fits
/// is whole, and the report is still printed.
#[test]
fn full_disk() {
    needs_tracing!();
    let disk = SmallDisk::mount("64k");
    let mut program = Program::ready("functions", &[]);
    let place = disk.path().join("out");
    let memtrace = Memtrace::attach(program.pid(), &["-o", place.to_str().unwrap()]);
    program.work();
    // It was writable at the start, and is full at the end.
    assert!(fs::write(disk.path().join("filler"), vec![0; 1 << 20]).is_err());
    let finished = memtrace.end();
    finished.assert_refused(&["no space left", "report.json", "-o"]);
    assert!(
        finished.stdout.contains("by_"),
        "the report was not printed"
    );
    for entry in fs::read_dir(&place).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.ends_with(".part"), "{name} stays behind");
    }
    assert!(program.end().success());
}

/// A file system of a few pages, unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let size = format!("size={size}");
        let at = directory.path().to_str().unwrap();
        let _ = run_tool("mount", &["-t", "tmpfs", "-o", &size, "memtrace-test", at]);
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}

/// Recordings that are none, damaged, cut short or of a newer memtrace.
#[test]
fn bad_recordings() {
    needs_tracing!();
    let mut program = Program::ready("midlife", &[]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    program.work();
    let whole = memtrace.end().file("recording.memtrace");
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("recording.memtrace");
    let refused = |bytes: &[u8], words: &[&str]| {
        fs::write(&path, bytes).unwrap();
        let finished = run_memtrace(&["report", path.to_str().unwrap()]);
        finished.assert_refused(words);
        assert!(!finished.path().exists(), "an empty directory stays");
    };
    refused(b"", &["not a memtrace recording"]);
    refused(
        b"root:x:0:0:root:/root:/bin/bash\n",
        &["not a memtrace recording"],
    );
    refused(&whole[..10], &["cut short"]);
    refused(&whole[..whole.len() - 1], &["cut short"]);
    let mut newer = whole.clone();
    newer[8] = 99;
    // As a newer memtrace would write it: the checksum is right.
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&newer[8..20]);
    checksum.update(&newer[24..]);
    newer[20..24].copy_from_slice(&checksum.finalize().to_le_bytes());
    refused(&newer, &["newer memtrace"]);
    for place in [12, 20, 24, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 0x41;
        refused(&damaged, &["recording"]);
    }
    let report = |path: &str| run_memtrace(&["report", path]);
    report("/nonexistent").assert_refused(&["cannot be read"]);
    report("/dev/zero").assert_refused(&["not a file"]);
    report("/tmp").assert_refused(&["not a file"]);
    let fifo = directory.path().join("fifo");
    let _ = run_tool("mkfifo", &[fifo.to_str().unwrap()]);
    report(fifo.to_str().unwrap()).assert_refused(&["not a file"]);
}

/// Nonsense on the command line ends with a usage error and status 2.
#[test]
fn bad_arguments() {
    for arguments in [
        &["-p", "1", "-d", "soon"][..],
        &["-p", "1", "--max-overhead", "120"],
        &["-p", "1", "--budget", "off"],
        &["-p", "1", "--budget", "1", "--max-overhead", "10"],
        &["-p", "1", "--max-blocks", "0"],
        &["-d", "5s"],
        &["run"],
        &["report"],
        &["nonsense"],
    ] {
        let finished = run_memtrace(arguments);
        assert_eq!(
            finished.status.code(),
            Some(2),
            "{arguments:?}: {}",
            finished.stderr
        );
        assert!(finished.stderr.contains("--help"), "{}", finished.stderr);
    }
    let pid = std::process::id().to_string();
    // 9 is what a descriptor of memtrace's own could be, were it asked too late.
    for fd in ["9", "977"] {
        for command in [&["-p", &pid][..], &["run"]] {
            let trace = [command, &["-d", "1s", "-o", "out", "--ready-fd", fd]].concat();
            let program = if command == ["run"] {
                &["--", "/bin/true"][..]
            } else {
                &[]
            };
            let closed = run_memtrace(&[&trace[..], program].concat());
            closed.assert_refused(&["--ready-fd", "open one"]);
        }
    }
}

/// Closed standard streams are no reason to fail.
#[test]
fn closed_streams() {
    needs_tracing!();
    let mut program = Program::ready("midlife", &[]);
    let directory = TempDir::new().unwrap();
    let pid = program.pid().to_string();
    let mut shell = Command::new("/bin/sh");
    shell
        .args(["-c", "exec \"$0\" -p $1 -d 1s -o out >&- 2>&-"])
        .arg(memtrace().get_program())
        .arg(pid)
        .stdin(Stdio::null());
    let finished = Memtrace::start(shell.current_dir(directory.path())).finish();
    assert!(finished.status.success(), "{}", finished.status);
    assert!(directory.path().join("out/report.json").exists());
    program.work();
    assert!(program.end().success());
}
