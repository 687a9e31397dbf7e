//! A `memtrace host` beside programs, and what it takes.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, bail};
use rustix::process::{Signal, kill_process_group};

use super::{
    measure::{cpu_seconds, map_bytes, resident_bytes},
    processes::{Group, PATIENCE},
};

/// A running daemon.
pub struct Daemon {
    group: Group,
    /// Where it says that it has looked, as to a service manager.
    heard: UnixDatagram,
}

/// Kernel's ticks of processor time a second, as programs see them.
const TICKS: f64 = 100.0;

impl Daemon {
    /// At its default settings but for `more`, with its history in `directory`; it has looked once.
    pub fn start(memtrace: &Path, directory: &Path, more: &[&str]) -> anyhow::Result<Self> {
        fs::create_dir_all(directory)?;
        let socket = directory.join("notify");
        let _ = fs::remove_file(&socket);
        let heard = UnixDatagram::bind(&socket)?;
        heard.set_read_timeout(Some(PATIENCE))?;
        let stderr = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(directory.join("stderr"))?;
        let mut command = Command::new(memtrace);
        command
            .args(["host", "--listen", "127.0.0.1:0", "--directory"])
            .arg(directory.join("history"))
            .args(more)
            .env("NOTIFY_SOCKET", &socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        let group = Group::spawn(&mut command)?;
        let daemon = Self { group, heard };
        daemon.look().with_context(|| {
            let said = fs::read_to_string(directory.join("stderr")).unwrap_or_default();
            format!("memtrace host did not begin: {said}")
        })?;
        Ok(daemon)
    }

    /// Waits for its next look.
    pub fn look(&self) -> anyhow::Result<()> {
        let mut said = [0; 64];
        match self.heard.recv(&mut said) {
            Ok(_) => Ok(()),
            Err(error) => bail!("it does not look: {error}"),
        }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.group.pid()
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.group.child().try_wait(), Ok(None))
    }

    /// Kills it as nothing else does, and nothing but it.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.group.child().kill()?;
        self.group.wait(Instant::now() + PATIENCE)?;
        Ok(())
    }

    /// Ends it as a service manager does.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let group = rustix::process::Pid::from_child(self.group.child());
        kill_process_group(group, Signal::TERM)?;
        self.group.wait(Instant::now() + PATIENCE)?;
        Ok(())
    }

    /// Processor time of it and its children so far, those that have ended too, s.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        // proc_pid_stat(5): after the name, which may hold anything, cutime and cstime are
        // the fourteenth and fifteenth.
        let (_, fields) = stat.rsplit_once(") ").context("no stat")?;
        let ended = fields.split(' ').skip(13).take(2);
        let ended: f64 = ended.filter_map(|it| it.parse::<f64>().ok()).sum();
        Ok(cpu_seconds(self.pid())? + ended / TICKS)
    }

    /// Resident memory of it and its children, and its maps, bytes.
    pub fn memory_bytes(&self) -> anyhow::Result<(f64, f64)> {
        let mut resident = resident_bytes(self.pid())?;
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let children = fs::read_to_string(thread?.path().join("children"))?;
            let children = children.split_ascii_whitespace();
            resident += children
                .filter_map(|it| resident_bytes(it.parse().ok()?).ok())
                .sum::<f64>();
        }
        Ok((resident, map_bytes(self.pid())?))
    }
}
