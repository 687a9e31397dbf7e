//! `cargo xtask vm`: runs a command on one of Debian's kernels, in QEMU under
//! emulation, over this machine's own file system. The guest may write below
//! the target directory and in a /tmp of its own; elsewhere nothing it writes
//! is kept.

mod debian;
mod tools;

pub use debian::libraries;

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use crate::bench::processes::Group;

/// Longer than any of our commands takes under emulation.
const PATIENCE: Duration = Duration::from_secs(40 * 60);
const MEMORY: &str = "3G";

/// Debian's kernels, by series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Series {
    /// Debian 11.
    #[value(name = "5.10")]
    V5_10,
    /// Debian 12.
    #[value(name = "6.1")]
    V6_1,
    /// Debian 13.
    #[value(name = "6.12")]
    V6_12,
}

impl Series {
    const ALL: [Self; 3] = [Self::V5_10, Self::V6_1, Self::V6_12];

    /// As versions begin.
    const fn number(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }

    /// The release of Debian that has it.
    const fn release(self) -> &'static str {
        match self {
            Self::V5_10 => "bullseye",
            Self::V6_1 => "bookworm",
            Self::V6_12 => "trixie",
        }
    }
}

/// How the kernel preempts (`preempt=`, Linux 5.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preempt {
    /// Only where a task gives way.
    None,
    /// Where kernel code asks for it.
    Voluntary,
    /// Everywhere, in the middle of eBPF programs too.
    Full,
}

/// Runs a command as root on a kernel; fails as the command fails.
pub fn run(
    root: &Path,
    series: Series,
    preempt: Option<Preempt>,
    command: &[String],
) -> anyhow::Result<()> {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), PathBuf::from)
        .canonicalize()
        .context("the target directory: build something first")?;
    let directory = target.join("vm");
    fs::create_dir_all(&directory)?;
    let image = debian::kernel(&directory, series)?;
    let tools = tools::virtme(&directory)?;
    let mut guest = Command::new(tools.join("vng"));
    guest
        // It calls others of its own.
        .env("PATH", tools::path_with(&tools)?)
        .current_dir(root)
        .arg("--run")
        .arg(image)
        // A guest hangs on the /dev/kvm of a machine that is a guest itself.
        .args(["--disable-kvm", "--disable-microvm"])
        // With a thread for each processor one of them can keep an `int3` that
        // the other has patched away, and never comes past it: the kernel
        // patches what every system call runs through when BPF's statistics
        // are turned on.
        .arg("--qemu-opts=-accel tcg,thread=single")
        .args(["--user", "root", "--memory", MEMORY, "--cpus", "2"])
        .arg("--rwdir")
        .arg(&target);
    if let Some(preempt) = preempt.and_then(|preempt| preempt.to_possible_value()) {
        guest
            .arg("--append")
            .arg(format!("preempt={}", preempt.get_name()));
    }
    guest
        .arg("--")
        .arg(quoted(command))
        .stdin(Stdio::null())
        // Pipes: QEMU opens what it is given again, and would empty a file.
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut group = Group::spawn(&mut guest)?;
    let mut said = group.child().stdout.take().context("no pipe")?;
    let mut complained = group.child().stderr.take().context("no pipe")?;
    let passing_on = [
        thread::spawn(move || io::copy(&mut said, &mut io::stdout())),
        thread::spawn(move || io::copy(&mut complained, &mut io::stderr())),
    ];
    let status = group.wait(Instant::now() + PATIENCE).with_context(|| {
        format!(
            "Linux {} in QEMU, running {command:?}, {} minutes long",
            series.number(),
            PATIENCE.as_secs() / 60
        )
    })?;
    for passing_on in passing_on {
        let _ = passing_on.join();
    }
    if !status.success() {
        bail!("on Linux {}, {command:?}: {status}", series.number());
    }
    Ok(())
}

/// The command as a shell reads it.
fn quoted(command: &[String]) -> String {
    let mut line = String::new();
    for word in command {
        // Writing to a string cannot fail.
        let _infallible = write!(line, "'{}' ", word.replace('\'', r"'\''"));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell takes the words apart as they were.
    #[test]
    fn words_stay_apart() {
        let words = ["a b", "it's", "$HOME", "", "*"].map(str::to_owned);
        let line = format!("printf '%s|' {}", quoted(&words));
        let output = Command::new("sh").args(["-c", &line]).output();
        assert_eq!(
            output.map(|output| output.stdout).ok(),
            Some(b"a b|it's|$HOME||*|".to_vec())
        );
    }
}
