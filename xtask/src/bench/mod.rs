//! `cargo xtask bench`: ratios within one run, medians, written to
//! `docs/bench.md` with date and machine.

mod pair;
mod processes;
mod whole;

use std::{fmt::Write as _, fs, path::Path, process::Command};

use anyhow::ensure;

/// A line of the table.
pub struct Row {
    what: String,
    result: String,
    goal: Option<(&'static str, bool)>,
}

impl Row {
    /// A measurement.
    pub fn plain(what: &str, result: String) -> Self {
        Self {
            what: what.to_owned(),
            result,
            goal: None,
        }
    }

    /// A measurement against a goal.
    pub fn goal(what: &str, result: String, goal: &'static str, met: bool) -> Self {
        Self {
            what: what.to_owned(),
            result,
            goal: Some((goal, met)),
        }
    }
}

/// Runs all benchmarks, or those named, and writes the table.
pub fn run(root: &Path, names: &[String]) -> anyhow::Result<()> {
    let build = Command::new("cargo")
        .current_dir(root)
        .args(["build", "--release", "--locked", "--quiet", "-p", "tracer"])
        .status()?;
    ensure!(build.success(), "memtrace does not build");
    let memtrace = root.join("target/release/memtrace");
    let load = processes::build_load(root)?;
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let mut rows = Vec::new();
    let mut bench =
        |name: &str, measure: &dyn Fn() -> anyhow::Result<Vec<Row>>| -> anyhow::Result<()> {
            if wanted(name) {
                for row in measure()? {
                    println!(
                        "{}: {} {}",
                        row.what,
                        row.result,
                        row.goal.map_or(String::new(), verdict)
                    );
                    rows.push(row);
                }
            }
            Ok(())
        };
    bench("pair", &|| pair::pair(&load, &memtrace))?;
    bench("threads", &|| pair::threads(&load, &memtrace))?;
    bench("node", &|| whole::node(root, &memtrace))?;
    bench("daemon", &|| whole::daemon(&load, &memtrace))?;
    bench("memory", &|| whole::memory(&load, &memtrace))?;
    bench("latency", &|| whole::latency(root, &memtrace))?;
    if names.is_empty() {
        fs::write(root.join("docs/bench.md"), page(&rows)?)?;
        println!("wrote docs/bench.md");
    }
    Ok(())
}

fn verdict((goal, met): (&'static str, bool)) -> String {
    format!("(goal {goal}: {})", if met { "met" } else { "missed" })
}

fn page(rows: &[Row]) -> anyhow::Result<String> {
    let mut text = String::from("# What memtrace costs\n\n");
    let command = |program: &str, arguments: &[&str]| -> anyhow::Result<String> {
        Ok(
            String::from_utf8_lossy(&Command::new(program).args(arguments).output()?.stdout)
                .trim()
                .to_owned(),
        )
    };
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or(":")
        .trim_start_matches(['\t', ' ', ':'])
        .to_owned();
    writeln!(
        text,
        "Measured {} by `cargo xtask bench` on a virtual machine of {} cores ({processor}), Linux {}.\n\
         Server and client of the node benchmark share these cores. Compare within this page only:\n\
         other machines have other traps. Figures are medians; other work on the host shows in them.\n",
        command("date", &["-u", "+%Y-%m-%d"])?,
        command("nproc", &[])?,
        command("uname", &["-r"])?,
    )?;
    text.push_str("| what | result | goal | |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let (goal, met) = row.goal.map_or(("", ""), |(goal, met)| {
            (goal, if met { "met" } else { "**missed**" })
        });
        writeln!(text, "| {} | {} | {goal} | {met} |", row.what, row.result)?;
    }
    Ok(text)
}
