//! The tool as a whole: a node server's throughput, its own CPU and memory,
//! how fast it starts and ends.

use std::{path::Path, process::Command, time::Instant};

use super::{
    Row,
    processes::{Program, Tracer, cpu_seconds, map_bytes, median},
};

const SECONDS: &str = "8";

/// Requests a second of a server.
fn throughput(root: &Path, port: &str) -> anyhow::Result<f64> {
    let output = Command::new("node")
        .arg(root.join("xtask/bench/client.js"))
        .args([port, SECONDS])
        .output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

/// A node HTTP server, untraced and traced by turns.
pub fn node(root: &Path, memtrace: &Path) -> anyhow::Result<Vec<Row>> {
    let (server, port) =
        Program::start(Command::new("node").arg(root.join("xtask/bench/server.js")))?;
    throughput(root, &port)?;
    let (mut untraced, mut limited, mut unlimited) = (Vec::new(), Vec::new(), Vec::new());
    let (mut level, mut calls) = (String::new(), 0.0);
    for _ in 0..3 {
        untraced.push(throughput(root, &port)?);
        let tracer = Tracer::attach(memtrace, server.pid(), &[])?;
        limited.push(throughput(root, &port)?);
        let report = tracer.end()?.1;
        level = report["level"].to_string();
        let tracer = Tracer::attach(memtrace, server.pid(), &["--max-overhead", "off"])?;
        unlimited.push(throughput(root, &port)?);
        let report = tracer.end()?.1;
        let sum = |field: &str| report["totals"][field].as_f64().unwrap_or(0.0);
        calls = (sum("allocated_blocks") + sum("freed_blocks"))
            / report["window"]["seconds"].as_f64().unwrap_or(1.0);
    }
    let (untraced, limited, unlimited) = (median(untraced), median(limited), median(unlimited));
    Ok(vec![
        Row::plain(
            "node HTTP server, untraced",
            format!("{untraced:.0} requests/s"),
        ),
        Row::goal(
            "node HTTP server, defaults",
            format!(
                "{limited:.0} requests/s, {:.0}% of untraced (level {level})",
                limited / untraced * 100.0
            ),
            "≥ 90% of untraced",
            limited / untraced >= 0.9,
        ),
        Row::plain(
            "node HTTP server, every call (--max-overhead off)",
            format!(
                "{unlimited:.0} requests/s, {:.0}%, at {calls:.0} allocator calls/s",
                unlimited / untraced * 100.0
            ),
        ),
    ])
}

/// User-space CPU of memtrace while the target makes 200,000 calls a second.
pub fn daemon(load: &Path, memtrace: &Path) -> anyhow::Result<Vec<Row>> {
    let (mut program, _) = Program::start(Command::new(load).args(["rate", "100000", "8"]))?;
    let tracer = Tracer::attach(memtrace, program.pid(), &["--max-overhead", "off"])?;
    let (before, started) = (cpu_seconds(tracer.pid())?, Instant::now());
    program.work()?;
    let share = (cpu_seconds(tracer.pid())? - before) / started.elapsed().as_secs_f64() * 100.0;
    Ok(vec![Row::goal(
        "memtrace's own CPU at 200,000 calls/s",
        format!("{share:.1}% of a core"),
        "< 3%",
        share < 3.0,
    )])
}

/// Memory with two million live blocks.
pub fn memory(load: &Path, memtrace: &Path) -> anyhow::Result<Vec<Row>> {
    const BLOCKS: u64 = 2_000_000;
    let (mut program, _) = Program::start(Command::new(load).args(["live", &BLOCKS.to_string()]))?;
    let tracer = Tracer::attach(memtrace, program.pid(), &["--max-overhead", "off"])?;
    let empty = map_bytes(tracer.pid())?;
    let slab = slab_bytes()?;
    program.work()?;
    let accounted = map_bytes(tracer.pid())?;
    let slab = slab_bytes()?.saturating_sub(slab);
    let (took, report) = tracer.end()?;
    let live = report["totals"]["live_blocks"].as_u64().unwrap_or(0);
    let each = slab as f64 / BLOCKS as f64;
    Ok(vec![
        Row::plain(
            "maps when empty (buckets for 4 M blocks)",
            format!("{:.0} MB", empty as f64 / 1e6),
        ),
        Row::goal(
            &format!("maps, {live} live blocks, beside the buckets"),
            format!(
                "{each:.0} bytes a block by the kernel's slab ({:.0} by memlock)",
                (accounted - empty) as f64 / BLOCKS as f64
            ),
            "≤ 120",
            each <= 120.0,
        ),
        Row::plain(
            "end to files, 2 M live blocks",
            format!("{:.2} s", took.as_secs_f64()),
        ),
    ])
}

/// The kernel's slab memory, bytes: where map elements come from.
fn slab_bytes() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Slab:"))
        .unwrap_or("0");
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Start to attached and end to files, on node.
pub fn latency(root: &Path, memtrace: &Path) -> anyhow::Result<Vec<Row>> {
    let (server, port) = Program::start(
        Command::new("node")
            .arg(root.join("xtask/bench/server.js"))
            .arg("leak"),
    )?;
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let tracer = Tracer::attach(memtrace, server.pid(), &["--max-overhead", "off"])?;
        starts.push(tracer.until_ready.as_secs_f64() * 1e3);
        throughput(root, &port)?;
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
            "end to all files, node",
            format!("{end:.2} s"),
            "< 3 s",
            end < 3.0,
        ),
    ])
}
