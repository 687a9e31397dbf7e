//! The processes of a benchmark: the traced program and the tracer beside it.
//! All are killed when dropped; all answers are waited for by the line.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Pid, Signal, kill_process},
};

/// A program that answers lines with lines.
pub struct Program {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    /// Starts a command and returns it with its first line.
    pub fn start(command: &mut Command) -> anyhow::Result<(Self, String)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("no pipe")?);
        let mut program = Self {
            child,
            stdin,
            stdout,
        };
        let line = program.line()?;
        Ok((program, line))
    }

    /// Makes it work once; its answer.
    pub fn work(&mut self) -> anyhow::Result<String> {
        self.stdin.as_mut().context("closed")?.write_all(b"go\n")?;
        self.line()
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its next line, unasked.
    pub fn next_line(&mut self) -> anyhow::Result<String> {
        self.line()
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a program of the benchmark ended");
        Ok(line.trim().to_owned())
    }
}

/// A memtrace beside a program.
pub struct Tracer {
    child: Child,
    /// From its start to the first call that counts.
    pub until_ready: Duration,
    output: tempfile::TempDir,
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Tracer {
    /// `memtrace -p PID` with further arguments, ready.
    pub fn attach(memtrace: &Path, pid: u32, arguments: &[&str]) -> anyhow::Result<Self> {
        let output = tempfile::tempdir()?;
        let directory = output.path().join("out");
        let mut command = Command::new(memtrace);
        command
            .args(["-p", &pid.to_string()])
            .arg("-o")
            .arg(&directory)
            .args(arguments);
        Self::start(command, output)
    }

    /// `memtrace floor -p PID`, ready.
    pub fn floor(memtrace: &Path, pid: u32) -> anyhow::Result<Self> {
        let mut command = Command::new(memtrace);
        command.args(["floor", "-p", &pid.to_string()]);
        Self::start(command, tempfile::tempdir()?)
    }

    fn start(mut command: Command, output: tempfile::TempDir) -> anyhow::Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        fcntl_setfd(&writer, FdFlags::empty())?;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
        command.args(["--ready-fd", &fd.to_string()]);
        let started = Instant::now();
        let child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        drop(writer);
        let mut tracer = Self {
            child,
            until_ready: Duration::ZERO,
            output,
        };
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line)?;
        ensure!(
            line == "ready\n",
            "memtrace did not get ready: {}",
            tracer.complaint()
        );
        tracer.until_ready = started.elapsed();
        Ok(tracer)
    }

    fn complaint(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut text);
        }
        text
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as Ctrl-C does; how long it took to write everything, and its report.
    pub fn end(mut self) -> anyhow::Result<(Duration, serde_json::Value)> {
        let started = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        let status = self.child.wait()?;
        let took = started.elapsed();
        ensure!(status.success(), "memtrace failed: {}", self.complaint());
        let report = std::fs::read(self.output.path().join("out/report.json"))?;
        Ok((took, serde_json::from_slice(&report)?))
    }
}

/// Builds the benchmarks' C program with frame pointers.
pub fn build_load(root: &Path) -> anyhow::Result<PathBuf> {
    let program = root.join("target/bench-load");
    let status = Command::new("gcc")
        .args([
            "-O1",
            "-g",
            "-pthread",
            "-fno-omit-frame-pointer",
            "-fno-optimize-sibling-calls",
            "-fno-builtin",
        ])
        .arg(root.join("xtask/bench/load.c"))
        .arg("-o")
        .arg(&program)
        .status()?;
    ensure!(status.success(), "xtask/bench/load.c does not compile");
    Ok(program)
}

/// CPU time of a process so far, seconds.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .context("no stat")?
        .1
        .split_ascii_whitespace()
        .collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / 100.0)
}

/// Kernel memory of a process's BPF maps, bytes.
pub fn map_bytes(pid: u32) -> anyhow::Result<u64> {
    let mut total = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = std::fs::read_to_string(entry?.path()).unwrap_or_default();
        if text.contains("map_type:") {
            let memlock = text.lines().find_map(|line| line.strip_prefix("memlock:"));
            total += memlock.map_or(Ok(0), |value| value.trim().parse::<u64>())?;
        }
    }
    Ok(total)
}

/// The middle of some numbers.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
