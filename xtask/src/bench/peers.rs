//! The pair under tools that a Debian has beside memtrace.

use std::{process::Command, time::Instant};

use anyhow::ensure;

use super::{
    Bench, Row,
    load::{self, Load},
    processes::{PATIENCE, Program},
};

/// What one writes with bpftrace for the same question. BEGIN runs before the
/// probes are in.
const SCRIPT: &str = r#"
BEGIN { printf("begun\n"); }
uprobe:LIBC:malloc { @size[tid] = arg0; }
uretprobe:LIBC:malloc /@size[tid]/ {
    @live[retval] = @size[tid];
    @by[ustack(10)] = sum(@size[tid]);
    delete(@size[tid]);
}
uprobe:LIBC:free /@live[arg0]/ { delete(@live[arg0]); }
"#;
/// Where Debian and Ubuntu have glibc.
const LIBC: &str = "/lib/x86_64-linux-gnu/libc.so.6";
/// No pair with a probe is as fast as this, ns; none without is as slow.
const SURELY_PROBED: f64 = 500.0;

/// heaptrack and bpftrace; a tool that is missing is said to be.
pub fn run(bench: &Bench) -> anyhow::Result<Vec<Row>> {
    Ok(vec![
        row(
            "pair, heaptrack (LD_PRELOAD from the start), its interpreter's CPU left out",
            heaptrack(bench),
        ),
        row(
            "pair, bpftrace (malloc, its return, free; three maps, user stacks)",
            bpftrace(bench),
        ),
    ])
}

fn row(what: &str, cost: anyhow::Result<f64>) -> Row {
    let cost = cost.map_or_else(
        |error| format!("not measured: {error:#}"),
        |cost| format!("{cost:.0} ns"),
    );
    Row::plain(what, cost)
}

fn heaptrack(bench: &Bench) -> anyhow::Result<f64> {
    let directory = tempfile::tempdir()?;
    let mut load = Load::start(
        Command::new("heaptrack")
            .arg("-o")
            .arg(directory.path().join("record"))
            .arg(&bench.load)
            .args(load::pair_arguments(load::PAIRS_TRACED, 1)),
    )?;
    let cost = load.cost();
    let pipe = format!("/tmp/heaptrack_fifo{}", load.pid());
    drop(load);
    // Killed, it leaves its pipe behind; one that is gone already is as well.
    let _ = std::fs::remove_file(pipe);
    Ok(cost?.cpu_ns)
}

fn bpftrace(bench: &Bench) -> anyhow::Result<f64> {
    let mut load = Load::pairs(bench, load::PAIRS_TRACED / 4, 1)?;
    let (mut tracer, line) = Program::start(Command::new("bpftrace").args([
        "-p",
        &load.pid().to_string(),
        "-e",
        &SCRIPT.replace("LIBC", LIBC),
    ]))?;
    tracer.skip_to(line, "begun")?;
    let deadline = Instant::now() + PATIENCE;
    // All three probes: the last to come is seen by the cost no longer rising.
    let mut before = 0.0;
    loop {
        let cost = load.cost()?.cpu_ns;
        if cost > SURELY_PROBED && cost < before * 1.1 {
            return Ok(cost);
        }
        before = cost;
        ensure!(Instant::now() < deadline, "its probes never came");
    }
}
