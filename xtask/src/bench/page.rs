//! The table, and the page it stands on: `docs/bench.md`.

use std::{fmt::Write as _, fs, process::Command};

use super::measure::load_average;

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

    /// For the terminal.
    pub fn line(&self) -> String {
        let goal = self.goal.map_or(String::new(), |(goal, met)| {
            format!(" (goal {goal}: {})", if met { "met" } else { "missed" })
        });
        format!("{}: {}{goal}", self.what, self.result)
    }
}

/// The page. `load_before` is the machine's load average before the first benchmark.
pub fn page(rows: &[Row], load_before: &str) -> anyhow::Result<String> {
    let mut text = String::from("# What memtrace costs\n\n");
    writeln!(
        text,
        "Measured {} on commit {} by `cargo xtask bench` on a virtual machine of {} cores ({}), Linux {}. \
         Load average {load_before} before the first benchmark and {} after the last: \
         where it was not near 0 before, other work shares in these figures, most of all in times on \
         the wall and in what is per second.\n",
        command("date", &["-u", "+%Y-%m-%d %H:%M UTC"])?,
        command("git", &["describe", "--always", "--dirty"])?,
        command("nproc", &[])?,
        processor()?,
        command("uname", &["-r"])?,
        load_average()?,
    )?;
    text.push_str(
        "Compare within this page only: other machines have other traps. Figures are medians; \
         what is compared was measured by turns. The node client has no cores of its own: it \
         competes with the server and is not faster than it, so the server has time to spare, and \
         its CPU time a request rises by more than requests/s fall.\n\n",
    );
    text.push_str("| what | result | goal | |\n| --- | --- | --- | --- |\n");
    for row in rows {
        let (goal, met) = row.goal.map_or(("", ""), |(goal, met)| {
            (goal, if met { "met" } else { "**missed**" })
        });
        writeln!(text, "| {} | {} | {goal} | {met} |", row.what, row.result)?;
    }
    Ok(text)
}

fn processor() -> anyhow::Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    Ok(name
        .unwrap_or("unknown")
        .trim_start_matches(['\t', ' ', ':'])
        .to_owned())
}

fn command(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
