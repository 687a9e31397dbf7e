//! What the history has of the time: read as `memtrace host query` prints it, and as closer
//! looks are kept.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::programs::{LEAKS, PUSHES, WELL};

/// An interval is as long, and a look at everything takes somewhat too.
const INTERVAL_MS: u64 = 10_000;
const LOOK_MS: u64 = 3_000;

/// Unix ms.
#[derive(Deserialize)]
struct Interval {
    start_ms: u64,
    end_ms: u64,
    #[serde(default)]
    losses: BTreeMap<String, u64>,
}

/// All of it.
pub struct Kept {
    intervals: Vec<Interval>,
    looks: Vec<Value>,
}

impl Kept {
    /// Since then.
    pub fn read(memtrace: &Path, history: &Path, from_ms: u64) -> anyhow::Result<Self> {
        let told = Command::new(memtrace)
            .args(["host", "query", "--since", "6h", "--format", "json"])
            .arg("--directory")
            .arg(history)
            .output()?;
        ensure!(told.status.success(), "memtrace host query failed");
        let text = String::from_utf8(told.stdout)?;
        let intervals = text.lines().map(serde_json::from_str::<Interval>);
        let mut intervals = intervals.collect::<Result<Vec<_>, _>>()?;
        intervals.retain(|it| it.end_ms > from_ms);
        ensure!(!intervals.is_empty(), "nothing was kept");
        let mut looks = Vec::new();
        for entry in std::fs::read_dir(history)? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "look") {
                let mut kept: Value = serde_json::from_slice(&std::fs::read(path)?)?;
                looks.push(kept["look"].take());
            }
        }
        Ok(Self { intervals, looks })
    }

    /// The most that is missing before a kill, s; everything else has to be there, without
    /// a hole.
    pub fn lost(&self, killed_ms: &[u64], until_ms: u64) -> anyhow::Result<f64> {
        let mut most = 0;
        for killed in killed_ms {
            let before = self.intervals.iter().filter(|it| it.end_ms <= *killed);
            let last = before.map(|it| it.end_ms).max().context("all is lost")?;
            most = most.max(killed - last);
        }
        ensure!(
            most <= INTERVAL_MS + LOOK_MS,
            "{most} ms were lost before a kill"
        );
        for pair in self.intervals.windows(2) {
            let [before, after] = pair else { continue };
            let is_killed = |at: &&u64| (before.end_ms..=after.start_ms).contains(*at);
            ensure!(
                before.end_ms.abs_diff(after.start_ms) < 10
                    || killed_ms.iter().any(|it| is_killed(&it)),
                "nothing is kept of {} ms from {} on",
                after.start_ms.saturating_sub(before.end_ms),
                before.end_ms
            );
        }
        let end = self.intervals.last().map_or(0, |it| it.end_ms);
        ensure!(
            until_ms.saturating_sub(end) <= INTERVAL_MS + LOOK_MS,
            "the end is missing"
        );
        Ok(most as f64 / 1000.0)
    }

    /// Processor time of the looks that were kept, s.
    pub fn looks_seconds(&self) -> f64 {
        let of = |look: &Value| {
            let ms = look["end_ms"].as_f64()? - look["start_ms"].as_f64()?;
            Some(ms / 1000.0 * look["cost"].as_f64()?)
        };
        self.looks.iter().filter_map(of).sum()
    }

    /// Verdicts and losses.
    pub fn told(&self) -> Vec<String> {
        let mut lines = vec![format!("{} intervals kept", self.intervals.len())];
        for look in &self.looks {
            let verdict = &look["verdicts"][0];
            lines.push(format!(
                "a look at {}: {}; cost {:.3} of a processor",
                look["name"], verdict["summary"], look["cost"]
            ));
        }
        let mut losses = BTreeMap::new();
        for (what, count) in self.intervals.iter().flat_map(|it| &it.losses) {
            *losses.entry(what).or_insert(0) += count;
        }
        lines.extend(
            losses
                .iter()
                .map(|(what, count)| format!("lost: {what}: {count}")),
        );
        lines
    }

    /// Whether it told of those it had to, and of no other.
    pub fn check(&self) -> anyhow::Result<()> {
        let kinds = |name: &str| {
            let of = self.looks.iter().filter(|it| it["name"] == name);
            of.map(|it| &it["verdicts"][0]).collect::<Vec<_>>()
        };
        for ((name, function), kind) in [(LEAKS, "leak"), (PUSHES, "send-buffer")] {
            let names = |verdict: &&&Value| {
                verdict["kind"] == kind && verdict["stacks"].to_string().contains(function)
            };
            ensure!(
                kinds(name).iter().any(|it| names(&it)),
                "{function} of {name} was not named"
            );
        }
        for verdict in kinds(WELL) {
            let kind = &verdict["kind"];
            ensure!(
                kind == "healthy" || kind == "not-enough-data",
                "{WELL} is accused: {kind}"
            );
        }
        Ok(())
    }
}
