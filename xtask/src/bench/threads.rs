//! The pair over threads: what the ledger's locks cost.

use super::{
    Bench, Row,
    load::{self, Load},
    measure::median,
    tracer::{EXACT, Tracer},
};

/// The curve, untraced and traced by turns.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    [1, 2, 4, 8]
        .into_iter()
        .map(|threads| one(bench, threads))
        .collect()
}

fn one(bench: &Bench, threads: u32) -> anyhow::Result<Row> {
    let mut plain = Load::pairs(bench, load::PAIRS_UNTRACED / threads, threads)?;
    let mut probed = Load::pairs(bench, load::PAIRS_TRACED / threads, threads)?;
    let (mut untraced, mut traced) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        untraced.push(plain.cost()?);
        let tracer = Tracer::attach(&bench.memtrace, probed.pid(), EXACT)?;
        traced.push(probed.cost()?);
        drop(tracer);
    }
    let describe = |costs: &[load::Cost]| {
        let cpu = median(costs.iter().map(|cost| cost.cpu_ns).collect());
        let wall = median(costs.iter().map(|cost| cost.wall_ns).collect());
        format!("{cpu:.0} ns CPU a pair, {:.2} M pairs/s", 1e3 / wall)
    };
    Ok(Row::plain(
        &format!("{threads} threads, all together"),
        format!(
            "untraced {}; traced {}",
            describe(&untraced),
            describe(&traced)
        ),
    ))
}
