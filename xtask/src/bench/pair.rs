//! What a malloc+free pair costs: untraced, with three empty probes at the
//! same places (the floor), with a stack taken at the return in two ways, and
//! traced, by turns.

use super::{
    Bench, Row,
    load::{self, Load},
    measure::median,
    tracer::{EXACT, Tracer, number},
};

/// The pair against the floor.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut plain = Load::pairs(bench, load::PAIRS_UNTRACED, 1)?;
    let mut probed = Load::pairs(bench, load::PAIRS_TRACED, 1)?;
    let (mut untraced, mut floor, mut traced) = (Vec::new(), Vec::new(), Vec::new());
    let (mut kernel, mut exact) = (Vec::new(), Vec::new());
    let mut frames = 0;
    for _ in 0..bench.rounds() {
        untraced.push(plain.cost()?.cpu_ns);
        for (arguments, costs) in [
            (&[][..], &mut floor),
            (&["--stack", "kernel"], &mut kernel),
            (&["--stack", "exact"], &mut exact),
        ] {
            let probes = Tracer::floor(&bench.memtrace, probed.pid(), arguments)?;
            costs.push(probed.cost()?.cpu_ns);
            drop(probes);
        }
        let tracer = Tracer::attach(&bench.memtrace, probed.pid(), EXACT)?;
        traced.push(probed.cost()?.cpu_ns);
        frames = frames_of_largest(&tracer.end()?.1)?;
    }
    let ratios: Vec<f64> = traced
        .iter()
        .zip(&floor)
        .map(|(traced, floor)| traced / floor)
        .collect();
    let (untraced, floor, traced) = (median(untraced), median(floor), median(traced));
    let ratio = traced / floor;
    let (kernel, exact) = (median(kernel) - floor, median(exact) - floor);
    let stack_ratio = exact / kernel;
    let spread = format!("{:.2} to {:.2}", least(&ratios), most(&ratios));
    Ok(vec![
        Row::plain("pair, untraced", format!("{untraced:.0} ns")),
        Row::plain(
            "pair, three empty probes (the floor)",
            format!("{floor:.0} ns"),
        ),
        Row::goal(
            &format!("pair, memtrace, every call, stacks of {frames} frames"),
            format!("{traced:.0} ns, {ratio:.2} x the floor (single rounds: {spread})"),
            "≤ 1.7 x the floor",
            ratio <= 1.7,
        ),
        Row::plain(
            "taking that stack by frame pointers (bpf_get_stack)",
            format!("{kernel:.0} ns"),
        ),
        Row::goal(
            "taking that stack by unwind tables",
            format!("{exact:.0} ns, {stack_ratio:.2} x bpf_get_stack"),
            "≤ 1.3 x bpf_get_stack",
            stack_ratio <= 1.3,
        ),
    ])
}

fn least(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// Frames of the stack with the most allocations, as memtrace saw it.
pub fn frames_of_largest(report: &serde_json::Value) -> anyhow::Result<usize> {
    let mut largest = (0.0, 0);
    for site in report["sites"].as_array().into_iter().flatten() {
        let blocks = number(&site["allocated_blocks"])?;
        if blocks > largest.0 {
            largest = (blocks, site["frames"].as_array().map_or(0, Vec::len));
        }
    }
    Ok(largest.1)
}
