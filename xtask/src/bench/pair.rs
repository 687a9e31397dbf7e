//! What a malloc+free pair costs: untraced, with three empty probes at the
//! same places (the floor), with a stack taken at the return in two ways, and
//! traced, by turns.

use super::{
    Bench, Row,
    load::{self, Load},
    measure::median,
    turns::Turns,
};

/// The pair against the floor.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut plain = Load::pairs(bench, load::PAIRS_UNTRACED, 1)?;
    let mut probed = Load::pairs(bench, load::PAIRS_TRACED, 1)?;
    let turns = Turns::measure(bench, Some(&mut plain), &mut probed)?;
    let stack = turns.stack_costs();
    let Turns {
        untraced,
        floor,
        traced,
        frames,
        ..
    } = turns;
    let ratios: Vec<f64> = traced
        .iter()
        .zip(&floor)
        .map(|(traced, floor)| traced / floor)
        .collect();
    let (untraced, floor, traced) = (median(untraced), median(floor), median(traced));
    let ratio = traced / floor;
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
            format!("{:.0} ns", stack.kernel),
        ),
        Row::goal(
            "taking that stack by unwind tables",
            format!("{:.0} ns, {:.2} x bpf_get_stack", stack.exact, stack.ratio),
            "≤ 1.3 x bpf_get_stack",
            stack.ratio <= 1.3,
        ),
    ])
}

fn least(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::INFINITY, f64::min)
}

fn most(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}
