//! What a trace under `--budget` adds to a program that does nothing but malloc and free: the
//! worst there is, as every pair is a trap while probes are in.

use super::{
    Bench, Row,
    load::{self, Load},
    measure::median,
    tracer::{Tracer, number},
};

/// The CPU time of a pair by what it is untraced, by turns.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut load = Load::pairs(bench, load::PAIRS_UNTRACED / 10, 1)?;
    let seconds = if bench.quick { 8 } else { 20 };
    let mut rows = Vec::new();
    for (budget, goal, most) in [("1", "≤ 1.03", 1.03), ("5", "≤ 1.08", 1.08)] {
        let (mut ratios, mut spent, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..bench.rounds().min(3) {
            let before = load.mean_over(seconds / 4)?;
            let tracer = Tracer::attach(
                &bench.memtrace,
                load.pid(),
                &["--budget", budget, "--no-mappings", "--no-sockets"],
            )?;
            let traced = load.mean_over(seconds)?;
            let (_, report) = tracer.end()?;
            let after = load.mean_over(seconds / 4)?;
            ratios.push(traced / ((before + after) / 2.0));
            spent.push(number(&report["budget"]["spent_percent"])?);
            own.push(number(&report["budget"]["own_percent"])?);
        }
        let ratio = median(ratios);
        rows.push(Row::goal(
            &format!("malloc+free without a pause under --budget {budget}: CPU time of a pair"),
            format!(
                "{ratio:.3} x untraced; by its own account {:.2}% of a core, and {:.1}% for memtrace itself",
                median(spent),
                median(own)
            ),
            goal,
            ratio <= most,
        ));
    }
    Ok(rows)
}
