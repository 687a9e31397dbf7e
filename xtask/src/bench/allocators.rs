//! What a malloc+free pair costs under other allocators.

use std::{path::Path, process::Command};

use super::{
    Bench, Row,
    load::{self, Load},
    measure::median,
    tracer::{EXACT, Tracer},
};

/// Those that are preloaded, by Debian's files; one that is missing is said to be.
const ALLOCATORS: [(&str, &str); 3] = [
    ("jemalloc", "libjemalloc.so.2"),
    ("tcmalloc", "libtcmalloc_minimal.so.4"),
    ("mimalloc", "libmimalloc.so.2"),
];

/// Each untraced and traced, by turns.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, file) in ALLOCATORS {
        let library = Path::new("/usr/lib/x86_64-linux-gnu").join(file);
        if library.exists() {
            let mut command = Command::new(&bench.load);
            rows.push(pair(bench, name, command.env("LD_PRELOAD", &library))?);
        } else {
            rows.push(not_measured(name, file));
        }
    }
    let on_musl = bench.load.with_file_name("bench-load-musl");
    rows.push(match load::compile("musl-gcc", &bench.root, &on_musl) {
        Ok(()) => pair(bench, "musl", &mut Command::new(on_musl))?,
        Err(_) => not_measured("musl", "musl-gcc"),
    });
    Ok(rows)
}

fn headline(allocator: &str) -> String {
    format!("pair under {allocator}, memtrace, every call")
}

fn not_measured(allocator: &str, missing: &str) -> Row {
    Row::plain(&headline(allocator), format!("not measured: no {missing}"))
}

fn pair(bench: &Bench, allocator: &str, command: &mut Command) -> anyhow::Result<Row> {
    command.args(load::pair_arguments(load::PAIRS_TRACED, 1));
    let mut program = Load::start(command)?;
    let (mut untraced, mut traced) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        untraced.push(program.cost()?.cpu_ns);
        let tracer = Tracer::attach(&bench.memtrace, program.pid(), EXACT)?;
        traced.push(program.cost()?.cpu_ns);
        tracer.end()?;
    }
    let (untraced, traced) = (median(untraced), median(traced));
    Ok(Row::plain(
        &headline(allocator),
        format!("{traced:.0} ns; untraced {untraced:.0} ns"),
    ))
}
