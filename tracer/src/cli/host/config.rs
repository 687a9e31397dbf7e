//! `--config FILE`: the options of `memtrace host` in TOML, under the same names.
//!
//! The file becomes arguments that stand before those of the command line, so that every option
//! can be in it, is checked in one place, and the command line goes before it.

use std::{ffi::OsString, fs::File, io::Read as _, path::Path};

use anyhow::Context as _;
use clap::Parser as _;

use super::super::arguments::{Arguments, Command, Host};

/// A larger file is not read.
const BYTES: u64 = 1 << 20;

/// The arguments with those of the file that they name, if they name one.
pub fn with_file(arguments: Host) -> anyhow::Result<Host> {
    match &arguments.watch.config {
        Some(path) => merged(path, std::env::args_os().collect()),
        None => Ok(arguments),
    }
}

/// The same, read again.
pub fn again() -> anyhow::Result<Host> {
    let given: Vec<OsString> = std::env::args_os().collect();
    with_file(parse(&given)?)
}

fn merged(path: &Path, given: Vec<OsString>) -> anyhow::Result<Host> {
    let mut text = String::new();
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    file.take(BYTES)
        .read_to_string(&mut text)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let options = options(&text).with_context(|| format!("{}", path.display()))?;
    // `memtrace host`, the file's, the command line's.
    let mut all: Vec<OsString> = given.iter().take(2).cloned().collect();
    all.extend(options.into_iter().map(OsString::from));
    all.extend(given.into_iter().skip(2));
    parse(&all).with_context(|| format!("{}", path.display()))
}

fn parse(arguments: &[OsString]) -> anyhow::Result<Host> {
    match Arguments::try_parse_from(arguments)?.command {
        Some(Command::Host(host)) => Ok(*host),
        _ => anyhow::bail!("these are no arguments of memtrace host"),
    }
}

/// `every = "10s"` becomes `--every=10s`, `no-looks = true` `--no-looks`.
fn options(text: &str) -> anyhow::Result<Vec<String>> {
    let table: toml::Table = text.parse()?;
    let mut options = Vec::new();
    for (name, value) in &table {
        anyhow::ensure!(name != "config", "a configuration names no other: {name}");
        match value {
            toml::Value::Boolean(true) => options.push(format!("--{name}")),
            toml::Value::Boolean(false) => {}
            toml::Value::Array(values) => {
                for value in values {
                    options.push(format!("--{name}={}", scalar(name, value)?));
                }
            }
            value => options.push(format!("--{name}={}", scalar(name, value)?)),
        }
    }
    Ok(options)
}

fn scalar(name: &str, value: &toml::Value) -> anyhow::Result<String> {
    Ok(match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::Float(number) => number.to_string(),
        _ => anyhow::bail!("{name} is neither a text nor a number"),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::{io::Write as _, time::Duration};

    use super::*;

    fn of(text: &str, given: &[&str]) -> anyhow::Result<Host> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let given = ["memtrace", "host"].iter().chain(given);
        merged(file.path(), given.map(OsString::from).collect())
    }

    /// The file's options hold, the command line goes before them, and the rest keeps its
    /// default.
    #[test]
    fn the_command_line_goes_before_the_file() {
        let text = "every = \"30s\"\nbudget = 2\nno-looks = true\nmin-rss = \"16MiB\"\n";
        let host = of(text, &["--budget", "5%"]).unwrap();
        assert_eq!(host.watch.every, Duration::from_secs(30));
        assert!((host.watch.budget - 0.05).abs() < 1e-9);
        assert!(host.watch.no_looks);
        assert_eq!(host.watch.min_rss, 16 << 20);
        assert_eq!(host.watch.history_bytes, 1 << 30);
    }

    /// What is no option, no value of one, or no TOML is refused and says why.
    #[test]
    fn nonsense_is_refused() {
        for (text, word) in [
            ("evry = \"30s\"", "--evry"),
            ("every = \"1 fortnight\"", "--every"),
            ("every =", "TOML"),
            ("config = \"/x\"", "config"),
            ("every = { a = 1 }", "every"),
        ] {
            let error = format!("{:#}", of(text, &[]).unwrap_err());
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}
