//! What a stack of a node process costs, native frames and JavaScript's in
//! turn: by frame pointers, as the kernel takes it, and by unwind tables with
//! the functions told apart.

use std::process::Command;

use super::{Bench, Row, load::Load, measure::median, turns::Turns};

/// Blocks in each answer.
const BLOCKS: &str = "50000";

/// A block of a node process, untraced and with stacks taken in each way.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut node = Load::start(
        Command::new("node")
            .arg(bench.root.join("xtask/bench/mixed.js"))
            .arg(BLOCKS),
    )?;
    let turns = Turns::measure(bench, None, &mut node)?;
    let stack = turns.stack_costs();
    let [untraced, floor, traced] = [turns.untraced, turns.floor, turns.traced].map(median);
    let frames = turns.frames;
    Ok(vec![
        Row::plain(
            "node, a buffer made and collected: untraced, three empty probes",
            format!("{untraced:.0} ns, {floor:.0} ns"),
        ),
        Row::plain(
            "node, the same under memtrace, every call",
            format!("{traced:.0} ns"),
        ),
        Row::plain(
            &format!("node, its stack of {frames} frames by frame pointers (bpf_get_stack)"),
            format!("{:.0} ns", stack.kernel),
        ),
        Row::goal(
            "node, that stack by unwind tables, functions told apart",
            format!("{:.0} ns, {:.2} x bpf_get_stack", stack.exact, stack.ratio),
            "≤ 2 x bpf_get_stack",
            stack.ratio <= 2.0,
        ),
    ])
}
