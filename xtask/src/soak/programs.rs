//! The programs of the host: a busy node server with its client, and seven node programs of
//! which one leaks and is started again and again, one has spikes, and one has clients that
//! do not read.

use std::{
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::bench::processes::Program;

/// Its function that leaks, which a verdict has to name.
pub const LEAKS: (&str, &str) = ("soak-leaks", "remember");
/// The one whose clients do not read, and its function that sends.
pub const PUSHES: (&str, &str) = ("soak-pushes", "pushUpdates");
/// Which a verdict must not accuse.
pub const WELL: &str = "soak-well";
const SPIKES: &str = "soak-spikes";

/// A leaking worker is killed after so long, as for want of memory, and another begins.
const WORKER_LIVES: Duration = Duration::from_secs(7 * 60);
const BETWEEN_SPIKES: Duration = Duration::from_secs(300);
const BETWEEN_CLIENTS: Duration = Duration::from_secs(20);

/// The seven.
pub struct Programs {
    script: std::path::PathBuf,
    leaks: Program,
    leaks_since: Instant,
    spikes: Program,
    spiked: Instant,
    pushes: Program,
    port: u16,
    clients: Vec<TcpStream>,
    came: Instant,
    well: Vec<Program>,
    /// How often one was killed here.
    pub kills: usize,
}

impl Programs {
    pub fn start(root: &Path) -> anyhow::Result<Self> {
        let script = root.join("tests/programs/javascript/watched.js");
        let (pushes, ready) = start(&script, PUSHES.0, "pushes")?;
        let port = ready.strip_prefix("ready ").context("no port")?.parse()?;
        let well = |_| Ok(start(&script, WELL, "healthy")?.0);
        let mut programs = Self {
            leaks: start(&script, LEAKS.0, "leaks")?.0,
            spikes: start(&script, SPIKES, "spikes")?.0,
            well: (0..4).map(well).collect::<anyhow::Result<_>>()?,
            pushes,
            port,
            script,
            leaks_since: Instant::now(),
            spiked: Instant::now(),
            clients: Vec::new(),
            came: Instant::now(),
            kills: 0,
        };
        for _ in 0..6 {
            programs.connect()?;
        }
        Ok(programs)
    }

    fn connect(&mut self) -> anyhow::Result<()> {
        self.clients
            .push(TcpStream::connect(("127.0.0.1", self.port))?);
        Ok(())
    }

    /// What happens among them from time to time. None may end by itself.
    pub fn tend(&mut self) -> anyhow::Result<()> {
        if self.leaks_since.elapsed() >= WORKER_LIVES {
            self.kill_worker()?;
        }
        if self.spiked.elapsed() >= BETWEEN_SPIKES {
            self.spiked = Instant::now();
            self.spikes.tell("spike")?;
        }
        if self.came.elapsed() >= BETWEEN_CLIENTS {
            self.came = Instant::now();
            self.clients.remove(0);
            self.connect()?;
        }
        let others = [&mut self.leaks, &mut self.spikes, &mut self.pushes];
        for program in others.into_iter().chain(&mut self.well) {
            ensure!(program.is_alive(), "a program has ended by itself");
        }
        Ok(())
    }

    /// Kills the one that leaks, and begins another.
    pub fn kill_worker(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        self.leaks_since = Instant::now();
        // The one before is killed as it is dropped.
        self.leaks = start(&self.script, LEAKS.0, "leaks")?.0;
        Ok(())
    }

    /// The one that leaks.
    pub fn worker(&self) -> u32 {
        self.leaks.pid()
    }
}

fn start(script: &Path, name: &str, role: &str) -> anyhow::Result<(Program, String)> {
    let mut command = Command::new("node");
    Program::start(command.arg0(name).arg("--expose-gc").arg(script).arg(role))
}
