//! What to read of the history.

use std::{path::PathBuf, time::Duration};

use clap::Args;

use crate::{cli::arguments::values::duration, model::utc};

#[derive(Args, Debug)]
pub struct Query {
    /// From when: 2h ago, 30m, 1d, or a time such as 2026-11-22T09:35:00Z.
    #[arg(long, value_name = "WHEN", default_value = "1h", value_parser = when)]
    pub since: When,
    /// Until when, in the same form. Without it: until now.
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<When>,
    /// Only this program, by name or process id.
    #[arg(long, value_name = "NAME|PID")]
    pub process: Option<String>,
    /// Only programs of which this is a part of the cgroup's path.
    #[arg(long, value_name = "PART")]
    pub group: Option<String>,
    /// What to print.
    #[arg(short, long, value_enum, default_value_t)]
    pub format: QueryFormat,
    /// How many programs the table shows.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// The file to write. Without it: standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Where the history is.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/memtrace")]
    pub directory: PathBuf,
}

/// `memtrace host query --format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum QueryFormat {
    /// What grew most first, in whose code, and what happened.
    #[default]
    Table,
    /// Every interval as it is kept, one a line.
    Json,
    /// A row for each program of each interval, in bytes.
    Csv,
    /// Stacks that memory came in at by page faults, in bytes, as flame graph tools read them.
    Folded,
    /// Their flame graph.
    Svg,
}

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long before now.
    Ago(Duration),
    /// Unix ms.
    At(u64),
}

impl When {
    /// Unix ms.
    pub fn ms(self, now_ms: u64) -> u64 {
        match self {
            Self::Ago(long) => {
                now_ms.saturating_sub(u64::try_from(long.as_millis()).unwrap_or(u64::MAX))
            }
            Self::At(ms) => ms,
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    let expected = || "a time before now such as 30m, 2h or 7d, or 2026-11-22T09:35:00Z (UTC)";
    if text.contains('T') {
        let nanos = utc::nanos(text).ok_or_else(expected)?;
        let ms = u64::try_from(nanos / 1_000_000).map_err(|_| expected())?;
        return Ok(When::At(ms));
    }
    let ago = match text.strip_suffix('d') {
        Some(days) => {
            let days: f64 = days.parse().map_err(|_| expected())?;
            let is_possible = (0.0..=36_500.0).contains(&days);
            is_possible.then(|| Duration::from_secs_f64(days * 86_400.0))
        }
        None => duration(text).ok(),
    };
    Ok(When::Ago(ago.ok_or_else(expected)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of time and moments are read as documented, and nonsense is refused.
    #[test]
    fn reads_moments() {
        let hour = Duration::from_secs(3600);
        assert_eq!(when("2h"), Ok(When::Ago(hour * 2)));
        assert_eq!(when("30m"), Ok(When::Ago(hour / 2)));
        assert_eq!(when("1.5d"), Ok(When::Ago(hour * 36)));
        assert_eq!(
            when("2026-11-18T11:00:00Z"),
            Ok(When::At(1_794_999_600_000))
        );
        for nonsense in [
            "",
            "d",
            "-1d",
            "NaNd",
            "1e9d",
            "yesterday",
            "2026-11-18T11:00:00",
            "1969-01-01T00:00:00Z",
        ] {
            assert!(when(nonsense).is_err(), "{nonsense}");
        }
        assert_eq!(When::Ago(hour).ms(3_600_001), 1);
        assert_eq!(When::Ago(hour).ms(0), 0);
    }
}
