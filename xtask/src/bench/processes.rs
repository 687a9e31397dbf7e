//! The processes of a benchmark. Each is in a process group of its own, killed
//! when dropped; every wait has a deadline, so that a benchmark cannot hang.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::process::CommandExt as _,
    },
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open},
};

/// Longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Lines from a pipe, each waited for by a deadline.
pub struct Lines {
    pipe: File,
    unread: Vec<u8>,
}

impl Lines {
    /// Lines of a pipe's reading end.
    pub fn new(pipe: OwnedFd) -> Self {
        Self {
            pipe: pipe.into(),
            unread: Vec::new(),
        }
    }

    /// The next line, without its end.
    pub fn next(&mut self, deadline: Instant) -> anyhow::Result<String> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim().to_owned());
            }
            wait_readable(self.pipe.as_fd(), deadline)?;
            let mut piece = [0; 4096];
            let count = self.pipe.read(&mut piece)?;
            if count == 0 {
                bail!("it ended");
            }
            self.unread.extend_from_slice(&piece[..count]);
        }
    }
}

fn wait_readable(fd: BorrowedFd<'_>, deadline: Instant) -> anyhow::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).context("a deadline too far")?;
    if poll(
        &mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)],
        Some(&left),
    )? == 0
    {
        bail!("no answer in time");
    }
    Ok(())
}

/// A child with its descendants, killed when dropped.
pub struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // A child that was waited for has no group left to kill.
        if matches!(self.0.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
            let _ = self.0.wait();
        }
    }
}

impl Group {
    /// Starts a command in a group of its own.
    pub fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let child = command.process_group(0).spawn();
        Ok(Self(child.with_context(|| format!("{command:?}"))?))
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The child.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Instant) -> anyhow::Result<ExitStatus> {
        let pidfd = pidfd_open(Pid::from_child(&self.0), PidfdFlags::empty())?;
        wait_readable(pidfd.as_fd(), deadline)?;
        Ok(self.0.wait()?)
    }
}

/// A program that answers lines with lines.
pub struct Program {
    stdin: Option<ChildStdin>,
    lines: Lines,
    group: Group,
}

impl Program {
    /// Starts a command and returns it with its first line.
    pub fn start(command: &mut Command) -> anyhow::Result<(Self, String)> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut group = Group::spawn(command)?;
        let stdin = group.child().stdin.take();
        let stdout = group.child().stdout.take().context("no pipe")?;
        let mut program = Self {
            stdin,
            lines: Lines::new(stdout.into()),
            group,
        };
        let line = program
            .next_line()
            .with_context(|| format!("{command:?}"))?;
        Ok((program, line))
    }

    /// Makes it work once; its answer.
    pub fn work(&mut self) -> anyhow::Result<String> {
        self.stdin.as_mut().context("closed")?.write_all(b"go\n")?;
        self.next_line()
    }

    /// Makes it work once; the numbers of its answer.
    pub fn numbers(&mut self) -> anyhow::Result<Vec<f64>> {
        let answer = self.work()?;
        let numbers: Result<Vec<f64>, _> = answer.split(' ').map(str::parse).collect();
        numbers.with_context(|| format!("not numbers: {answer}"))
    }

    /// Tells it something that it does not answer.
    pub fn tell(&mut self, what: &str) -> anyhow::Result<()> {
        let line = format!("{what}\n");
        let stdin = self.stdin.as_mut().context("closed")?;
        Ok(stdin.write_all(line.as_bytes())?)
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.group.child().try_wait(), Ok(None))
    }

    /// Its next line, unasked.
    pub fn next_line(&mut self) -> anyhow::Result<String> {
        self.lines.next(Instant::now() + PATIENCE)
    }

    /// Its next lines up to this one.
    pub fn skip_to(&mut self, first: String, wanted: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut line = first;
        while line != wanted {
            line = self.lines.next(deadline)?;
        }
        Ok(())
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.group.pid()
    }
}
