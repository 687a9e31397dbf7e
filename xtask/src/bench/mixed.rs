//! What a stack of a node process costs, native frames and JavaScript's in
//! turn: by frame pointers, as the kernel takes it, and by unwind tables with
//! the functions told apart.

use std::process::Command;

use super::{
    Bench, Row,
    load::Load,
    measure::median,
    pair::frames_of_largest,
    tracer::{EXACT, Tracer},
};

/// Blocks in each answer.
const BLOCKS: &str = "50000";

/// A block of a node process, untraced and with stacks taken in each way.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut node = Load::start(
        Command::new("node")
            .arg(bench.root.join("xtask/bench/mixed.js"))
            .arg(BLOCKS),
    )?;
    let (mut untraced, mut floor) = (Vec::new(), Vec::new());
    let (mut kernel, mut exact, mut traced) = (Vec::new(), Vec::new(), Vec::new());
    let mut frames = 0;
    for _ in 0..bench.rounds() {
        untraced.push(node.cost()?.cpu_ns);
        for (arguments, costs) in [
            (&[][..], &mut floor),
            (&["--stack", "kernel"], &mut kernel),
            (&["--stack", "exact"], &mut exact),
        ] {
            let probes = Tracer::floor(&bench.memtrace, node.pid(), arguments)?;
            costs.push(node.cost()?.cpu_ns);
            drop(probes);
        }
        let tracer = Tracer::attach(&bench.memtrace, node.pid(), EXACT)?;
        traced.push(node.cost()?.cpu_ns);
        frames = frames_of_largest(&tracer.end()?.1)?;
    }
    let [untraced, floor, kernel, exact, traced] =
        [untraced, floor, kernel, exact, traced].map(median);
    let (kernel, exact) = (kernel - floor, exact - floor);
    let ratio = exact / kernel;
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
            format!("{kernel:.0} ns"),
        ),
        Row::goal(
            "node, that stack by unwind tables, functions told apart",
            format!("{exact:.0} ns, {ratio:.2} x bpf_get_stack"),
            "≤ 2 x bpf_get_stack",
            ratio <= 2.0,
        ),
    ])
}
