//! What watching mapping calls costs a program that does little else, and one
//! that nobody traces.

use std::process::Command;

use super::{
    Bench, Row,
    load::Load,
    measure::median,
    tracer::{EXACT, Tracer},
};

/// Mappings for each answer.
const MAPPINGS: &str = "20000";
/// System calls for each answer.
const CALLS: &str = "1000000";

/// Target and bystander, untraced and traced, by turns.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    let mut target = Load::start(Command::new(&bench.load).args(["maps", MAPPINGS]))?;
    let mut bystander = Load::start(Command::new(&bench.load).args(["calls", CALLS]))?;
    let (mut maps, mut watched) = (Vec::new(), Vec::new());
    let (mut calls, mut beside, mut left_out) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds() {
        maps.push(target.cost()?.cpu_ns);
        calls.push(bystander.cost()?.cpu_ns);
        let tracer = Tracer::attach(&bench.memtrace, target.pid(), EXACT)?;
        watched.push(target.cost()?.cpu_ns);
        beside.push(bystander.cost()?.cpu_ns);
        tracer.end()?;
        let arguments = [EXACT, &["--no-mappings"]].concat();
        let tracer = Tracer::attach(&bench.memtrace, target.pid(), &arguments)?;
        left_out.push(bystander.cost()?.cpu_ns);
        tracer.end()?;
    }
    let (maps, watched) = (median(maps), median(watched));
    let (calls, beside, left_out) = (median(calls), median(beside), median(left_out));
    Ok(vec![
        Row::plain(
            "64 KiB mapped, touched and unmapped, untraced",
            format!("{maps:.0} ns"),
        ),
        Row::plain(
            "the same, watched",
            format!("{watched:.0} ns, {:.2} x untraced", watched / maps),
        ),
        Row::plain(
            "a system call of a process that is not traced",
            format!("{calls:.0} ns"),
        ),
        Row::plain(
            "the same while another is traced",
            format!("{beside:.0} ns ({:.0} ns more)", beside - calls),
        ),
        Row::plain(
            "the same while another is traced with --no-mappings",
            format!("{left_out:.0} ns ({:.0} ns more)", left_out - calls),
        ),
    ])
}
