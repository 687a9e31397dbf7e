//! What the kernel says of a process, and the middle of numbers.

use std::fs;

use anyhow::{Context as _, ensure};

/// The middle of some numbers.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}

/// User and system CPU time of a process and its children so far, seconds.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let mut seconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = thread?.path();
        let times = fs::read_to_string(thread.join("schedstat"))?;
        let ran = times.split(' ').next().context("no schedstat")?;
        seconds += ran.parse::<f64>()? / 1e9;
        let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
        for child in children.split_ascii_whitespace() {
            // One that has just ended counts for nothing.
            seconds += cpu_seconds(child.parse()?).unwrap_or(0.0);
        }
    }
    Ok(seconds)
}

/// User and system CPU time of all children waited for so far, seconds.
pub fn children_cpu_seconds() -> anyhow::Result<f64> {
    // SAFETY: integers only, for which all bytes 0 are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one such structure.
    let result = unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) };
    ensure!(result == 0, "getrusage failed");
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    Ok(seconds(usage.ru_utime) + seconds(usage.ru_stime))
}

/// Kernel memory of a process's BPF maps, bytes, as the kernel accounts it.
pub fn map_bytes(pid: u32) -> anyhow::Result<f64> {
    let mut total = 0.0;
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        if text.contains("map_type:") {
            total += field(&text, "memlock:").unwrap_or(0.0);
        }
    }
    Ok(total)
}

/// Instructions that the verifier went through for each program that a process
/// holds (Linux 5.16).
pub fn verified_instructions(pid: u32) -> anyhow::Result<Vec<f64>> {
    let mut programs = std::collections::BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        if let Some(verified) = field(&text, "verified_insns:") {
            // Links tell of their programs, too.
            programs.insert(field(&text, "prog_id:").unwrap_or(0.0) as u64, verified);
        }
    }
    Ok(programs.into_values().collect())
}

/// Slab memory of the whole machine, bytes: map elements come from there, so
/// this sees what rounding up to a slab's size adds.
pub fn slab_bytes() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    Ok(field(&text, "Slab:").context("no Slab in /proc/meminfo")? * 1024.0)
}

/// Resident memory of a process, bytes.
pub fn resident_bytes(pid: u32) -> anyhow::Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    Ok(field(&text, "VmRSS:").context("no VmRSS")? * 1024.0)
}

/// Processes that wanted a CPU in the last minute, on average.
pub fn load_average() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}

fn field(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}
