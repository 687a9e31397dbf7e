//! `cargo run --profile fuzz -p fuzz -- all --seconds-each 5`

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::Parser;
use fuzz::{TARGETS, Target, driver};

/// Feeds mutated inputs to memtrace's parsers and to its ledger.
#[derive(Parser)]
struct Arguments {
    /// Which targets, or `all`.
    #[arg(required = true)]
    targets: Vec<String>,
    /// How long each target is fed.
    #[arg(long, default_value_t = 5)]
    seconds_each: u64,
    /// The same number gives the same inputs in the same order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Give the targets this one input, such as one that a failure left behind.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Feed in this process and note each input's number here.
    #[arg(long, hide = true)]
    feed: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let targets = chosen(&arguments.targets)?;
    if let Some(input) = &arguments.input {
        let bytes = std::fs::read(input).with_context(|| input.display().to_string())?;
        targets.iter().for_each(|target| (target.run)(&bytes));
        return Ok(());
    }
    let time = Duration::from_secs(arguments.seconds_each);
    if let Some(note) = &arguments.feed {
        return targets
            .iter()
            .try_for_each(|target| driver::feed(target, arguments.seed, time, note));
    }
    let mut failed = Vec::new();
    for target in targets {
        if !driver::supervise(target, arguments.seed, time)? {
            failed.push(target.name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Target>> {
    if names == ["all"] {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| TARGETS.iter().find(|target| target.name == name);
    names
        .iter()
        .map(|name| {
            find(name).with_context(|| {
                let known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
                format!("no target {name}; there are: all {}", known.join(" "))
            })
        })
        .collect()
}
