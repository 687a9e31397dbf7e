//! What is watched, and how closely.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use super::super::values::{duration, size};

#[derive(Args, Debug)]
pub struct Watch {
    /// Time between looks at all processes. Those that move fast are looked at ten times as
    /// often.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = every)]
    pub every: Duration,
    /// What closer looks may take of one processor, percent, on average over an hour; a
    /// tenth of it looks at sockets may take besides.
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = budget)]
    pub budget: f64,
    /// Never look closer at what grows: no process is traced.
    #[arg(long)]
    pub no_looks: bool,
    /// Look closer only at programs of this name, such as `node`; may be repeated. Without it
    /// at any that grows.
    #[arg(long, value_name = "NAME")]
    pub looks_at: Vec<String>,
    /// Length of the first closer look at a process; where it says "not enough data" the next
    /// is twice as long.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = look_for)]
    pub look_for: Duration,
    /// Processes with less resident are counted together.
    #[arg(long, value_name = "SIZE", default_value = "8MiB", value_parser = size)]
    pub min_rss: u64,
    /// Where the history is kept; made if missing, for root alone.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/memtrace")]
    pub directory: PathBuf,
    /// Most that the history takes on disk, recordings of closer looks included.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = size)]
    pub history_bytes: u64,
    /// What is older goes.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = age)]
    pub history_age: Duration,
    /// Read these options from a TOML file too: the same names without the dashes, such as
    /// `every = "10s"`. What stands on the command line goes before it. SIGHUP reads it
    /// again.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say the present as JSON on standard output after each look, a line each. For scripts
    /// and tests.
    #[arg(long, hide = true)]
    pub say: bool,
}

/// Percent of one processor, as a part of it.
fn budget(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim().parse::<f64>() {
        Ok(percent) if (0.01..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("a percentage of one processor, 0.01 to 100".to_owned()),
    }
}

fn every(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    let is_allowed = (Duration::from_millis(500)..=Duration::from_secs(600)).contains(&every);
    match is_allowed {
        true => Ok(every),
        false => Err("0.5 s to 10 min".to_owned()),
    }
}

fn look_for(text: &str) -> Result<Duration, String> {
    let window = duration(text)?;
    let is_allowed = (Duration::from_secs(5)..=Duration::from_secs(960)).contains(&window);
    match is_allowed {
        true => Ok(window),
        false => Err("5 s to 16 min".to_owned()),
    }
}

/// A time, with days too.
fn age(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').map(str::parse::<u32>);
    match days {
        Some(Ok(days @ 1..=3650)) => Ok(Duration::from_secs(u64::from(days) * 86_400)),
        Some(_) => Err("1d to 3650d, or a time such as 12h".to_owned()),
        None => duration(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values are read as documented, and what makes no sense is refused.
    #[test]
    fn values_are_validated() {
        assert_eq!(budget("1%"), Ok(0.01));
        assert_eq!(budget("0.5"), Ok(0.005));
        assert_eq!(age("30d"), Ok(Duration::from_secs(2_592_000)));
        assert_eq!(age("12h"), Ok(Duration::from_secs(43_200)));
        assert_eq!(every("10s"), Ok(Duration::from_secs(10)));
        for nonsense in ["0", "101", "NaN", "-1", "%"] {
            assert!(budget(nonsense).is_err(), "{nonsense}");
        }
        for nonsense in ["0d", "4000d", "d", "-1d"] {
            assert!(age(nonsense).is_err(), "{nonsense}");
        }
        assert!(every("0.1s").is_err() && every("1h").is_err() && look_for("1s").is_err());
    }
}
