//! A scenario that runs: its truth, and the barrier before its work.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use super::truth::Truth;
use crate::bench::processes::Group;

/// Twenty thousand connections take their time.
const PATIENCE: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(20);

/// A scenario, or a memtrace that runs one; ended when dropped.
pub struct Scenario {
    group: Group,
    stdin: Option<ChildStdin>,
    truth: PathBuf,
}

impl Scenario {
    /// Starts a command whose scenario tells its truth to a file of this directory.
    pub fn start(mut command: Command, seed: u64, directory: &Path) -> anyhow::Result<Self> {
        let truth = directory.join("truth");
        fs::File::create(&truth)?;
        let said = fs::File::create(directory.join("said"))?;
        command
            .env("SCENARIO_SEED", seed.to_string())
            .env("SCENARIO_TRUTH", &truth)
            .stdin(Stdio::piped())
            .stdout(said.try_clone()?)
            .stderr(said);
        let mut group = Group::spawn(&mut command)?;
        let stdin = group.child().stdin.take();
        Ok(Self {
            group,
            stdin,
            truth,
        })
    }

    /// What it told so far.
    pub fn truth(&self) -> anyhow::Result<Truth> {
        Truth::parse(&fs::read_to_string(&self.truth)?)
    }

    /// What it printed: why, if it did not start.
    pub fn said(&self) -> String {
        fs::read_to_string(self.truth.with_file_name("said")).unwrap_or_default()
    }

    /// Waits until something is there; told of the waiting if not.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut there: impl FnMut(&Self) -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(value) = there(self)? {
                return Ok(value);
            }
            if let Some(status) = self.group.child().try_wait()? {
                bail!("{status} before {what}: {}", self.said());
            }
            if Instant::now() > deadline {
                bail!("no {what} in {patience:?}: {}", self.said());
            }
            sleep(STEP);
        }
    }

    /// Waits until it may be attached to; the processes to be traced.
    pub fn ready(&mut self) -> anyhow::Result<Vec<u32>> {
        self.wait_for("first line of truth", PATIENCE, |scenario| {
            Ok(scenario.truth()?.pids())
        })
    }

    /// Lets it work.
    pub fn go(&mut self) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().context("its input is closed")?;
        Ok(stdin.write_all(b"go\n")?)
    }

    /// Ends the scenario by its input, and waits for whom it was started by.
    pub fn end(&mut self) -> anyhow::Result<()> {
        self.stdin = None;
        let status = self.group.wait(Instant::now() + PATIENCE)?;
        if !status.success() {
            bail!("{status}: {}", self.said());
        }
        Ok(())
    }
}
