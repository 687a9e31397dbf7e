//! Running memtrace.

use std::{
    fs,
    io::{PipeReader, Read as _},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::OnceLock,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::Signal,
};
use tempfile::TempDir;
use tracer::model::{Counts, Level, LossCause, Report};

use super::{
    Process, Program, Talk,
    compile::target_dir,
    process::{Collected, DEADLINE},
};

/// The binary under test: `MEMTRACE_BIN`, or built here.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("MEMTRACE_BIN") {
            return path.into();
        }
        let directory = target_dir();
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--package", "tracer"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("CARGO_TARGET_DIR", directory.parent().unwrap());
        if directory.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "memtrace does not build");
        directory.join("memtrace")
    })
}

/// The command, without arguments, away from the settings of whoever runs the suite.
#[must_use]
pub fn memtrace() -> Command {
    let mut command = Command::new(binary());
    for name in ["SUDO_USER", "SUDO_UID", "SUDO_GID"] {
        command.env_remove(name);
    }
    command
}

/// Why nothing can be traced here, if so; to be said by the tests that are skipped.
#[must_use]
pub fn cannot_trace() -> Option<&'static str> {
    static REASON: OnceLock<Option<String>> = OnceLock::new();
    let reason = REASON.get_or_init(|| {
        let doctor = memtrace().arg("doctor").output().unwrap();
        let text = String::from_utf8_lossy(&doctor.stdout).into_owned();
        (!text.contains("memtrace works here")).then_some(text)
    });
    reason.as_deref()
}

/// Runs memtrace to its end.
#[must_use]
pub fn run_memtrace<S: AsRef<std::ffi::OsStr>>(arguments: &[S]) -> Finished {
    Memtrace::start(memtrace().args(arguments)).finish()
}

/// A running memtrace.
pub struct Memtrace {
    process: Process,
    directory: TempDir,
    ready: PipeReader,
    output: Output,
}

/// Who reads its standard output.
enum Output {
    Collected(Collected),
    /// It is the traced program's.
    Talk(Box<Talk>),
}

/// A memtrace that has ended.
pub struct Finished {
    /// How.
    pub status: ExitStatus,
    /// What it printed; empty for `run`, where standard output is the program's.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
    directory: TempDir,
}

/// Traces one of the programs while it does its work once.
#[must_use]
pub fn trace_of(program: &str) -> Finished {
    let mut program = Program::ready(program, &[]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    program.work();
    let finished = memtrace.end();
    assert!(program.end().success());
    finished
}

impl Memtrace {
    /// Attaches to a process without a limit on the cost, and waits until calls count.
    #[must_use]
    pub fn attach(pid: u32, arguments: &[&str]) -> Self {
        Self::attach_started(pid, arguments).when_ready()
    }

    /// Attaches without waiting for it.
    #[must_use]
    pub fn attach_started(pid: u32, arguments: &[&str]) -> Self {
        let pid = pid.to_string();
        Self::start(
            memtrace()
                .args(["-p", &pid, "--max-overhead", "off"])
                .args(arguments),
        )
    }

    /// Starts a program under trace; the suite talks to it through [`Self::talk`].
    #[must_use]
    pub fn run(arguments: &[&str], program: &mut Command) -> Self {
        let mut command = memtrace();
        command.arg("run").args(arguments);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(directory) = program.get_current_dir() {
            command.current_dir(directory);
        }
        command.stdin(Stdio::piped());
        Self::launch(
            &mut command,
            &[program.get_program()],
            program.get_args(),
            true,
        )
    }

    /// Starts memtrace, with `-o` and `--ready-fd` added where it traces.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        Self::launch(command, &[], [].into_iter(), false)
    }

    fn launch<'a>(
        command: &mut Command,
        program: &[&std::ffi::OsStr],
        arguments: impl Iterator<Item = &'a std::ffi::OsStr>,
        talks: bool,
    ) -> Self {
        let directory = TempDir::new().unwrap();
        if command.get_current_dir().is_none() {
            command.current_dir(directory.path());
        }
        let (ready, writer) = std::io::pipe().unwrap();
        let has = |wanted: &str| command.get_args().any(|argument| argument == wanted);
        let (is_trace, has_output) = (talks || has("-p") || has("--comm"), has("-o"));
        let has_ready = has("--ready-fd");
        if (is_trace || has("report")) && !has_output {
            command.arg("-o").arg(directory.path().join("out"));
        }
        if is_trace && !has_ready {
            let fd = writer.as_raw_fd();
            command.args(["--ready-fd", &fd.to_string()]);
            // SAFETY: one system call, on a descriptor that is open until after the fork.
            unsafe {
                command.pre_exec(move || {
                    let fd = std::os::fd::BorrowedFd::borrow_raw(fd);
                    Ok(rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?)
                });
            }
        }
        if !program.is_empty() {
            command.arg("--").args(program).args(arguments);
        }
        let mut process = Process::start(command.stdout(Stdio::piped()));
        drop(writer);
        let output = if talks {
            Output::Talk(Box::new(Talk::new(process.child())))
        } else {
            Output::Collected(Collected::from(process.child().stdout.take().unwrap()))
        };
        Self {
            process,
            directory,
            ready,
            output,
        }
    }

    /// Waits until calls count; fails the test if that does not come.
    #[must_use]
    pub fn when_ready(mut self) -> Self {
        let timeout = Timespec::try_from(*DEADLINE).unwrap();
        let mut watched = [PollFd::new(&self.ready, PollFlags::IN)];
        let events = poll(&mut watched, Some(&timeout)).unwrap();
        let mut line = [0; 6];
        if events == 0 || self.ready.read_exact(&mut line).is_err() {
            panic!("memtrace is not ready: {}", self.process.errors_so_far());
        }
        assert_eq!(&line, b"ready\n");
        self
    }

    /// The program that it runs.
    pub fn talk(&mut self) -> &mut Talk {
        match &mut self.output {
            Output::Talk(talk) => talk,
            Output::Collected(_) => panic!("it runs no program"),
        }
    }

    /// Where the results will be.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Ends the trace as Ctrl-C does, and takes what it wrote.
    #[must_use]
    pub fn end(self) -> Finished {
        self.process.signal(Signal::INT);
        self.finish()
    }

    /// Waits for its end, and takes what it wrote.
    #[must_use]
    pub fn finish(mut self) -> Finished {
        let status = self.process.wait();
        let stderr = self.process.errors();
        assert!(!stderr.contains("panicked"), "memtrace panicked: {stderr}");
        Finished {
            status,
            stdout: match &mut self.output {
                Output::Collected(output) => output.all(),
                Output::Talk(_) => String::new(),
            },
            stderr,
            directory: self.directory,
        }
    }
}

impl Finished {
    /// Where the results are.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    /// One of the results.
    #[must_use]
    pub fn file(&self, name: &str) -> Vec<u8> {
        let path = self.path().join(name);
        fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", path.display(), self.stderr))
    }

    /// The report of a trace that went well, with what must hold of every exact one.
    #[must_use]
    pub fn report(&self) -> Report {
        assert!(self.status.success(), "{}: {}", self.status, self.stderr);
        self.report_of_failure()
    }

    /// The same, whatever memtrace's own status (`run` passes the program's on).
    #[must_use]
    pub fn report_of_failure(&self) -> Report {
        let report: Report = serde_json::from_slice(&self.file("report.json")).unwrap();
        assert_eq!(report.level, Level::Exact);
        let mut sum = Counts::default();
        for site in &report.sites {
            let c = site.counts;
            assert_eq!(c.allocated_bytes - c.freed_bytes, c.live_bytes, "{site:?}");
            assert_eq!(c.allocated_blocks - c.freed_blocks, c.live_blocks);
            sum += c;
        }
        assert_eq!(sum, report.totals.counts);
        let audit = |loss: &&tracer::model::Loss| loss.cause == LossCause::LedgerMismatch;
        assert_eq!(report.loss.iter().find(audit), None);
        report
    }

    /// Fails the test unless memtrace failed with an error that says all of `words`.
    pub fn assert_refused(&self, words: &[&str]) {
        assert!(!self.status.success(), "it did not fail: {}", self.stderr);
        assert!(self.status.code().is_some(), "{}", self.status);
        for word in words {
            assert!(
                self.stderr.contains(word),
                "no {word:?} in: {}",
                self.stderr
            );
        }
    }
}
