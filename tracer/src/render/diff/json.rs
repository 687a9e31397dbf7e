//! `diff.json`: the difference for programs. Its schema is `docs/diff.schema.json`.

use std::io::{self, Write};

use serde::Serialize;

use super::{changed, group, sentences, whose};
use crate::analyze::diff::{Account, Change, Difference, Pace, Row};
use crate::model::{
    Frame, Level, Report, Source,
    growth::BYTES_MAX,
    verdict::{Confidence, Kind, Verdict, VerdictStack},
    wide,
};

/// The schema this memtrace writes.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    tool_version: &'static str,
    before: Recording<'a>,
    after: Recording<'a>,
    /// Sentences.
    caveats: Vec<String>,
    verdicts: Vec<VerdictOn<'a>>,
    per_second_of: Option<PerSecond>,
    live: Total,
    mapped: Option<Total>,
    /// Those that differ.
    sites: Vec<Site<'a>>,
}

#[derive(Serialize)]
struct VerdictOn<'a> {
    kind: Kind,
    process: String,
    confidence: Confidence,
    bytes: u64,
    bytes_per_second: f64,
    summary: &'a str,
    evidence: &'a [String],
    would_change: &'a [String],
    advice: &'a [String],
    stacks: &'a [VerdictStack],
}

#[derive(Serialize)]
struct Recording<'a> {
    start_utc: &'a str,
    seconds: f64,
    from_start: bool,
    level: Level,
    #[serde(with = "wide")]
    lost_calls: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum PerSecond {
    Distance { seconds: f64 },
    Windows { before: f64, after: f64 },
}

#[derive(Serialize)]
struct Total {
    #[serde(flatten)]
    figures: Figures,
    sites_that_differ: usize,
    sites_that_do_not: usize,
}

#[derive(Serialize)]
struct Figures {
    #[serde(with = "wide")]
    before_bytes: u64,
    #[serde(with = "wide")]
    after_bytes: u64,
    #[serde(serialize_with = "signed")]
    difference_bytes: i64,
    #[serde(with = "wide")]
    before_blocks: u64,
    #[serde(with = "wide")]
    after_blocks: u64,
    bytes_per_second: Option<f64>,
}

#[derive(Serialize)]
struct Site<'a> {
    place: &'static str,
    site_id: &'a str,
    process: String,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    pool: Option<&'a str>,
    #[serde(flatten)]
    figures: Figures,
    frames: &'a [Frame],
}

/// As [`wide`], below 0 too.
fn signed<S: serde::Serializer>(value: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.unsigned_abs() <= wide::MAX_SAFE_INTEGER {
        serializer.serialize_i64(*value)
    } else {
        serializer.collect_str(value)
    }
}

/// Writes the difference, a newline at its end.
///
/// # Errors
/// Those of `to`.
pub fn write(difference: &Difference<'_>, mut to: impl Write) -> io::Result<()> {
    let mapped = difference.mapped.as_ref();
    let live_sites = changed(&difference.live).map(|row| site(difference, row, "live"));
    let mapped_rows = mapped.into_iter().flat_map(changed);
    let mapped_sites = mapped_rows.map(|row| site(difference, row, "mapped"));
    let document = Document {
        schema: SCHEMA,
        tool_version: env!("CARGO_PKG_VERSION"),
        before: recording(difference.before),
        after: recording(difference.after),
        caveats: sentences(difference),
        verdicts: difference
            .verdicts
            .iter()
            .map(|it| verdict(difference, it))
            .collect(),
        per_second_of: match difference.pace {
            Pace::Distance(seconds) => Some(PerSecond::Distance { seconds }),
            Pace::Windows { before, after } => Some(PerSecond::Windows { before, after }),
            Pace::Unknown => None,
        },
        live: total(difference, &difference.live),
        mapped: mapped.map(|account| total(difference, account)),
        sites: live_sites.chain(mapped_sites).collect(),
    };
    serde_json::to_writer_pretty(&mut to, &document)?;
    to.write_all(b"\n")
}

fn verdict<'a>(difference: &Difference<'_>, verdict: &'a Verdict) -> VerdictOn<'a> {
    let group = usize::try_from(verdict.process).ok();
    let group = group.and_then(|it| difference.groups.get(it));
    VerdictOn {
        kind: verdict.kind,
        process: group.map(whose).unwrap_or_default(),
        confidence: verdict.confidence,
        bytes: verdict.bytes.min(BYTES_MAX),
        bytes_per_second: verdict.bytes_per_second,
        summary: &verdict.summary,
        evidence: &verdict.evidence,
        would_change: &verdict.would_change,
        advice: &verdict.advice,
        stacks: &verdict.stacks,
    }
}

fn recording(report: &Report) -> Recording<'_> {
    let calls = report.loss.iter().map(|loss| loss.calls);
    Recording {
        start_utc: &report.window.start_utc,
        seconds: report.window.seconds,
        from_start: report.window.from_start,
        level: report.level,
        lost_calls: calls.fold(0, u64::saturating_add),
    }
}

fn total(difference: &Difference<'_>, account: &Account<'_>) -> Total {
    let differ = changed(account).count();
    Total {
        figures: figures(difference, &account.total),
        sites_that_differ: differ,
        sites_that_do_not: account.rows.len().saturating_sub(differ),
    }
}

fn figures(difference: &Difference<'_>, change: &Change) -> Figures {
    Figures {
        before_bytes: change.before.bytes,
        after_bytes: change.after.bytes,
        difference_bytes: change.bytes(),
        before_blocks: change.before.blocks,
        after_blocks: change.after.blocks,
        bytes_per_second: difference.pace.bytes_per_second(change),
    }
}

fn site<'a>(difference: &Difference<'_>, row: &Row<'a>, place: &'static str) -> Site<'a> {
    Site {
        place,
        site_id: row.site_id,
        process: group(difference, row).map(whose).unwrap_or_default(),
        source: row.source,
        pool: row.pool,
        figures: figures(difference, &row.change),
        frames: row.frames,
    }
}
