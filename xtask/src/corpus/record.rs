//! Recordings of cases: what their verdicts go by, small enough to be kept, and the truth.
//! `tests/scenarios/recorded` has some, to which every change of a rule is held.

use std::{collections::BTreeSet, fs::File, io::Write as _, path::Path};

use anyhow::Context as _;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Map, Value, json};

use super::{judge, trace::Run};
use crate::bench::tracer::number;

/// Sites of a process whose growth is kept, the largest.
const SITES_GROWN: usize = 120;
/// And those that pin or hold its pages, or have mapped most.
const SITES_BESIDE: usize = 20;
/// Fields of a site that are sums.
const COUNTS: [&str; 6] = [
    "live_bytes",
    "live_blocks",
    "allocated_bytes",
    "allocated_blocks",
    "freed_bytes",
    "freed_blocks",
];
/// What of a site's identity is only where all of it is told.
const NONE: &str = "0000000000000000";

/// Writes what has to be kept of a run.
pub fn keep(directory: &Path, name: &str, run: &Run) -> anyhow::Result<()> {
    let (start, end) = judge::window(&run.report)?;
    let recording = json!({
        "truth": run.truth.around(start, end),
        "report": trimmed(&run.report)?,
    });
    let file = File::create(directory.join(format!("{name}.json.gz")))?;
    let mut packed = GzEncoder::new(file, Compression::best());
    packed.write_all(&serde_json::to_vec(&recording)?)?;
    packed.finish()?;
    Ok(())
}

/// A report without what no verdict looks at: the smallest sites become one of each
/// process's, and what the verdicts told is left out.
fn trimmed(report: &Value) -> anyhow::Result<Value> {
    let mut report = report.as_object().context("no report")?.clone();
    for told in ["verdicts", "places"] {
        report.remove(told);
    }
    let mut wanted = BTreeSet::new();
    for growth in list(report.get_mut("growth")) {
        let process = growth["process"].clone();
        let rest = cut(&mut growth["sites"], SITES_GROWN);
        let ages = |site: &Value| site["survivors"].as_array().cloned().unwrap_or_default();
        let left_out = rest
            .iter()
            .flat_map(ages)
            .chain([growth["left_out_bytes"].clone()]);
        growth["left_out_bytes"] = sum(left_out)?.into();
        wanted.extend(ids(&process, &growth["sites"]));
    }
    for heap in list(report.get_mut("heap").map(|it| &mut it["processes"])) {
        let process = heap["process"].clone();
        for shares in ["pinned", "retained"] {
            if let Some(shares) = heap.get_mut(shares) {
                let rest = cut(&mut shares["sites"], SITES_BESIDE);
                let bytes = rest.iter().map(|it| it["bytes"].clone());
                let unseen = bytes.chain([shares["unseen_bytes"].clone()]);
                shares["unseen_bytes"] = sum(unseen)?.into();
                wanted.extend(ids(&process, &shares["sites"]));
            }
        }
        if let Some(walked) = heap.get_mut("last").and_then(|it| it.get_mut("walked")) {
            walked["occupancy"] = json!({"pages_per_cell": 1, "regions": [], "cells": []});
        }
    }
    for mapped in list(report.get_mut("mappings").map(|it| &mut it["processes"])) {
        cut(&mut mapped["sites"], SITES_BESIDE);
    }
    let sites = report.get("sites").and_then(Value::as_array);
    let sites = kept(sites.map_or(&[][..], Vec::as_slice), &wanted)?;
    report.insert("sites".to_owned(), sites.into());
    Ok(report.into())
}

/// The sites that are wanted, and of each process one that has all others' counts.
fn kept(sites: &[Value], wanted: &BTreeSet<(String, String)>) -> anyhow::Result<Vec<Value>> {
    let mut kept = Vec::new();
    let mut others: Map<String, Value> = Map::new();
    for site in sites {
        if wanted.contains(&id(&site["process"], site)) {
            kept.push(site.clone());
            continue;
        }
        let Some(known) = others.get_mut(&site["process"].to_string()) else {
            let mut first = site.clone();
            first["site_id"] = NONE.into();
            first["frames"] = json!([]);
            others.insert(site["process"].to_string(), first);
            continue;
        };
        for count in COUNTS {
            known[count] = sum([known[count].clone(), site[count].clone()])?.into();
        }
    }
    kept.extend(others.into_iter().map(|(_, site)| site));
    Ok(kept)
}

fn list(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}

/// What is behind so many.
fn cut(values: &mut Value, most: usize) -> Vec<Value> {
    let values = values.as_array_mut();
    values.map_or_else(Vec::new, |it| it.split_off(most.min(it.len())))
}

fn id(process: &Value, site: &Value) -> (String, String) {
    (process.to_string(), site["site_id"].to_string())
}

fn ids(process: &Value, sites: &Value) -> Vec<(String, String)> {
    let sites = sites.as_array().into_iter().flatten();
    sites.map(|site| id(process, site)).collect()
}

fn sum(values: impl IntoIterator<Item = Value>) -> anyhow::Result<u64> {
    values
        .into_iter()
        .try_fold(0, |sum, it| Ok(sum + number(&it)? as u64))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{fs, io::Read as _};

    use flate2::read::GzDecoder;
    use tracer::{analyze::verdict, model::Report};

    use super::*;
    use crate::corpus::{case, truth::Truth};

    /// What was seen of real programs is judged rightly by the rules as they are now: kind,
    /// function, bytes, and nobody accused beside. `cargo xtask corpus --record DIR` makes
    /// a recording.
    #[test]
    fn recorded_cases_are_judged_rightly() {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
        let cases = case::read(&scenarios.join("cases.toml")).unwrap();
        let mut wrong = Vec::new();
        let mut kinds = BTreeSet::new();
        for entry in fs::read_dir(scenarios.join("recorded")).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let (name, _) = name.rsplit_once('-').unwrap();
            let case = cases.iter().find(|case| case.name == name).unwrap();
            let outcome = judge::judge(case, 0, &replayed(&path)).unwrap();
            kinds.insert(case.expected[0]);
            if !outcome.wrong.is_empty() {
                wrong.push(crate::corpus::results::line(&outcome));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(kinds.len() >= 10, "too few kinds are recorded: {kinds:?}");
    }

    fn replayed(path: &Path) -> Run {
        let mut text = String::new();
        let mut packed = GzDecoder::new(File::open(path).unwrap());
        packed.read_to_string(&mut text).unwrap();
        let mut recording: Value = serde_json::from_str(&text).unwrap();
        let mut report = recording["report"].take();
        let parsed: Report = serde_json::from_value(report.clone()).unwrap();
        report["verdicts"] = serde_json::to_value(verdict::judge(&parsed)).unwrap();
        let lines = recording["truth"].as_array().unwrap().iter();
        let lines: String = lines.map(|line| format!("{line}\n")).collect();
        Run {
            report,
            truth: Truth::parse(&lines).unwrap(),
        }
    }

    /// No count is lost where a report is trimmed.
    #[test]
    fn sums_stay() {
        let site = |id: usize| {
            json!({"site_id": format!("{id}"), "process": 1, "frames": ["f"], "live_bytes": 1,
                "live_blocks": "2", "allocated_bytes": 3, "allocated_blocks": 4,
                "freed_bytes": 2, "freed_blocks": 2})
        };
        let grown = |id: usize| json!({"site_id": format!("{id}"), "survivors": [1, 2]});
        let report = json!({
            "verdicts": [1],
            "sites": (0..200).map(site).collect::<Vec<_>>(),
            "growth": [{"process": 1, "left_out_bytes": 5,
                "sites": (0..200).map(grown).collect::<Vec<_>>()}],
        });
        let trimmed = trimmed(&report).unwrap();
        let sites = trimmed["sites"].as_array().unwrap();
        assert_eq!(sites.len(), SITES_GROWN + 1);
        let blocks = sites.iter().map(|site| site["live_blocks"].clone());
        assert_eq!(sum(blocks).unwrap(), 400);
        assert_eq!(trimmed["growth"][0]["left_out_bytes"], 5 + 80 * 3);
        assert!(trimmed.get("verdicts").is_none());
    }
}
