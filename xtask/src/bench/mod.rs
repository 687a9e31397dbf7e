//! `cargo xtask bench`: what tracing costs, against goals, written to
//! `docs/bench.md`. One file a benchmark; the rest is what they share.

mod allocators;
mod budget;
mod daemon;
mod echo;
mod faults;
mod follow;
mod heap;
mod host;
mod javascript_heap;
mod latency;
mod load;
mod mappings;
pub mod measure;
mod memory;
mod mixed;
pub mod node;
mod page;
mod pair;
mod peers;
pub mod processes;
mod sockets;
mod tables;
mod threads;
pub mod tracer;
mod turns;
pub mod watch;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{bail, ensure};

use page::Row;

/// What every benchmark needs to know.
#[derive(Clone)]
pub struct Bench {
    root: PathBuf,
    /// The program itself.
    pub memtrace: PathBuf,
    load: PathBuf,
    quick: bool,
}

impl Bench {
    /// How often each thing is measured, by turns with what it is compared with.
    fn rounds(&self) -> usize {
        if self.quick { 1 } else { 5 }
    }
}

type Measure = fn(&Bench) -> anyhow::Result<Vec<Row>>;

const BENCHMARKS: &[(&str, Measure)] = &[
    ("pair", pair::run),
    ("mixed", mixed::run),
    ("tables", tables::run),
    ("peers", peers::run),
    ("threads", threads::run),
    ("allocators", allocators::run),
    ("node", node::run),
    ("budget", budget::run),
    ("mappings", mappings::run),
    ("follow", follow::run),
    ("daemon", daemon::run),
    ("memory", memory::run),
    ("heap", heap::run),
    ("javascript-heap", javascript_heap::run),
    ("sockets", sockets::run),
    ("latency", latency::run),
    ("faults", faults::run),
    ("host", host::run),
];

/// Runs all benchmarks, or those named; writes the page of a whole run.
pub fn run(root: &Path, names: &[String], quick: bool) -> anyhow::Result<()> {
    let known = |name: &String| BENCHMARKS.iter().any(|(known, _)| known == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        bail!("there is no benchmark {unknown}");
    }
    let bench = prepare(root, quick)?;
    let load_before = measure::load_average()?;
    let mut rows = Vec::new();
    for (name, measure) in BENCHMARKS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            for row in measure(&bench).map_err(|error| error.context(*name))? {
                println!("{}", row.line());
                rows.push(row);
            }
        }
    }
    if names.is_empty() && !quick {
        fs::write(root.join("docs/bench.md"), page::page(&rows, &load_before)?)?;
        println!("wrote docs/bench.md");
    }
    Ok(())
}

/// Builds what is measured.
pub fn prepare(root: &Path, quick: bool) -> anyhow::Result<Bench> {
    let build = Command::new("cargo")
        .current_dir(root)
        .args(["build", "--release", "--locked", "--quiet", "-p", "tracer"])
        .status()?;
    ensure!(build.success(), "memtrace does not build");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(Bench {
        root: root.to_path_buf(),
        memtrace: target.join("release/memtrace"),
        load: load::build(root, &target)?,
        quick,
    })
}
