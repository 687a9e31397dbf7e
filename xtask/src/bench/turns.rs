//! The same blocks untraced, with three empty probes, with a stack taken in
//! two ways, and traced: by turns, so that all are compared in one run.

use super::{
    Bench,
    load::Load,
    measure::median,
    tracer::{EXACT, Tracer, number},
};

/// CPU time of a block, ns, in each round.
#[derive(Default)]
pub struct Turns {
    pub untraced: Vec<f64>,
    pub floor: Vec<f64>,
    kernel: Vec<f64>,
    exact: Vec<f64>,
    pub traced: Vec<f64>,
    /// Of the stack with the most allocations, as memtrace saw it.
    pub frames: usize,
}

/// What taking one stack costs, ns.
pub struct StackCosts {
    /// By frame pointers, as the kernel does it.
    pub kernel: f64,
    /// By unwind tables.
    pub exact: f64,
    /// The latter by the former.
    pub ratio: f64,
}

impl Turns {
    /// Measures `probed`, and untraced `plain` if that is another.
    pub fn measure(
        bench: &Bench,
        mut plain: Option<&mut Load>,
        probed: &mut Load,
    ) -> anyhow::Result<Self> {
        let mut turns = Self::default();
        for _ in 0..bench.rounds() {
            let plain = plain.as_deref_mut().unwrap_or(probed);
            turns.untraced.push(plain.cost()?.cpu_ns);
            for (arguments, costs) in [
                (&[][..], &mut turns.floor),
                (&["--stack", "kernel"], &mut turns.kernel),
                (&["--stack", "exact"], &mut turns.exact),
            ] {
                let probes = Tracer::floor(&bench.memtrace, probed.pid(), arguments)?;
                costs.push(probed.cost()?.cpu_ns);
                drop(probes);
            }
            let tracer = Tracer::attach(&bench.memtrace, probed.pid(), EXACT)?;
            turns.traced.push(probed.cost()?.cpu_ns);
            turns.frames = frames_of_largest(&tracer.end()?.1)?;
        }
        Ok(turns)
    }

    /// What taking the stack costs.
    pub fn stack_costs(&self) -> StackCosts {
        let floor = median(self.floor.clone());
        let above_floor = |costs: &[f64]| median(costs.to_vec()) - floor;
        let (kernel, exact) = (above_floor(&self.kernel), above_floor(&self.exact));
        StackCosts {
            kernel,
            exact,
            ratio: exact / kernel,
        }
    }
}

fn frames_of_largest(report: &serde_json::Value) -> anyhow::Result<usize> {
    let mut largest = (0.0, 0);
    for site in report["sites"].as_array().into_iter().flatten() {
        let blocks = number(&site["allocated_blocks"])?;
        if blocks > largest.0 {
            largest = (blocks, site["frames"].as_array().map_or(0, Vec::len));
        }
    }
    Ok(largest.1)
}
