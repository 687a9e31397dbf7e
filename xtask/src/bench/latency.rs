//! Start to attached and Ctrl-C to all files written, on a leaking node server.

use super::{
    Bench, Row,
    measure::median,
    node::{self, Progress},
    tracer::{EXACT, Tracer},
};

/// Both waits.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let (server, port) = node::server(bench, "leak")?;
    Progress::run(bench, &port, 2)?;
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        let tracer = Tracer::attach(&bench.memtrace, server.pid(), EXACT)?;
        starts.push(tracer.until_ready.as_secs_f64() * 1e3);
        Progress::run(bench, &port, 3)?;
        ends.push(tracer.end()?.0.as_secs_f64());
    }
    let (start, end) = (median(starts), median(ends));
    Ok(vec![
        Row::goal(
            "start to attached, node",
            format!("{start:.0} ms"),
            "< 500 ms",
            start < 500.0,
        ),
        Row::goal(
            "Ctrl-C to all files written, node",
            format!("{end:.2} s"),
            "< 3 s",
            end < 3.0,
        ),
    ])
}
