//! The cases as `tests/scenarios/cases.toml` tells them.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

/// What a verdict can say, as report.json spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Leak,
    Fragmentation,
    Retention,
    JsHeap,
    SendBuffer,
    ReceiveBuffer,
    Orphan,
    AcceptQueue,
    Backlog,
    Mapping,
    Healthy,
    NotEnoughData,
}

impl Kind {
    /// As report.json spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Fragmentation => "fragmentation",
            Self::Retention => "retention",
            Self::JsHeap => "js-heap",
            Self::SendBuffer => "send-buffer",
            Self::ReceiveBuffer => "receive-buffer",
            Self::Orphan => "orphan",
            Self::AcceptQueue => "accept-queue",
            Self::Backlog => "backlog",
            Self::Mapping => "mapping",
            Self::Healthy => "healthy",
            Self::NotEnoughData => "not-enough-data",
        }
    }
}

/// Whose malloc a program has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allocator {
    #[default]
    Glibc,
    /// Debian's, preloaded; linked into Rust.
    Jemalloc,
    /// Linked, as all of its libc.
    Musl,
}

/// What else a program needs to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// `c/clients.c`, at `SCENARIO_CLIENTS`.
    Clients,
    /// The modules of `npm/package.json`, at `SCENARIO_NPM`.
    Npm,
}

/// Since when it is traced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Since its first line of truth.
    #[default]
    Attach,
    /// Since its first instruction, by `memtrace run`.
    Run,
}

/// Where the kernel shows that it grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    Anonymous,
    Files,
    Shared,
    /// `mem` of TCP in /proc/net/sockstat: of the whole network namespace.
    Tcp,
}

/// The program's own count of what the verdict tells.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Field of the truth whose rise in the window it is.
    pub of: String,
    /// Field whose rise is taken off.
    pub less: Option<String>,
    /// Percent.
    #[serde(default = "Bytes::usual")]
    pub tolerance: f64,
}

impl Bytes {
    fn usual() -> f64 {
        5.0
    }
}

/// A program, how it is run and traced, and the right answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    /// What it is to tell from what.
    pub why: String,
    /// In `tests/scenarios`; its first lines say why it is right.
    pub program: String,
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub allocator: Allocator,
    /// Source of a shared library: linked to C, at `SCENARIO_LIBRARY` otherwise.
    pub library: Option<String>,
    #[serde(default)]
    pub needs: Vec<Need>,
    #[serde(default)]
    pub start: Start,
    /// The window.
    pub seconds: u32,
    /// Not beside others: sockets of the whole host matter to it, or it wants the processors.
    #[serde(default)]
    pub alone: bool,
    /// Among the few that CI runs.
    #[serde(default)]
    pub live: bool,
    /// The first verdicts, in this order.
    pub expected: Vec<Kind>,
    /// What may follow them.
    #[serde(default)]
    pub allowed: Vec<Kind>,
    /// Alone, as good as `expected`.
    #[serde(default)]
    pub instead: Vec<Kind>,
    /// In the first verdict's first stack; one of these, parted by `|`.
    pub function: Option<String>,
    /// In the first verdict's words.
    pub says: Option<String>,
    pub bytes: Option<Bytes>,
    /// Where `--check` is to see these bytes; nothing rises otherwise.
    pub rises: Option<Place>,
}

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// All cases of a file.
pub fn read(path: &Path) -> anyhow::Result<Vec<Case>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let cases: Cases = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let mut names = BTreeSet::new();
    for case in &cases.case {
        ensure!(names.insert(&case.name), "two cases {}", case.name);
        ensure!(!case.expected.is_empty(), "{} expects nothing", case.name);
    }
    Ok(cases.case)
}

/// One of so many parts of the cases: `2/3`.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    number: usize,
    of: usize,
}

impl std::str::FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (number, of) = text.split_once('/').context("as in 2/3")?;
        let (number, of) = (number.parse()?, of.parse()?);
        ensure!((1..=of).contains(&number), "there is no part {text}");
        Ok(Self { number, of })
    }
}

/// Those named, or all; of them those of a part.
pub fn choose(cases: Vec<Case>, names: &[String], part: Option<Part>) -> anyhow::Result<Vec<Case>> {
    if let Some(unknown) = names
        .iter()
        .find(|name| !cases.iter().any(|case| case.name == **name))
    {
        bail!("there is no case {unknown}");
    }
    let named = cases
        .into_iter()
        .filter(|case| names.is_empty() || names.contains(&case.name));
    let Some(part) = part else {
        return Ok(named.collect());
    };
    Ok(named
        .enumerate()
        .filter(|(index, _)| index % part.of == part.number - 1)
        .map(|(_, case)| case)
        .collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn scenarios() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios")
    }

    /// The corpus is what it promises: thirty cases and more, a third of them healthy, and
    /// each program says why it is there and what the right answer is.
    #[test]
    fn the_corpus_is_whole() {
        let cases = read(&scenarios().join("cases.toml")).unwrap();
        let healthy = cases
            .iter()
            .filter(|case| case.expected == [Kind::Healthy])
            .count();
        assert!(cases.len() >= 30, "{} cases", cases.len());
        assert!(healthy * 3 >= cases.len(), "{healthy} of {}", cases.len());
        for case in &cases {
            let text = fs::read_to_string(scenarios().join(&case.program)).unwrap();
            let header: String = text.lines().take(12).collect();
            for words in ["Why: ", "Right answer: "] {
                assert!(header.contains(words), "{}: no {words}", case.program);
            }
            assert!(case.seconds <= 60, "{}", case.name);
        }
    }

    /// What CI runs has every way in which memory grows, healthy programs too, and is short:
    /// two minutes and a half of windows, a third of them beside another.
    #[test]
    fn the_live_ones_are_few() {
        let cases = read(&scenarios().join("cases.toml")).unwrap();
        let live: Vec<_> = cases.iter().filter(|case| case.live).collect();
        let kinds: BTreeSet<Kind> = live.iter().map(|case| case.expected[0]).collect();
        assert!(kinds.len() >= 7, "{kinds:?}");
        assert!(kinds.contains(&Kind::Healthy) && kinds.contains(&Kind::JsHeap));
        let seconds: u32 = live.iter().map(|case| case.seconds).sum();
        assert!(seconds <= 190, "{seconds}");
        assert!(live.iter().all(|case| !case.needs.contains(&Need::Npm)));
    }

    /// The parts are all of the cases, each once.
    #[test]
    fn parts_are_the_whole() {
        let cases = read(&scenarios().join("cases.toml")).unwrap();
        let mut seen = BTreeSet::new();
        for number in 1..=3 {
            let part = format!("{number}/3").parse().unwrap();
            for case in choose(cases.clone(), &[], Some(part)).unwrap() {
                assert!(seen.insert(case.name));
            }
        }
        assert_eq!(seen.len(), cases.len());
        assert!("4/3".parse::<Part>().is_err());
        assert!("0/3".parse::<Part>().is_err());
    }
}
