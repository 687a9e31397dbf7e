//! Memory while two million blocks live: the kernel's for the maps, and
//! memtrace's own.

use std::process::Command;

use super::{
    Bench, Row,
    measure::{map_bytes, resident_bytes, slab_bytes},
    processes::Program,
    tracer::{EXACT, Tracer, number},
};

const BLOCKS: f64 = 2e6;

/// Bytes a block, and the rest.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (mut program, _) =
        Program::start(Command::new(&bench.load).args(["live", &BLOCKS.to_string()]))?;
    let tracer = Tracer::attach(&bench.memtrace, program.pid(), EXACT)?;
    let (empty, slab) = (map_bytes(tracer.pid())?, slab_bytes()?);
    program.work()?;
    let accounted = (map_bytes(tracer.pid())? - empty) / BLOCKS;
    let slab = (slab_bytes()? - slab) / BLOCKS;
    let resident = resident_bytes(tracer.pid())?;
    let (took, report) = tracer.end()?;
    let live = number(&report["totals"]["live_blocks"])?;
    Ok(vec![
        Row::plain(
            "maps, empty (buckets for 4 M blocks)",
            format!("{:.0} MB", empty / 1e6),
        ),
        // The larger: one leaves out a slab's rounding, the other may hold other work's.
        Row::goal(
            &format!("maps, {live:.0} live blocks, beside the buckets"),
            format!(
                "{accounted:.0} bytes a block as accounted (memlock); {slab:.0} by the growth of the machine's slab"
            ),
            "≤ 120 by both",
            accounted.max(slab) <= 120.0,
        ),
        Row::plain(
            "memtrace's resident memory then",
            format!("{:.0} MB", resident / 1e6),
        ),
        Row::plain(
            "end to all files, these blocks live",
            format!("{:.2} s", took.as_secs_f64()),
        ),
    ])
}
