//! What a malloc+free pair costs under other allocators, preloaded.

use std::{path::Path, process::Command};

use super::{
    Bench, Row,
    load::{self, Load},
    measure::median,
    tracer::{EXACT, Tracer},
};

/// Debian's files; one that is missing is said to be.
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
        let row = format!("pair under {name}, memtrace, every call");
        if !library.exists() {
            rows.push(Row::plain(&row, format!("not measured: no {file}")));
            continue;
        }
        let mut command = Command::new(&bench.load);
        command
            .args(load::pair_arguments(load::PAIRS_TRACED, 1))
            .env("LD_PRELOAD", &library);
        let mut program = Load::start(&mut command)?;
        let (mut untraced, mut traced) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds() {
            untraced.push(program.cost()?.cpu_ns);
            let tracer = Tracer::attach(&bench.memtrace, program.pid(), EXACT)?;
            traced.push(program.cost()?.cpu_ns);
            tracer.end()?;
        }
        let (untraced, traced) = (median(untraced), median(traced));
        rows.push(Row::plain(
            &row,
            format!("{traced:.0} ns; untraced {untraced:.0} ns"),
        ));
    }
    Ok(rows)
}
