//! A memtrace beside a program.

use std::{
    fs::File,
    os::fd::AsRawFd as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use rustix::{
    io::{FdFlags, fcntl_setfd},
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;

use super::processes::{Group, Lines, PATIENCE};

/// No limit: every call is recorded, whatever it costs.
pub const EXACT: &[&str] = &["--max-overhead", "off"];

/// A running memtrace.
pub struct Tracer {
    group: Group,
    /// From its start to the first call that counts.
    pub until_ready: Duration,
    output: tempfile::TempDir,
}

impl Tracer {
    /// `memtrace -p PID` with further arguments, ready.
    pub fn attach(memtrace: &Path, pid: u32, arguments: &[&str]) -> anyhow::Result<Self> {
        let output = tempfile::tempdir()?;
        let mut command = Command::new(memtrace);
        command
            .args(["-p", &pid.to_string(), "-o"])
            .arg(output.path().join("out"))
            .args(arguments);
        Self::start(command, output)
    }

    /// `memtrace floor -p PID` with further arguments, ready.
    pub fn floor(memtrace: &Path, pid: u32, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(memtrace);
        command
            .args(["floor", "-p", &pid.to_string()])
            .args(arguments);
        Self::start(command, tempfile::tempdir()?)
    }

    /// `memtrace floor --sends`, ready: of the whole host.
    pub fn floor_of_sends(memtrace: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(memtrace);
        command.args(["floor", "--sends"]);
        Self::start(command, tempfile::tempdir()?)
    }

    fn start(mut command: Command, output: tempfile::TempDir) -> anyhow::Result<Self> {
        let (reader, writer) = std::io::pipe()?;
        // The one descriptor that memtrace is to inherit.
        fcntl_setfd(&writer, FdFlags::empty())?;
        command
            .args(["--ready-fd", &writer.as_raw_fd().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // A file: a pipe that nobody empties would stop it.
            .stderr(File::create(output.path().join("stderr"))?);
        let started = Instant::now();
        let group = Group::spawn(&mut command)?;
        drop(writer);
        let line = Lines::new(reader.into()).next(started + PATIENCE);
        let tracer = Self {
            group,
            until_ready: started.elapsed(),
            output,
        };
        ensure!(
            line.is_ok_and(|line| line == "ready"),
            "memtrace did not get ready: {}",
            tracer.complaint()
        );
        Ok(tracer)
    }

    fn complaint(&self) -> String {
        std::fs::read_to_string(self.output.path().join("stderr")).unwrap_or_default()
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.group.pid()
    }

    /// Ends it as Ctrl-C does; how long it took to write everything, and its
    /// report. One that has already ended by itself is as good.
    pub fn end(mut self) -> anyhow::Result<(Duration, Value)> {
        let started = Instant::now();
        kill_process(Pid::from_child(self.group.child()), Signal::INT)?;
        let status = self.group.wait(started + PATIENCE)?;
        let took = started.elapsed();
        ensure!(status.success(), "memtrace failed: {}", self.complaint());
        let report = std::fs::read(self.output.path().join("out/report.json"))
            .context("memtrace wrote no report")?;
        Ok((took, serde_json::from_slice(&report)?))
    }
}

/// A number of a report; those beyond JavaScript's are written as strings.
pub fn number(value: &Value) -> anyhow::Result<f64> {
    match value {
        Value::String(text) => Ok(text.parse()?),
        other => other
            .as_f64()
            .with_context(|| format!("no number: {other}")),
    }
}
