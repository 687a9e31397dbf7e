//! Results: a line of JSON each, written as it is found, and what they come to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Write as _,
    path::Path,
    sync::Mutex,
};

use anyhow::Context as _;

use super::{case::Case, judge::Outcome};

const MEBIBYTE: f64 = 1048576.0;

/// The file of results, and all that is in it.
pub struct Results {
    file: Mutex<File>,
    /// Of earlier parts.
    pub earlier: Vec<Outcome>,
}

impl Results {
    /// A new file, or one that is gone on with.
    pub fn open(path: &Path, resumed: bool) -> anyhow::Result<Self> {
        let mut options = File::options();
        options.create(true);
        if resumed {
            options.append(true);
        } else {
            options.write(true).truncate(true);
        }
        let file = options
            .open(path)
            .with_context(|| path.display().to_string())?;
        let mut earlier: Vec<Outcome> = Vec::new();
        if resumed {
            for line in fs::read_to_string(path)?.lines() {
                earlier.push(serde_json::from_str(line).with_context(|| line.to_owned())?);
            }
        }
        Ok(Self {
            file: Mutex::new(file),
            earlier,
        })
    }

    /// Whether it was run before.
    pub fn has(&self, case: &str, seed: u64) -> bool {
        let is_it = |one: &Outcome| one.case == case && one.seed == seed;
        self.earlier.iter().any(is_it)
    }

    /// Writes one down, and says it.
    pub fn add(&self, outcome: &Outcome) -> anyhow::Result<()> {
        let line = serde_json::to_string(outcome)? + "\n";
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(line.as_bytes())?;
        println!("{}", self::line(outcome));
        Ok(())
    }
}

/// One outcome for a person.
pub fn line(outcome: &Outcome) -> String {
    let verdict = if outcome.wrong.is_empty() {
        "right"
    } else {
        "WRONG"
    };
    let told = if outcome.told.is_empty() {
        "nothing".to_owned()
    } else {
        outcome.told.join(", ")
    };
    let bytes = match outcome.truth_bytes {
        Some(truth) => format!(
            "{:.1} of {:.1} MiB",
            outcome.bytes / MEBIBYTE,
            truth / MEBIBYTE
        ),
        None if outcome.bytes > 0.0 => format!("{:.1} MiB", outcome.bytes / MEBIBYTE),
        None => String::new(),
    };
    let stack = outcome
        .stack
        .iter()
        .take(3)
        .cloned()
        .collect::<Vec<_>>()
        .join(" < ");
    let mut line = format!(
        "{verdict}  {:<24} seed {}  {told:<18} {:<10} {bytes:<22} {:>4.0} s  {stack}",
        outcome.case, outcome.seed, outcome.confidence, outcome.seconds
    );
    for wrong in &outcome.wrong {
        line += &format!("\n       {wrong}");
    }
    line
}

/// How often which kind was told for which: rows are what is right.
pub fn confusion(cases: &[Case], outcomes: &[Outcome]) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for outcome in outcomes {
        let Some(case) = cases.iter().find(|case| case.name == outcome.case) else {
            continue;
        };
        let told = outcome.told.first().map_or("nothing", String::as_str);
        *counts.entry((case.expected[0].name(), told)).or_default() += 1;
    }
    let columns: BTreeSet<&str> = counts.keys().map(|key| key.1).collect();
    let rows: BTreeSet<&str> = counts.keys().map(|key| key.0).collect();
    let mut text = format!("{:<16}", "right \\ told");
    for column in &columns {
        text += &format!(" {column:>15}");
    }
    for row in rows {
        text += &format!("\n{row:<16}");
        for column in &columns {
            match counts.get(&(row, column)) {
                Some(count) => text += &format!(" {count:>15}"),
                None => text += &format!(" {:>15}", "."),
            }
        }
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// What was written is found again, and only that.
    #[test]
    fn resumed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("results");
        let outcome = Outcome {
            case: "one".to_owned(),
            seed: 2,
            told: vec!["leak".to_owned()],
            ..Outcome::default()
        };
        Results::open(&path, false).unwrap().add(&outcome).unwrap();
        let again = Results::open(&path, true).unwrap();
        assert!(again.has("one", 2) && !again.has("one", 1));
        assert!(!Results::open(&path, false).unwrap().has("one", 2));
    }

    /// What was told for what is right is counted by the first verdict.
    #[test]
    fn confused() {
        let case = "name='c'\nwhy='w'\nprogram='p.c'\nseconds=1\nexpected=['leak']";
        let case: Case = toml::from_str(case).unwrap();
        let told = |kind: &str| Outcome {
            case: "c".to_owned(),
            told: vec![kind.to_owned()],
            ..Outcome::default()
        };
        let table = confusion(&[case], &[told("leak"), told("healthy"), told("leak")]);
        let row: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
        assert_eq!(row, ["leak", "1", "2"]);
    }
}
