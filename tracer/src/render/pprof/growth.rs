//! Who made the programs of a host larger: sampled page faults of some intervals as a
//! profile.
//!
//! A sample a program and stack, with `faulted_space` (bytes, estimated; what was given back is
//! not taken off) and `fault_samples` (what the estimate is made from). Labels: `program`,
//! `group`, `line` and `pid`, the last that the line had.

use std::{collections::HashMap, io};

use super::{
    message::{Label, Profile, Sample},
    stack,
    tables::Tables,
    value_type,
};
use crate::{
    model::{
        Frame,
        host::{Interval, LineId, LineInterval},
    },
    render::names,
};

const SAMPLE_TYPES: [(&str, &str); 2] = [("faulted_space", "bytes"), ("fault_samples", "count")];

/// Kinds of losses that are told one by one.
const LOSSES_MAX: usize = 50;

/// The page faults of all programs, or of one, in these intervals, oldest first; the
/// largest sample first.
///
/// # Errors
/// `InvalidData` for figures that add up to 2^63 and more, which the format cannot hold.
pub fn profile(intervals: &[Interval], only: Option<LineId>) -> io::Result<Profile> {
    let mut stacks: HashMap<(LineId, &[Frame]), Faults<'_>> = HashMap::new();
    let mut total = [0_u64; 2];
    for interval in intervals {
        let lines = interval.lines.iter();
        for line in lines.filter(|line| only.is_none_or(|only| only == line.line)) {
            for faulted in &line.faulted {
                let frames = interval.stacks.get(&faulted.stack);
                let frames = frames.map_or(&[][..], Vec::as_slice);
                let faults = stacks.entry((line.line, frames)).or_default();
                faults.line = Some(line);
                for ((sum, total), value) in (faults.values.iter_mut())
                    .zip(&mut total)
                    .zip([faulted.bytes, faulted.samples])
                {
                    *sum = sum.saturating_add(value);
                    *total = total.saturating_add(value);
                }
            }
        }
    }
    if total.iter().any(|sum| i64::try_from(*sum).is_err()) {
        let problem = "page faults add up to more than there can be: damaged history";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let mut stacks: Vec<_> = stacks.into_iter().collect();
    // The same intervals give the same bytes.
    stacks.sort_by(|(a_key, a), (b_key, b)| {
        let place = |key: &(LineId, &[Frame])| (key.0, key.1.first().map(|it| it.offset));
        (b.values.cmp(&a.values)).then_with(|| place(a_key).cmp(&place(b_key)))
    });
    let mut tables = Tables::new();
    let sample_type = SAMPLE_TYPES
        .map(|kind| value_type(&mut tables, kind))
        .to_vec();
    let sample = (stacks.iter())
        .map(|((_, frames), faults)| Sample {
            location_id: stack(frames, &mut tables),
            // Checked before.
            value: faults.values.map(|value| value as i64).to_vec(),
            label: faults
                .line
                .map(|line| labels(line, &mut tables))
                .unwrap_or_default(),
        })
        .collect();
    let comments = comments(intervals);
    let comment = comments.iter().map(|text| tables.text(text)).collect();
    let from = intervals.iter().map(|it| it.start_ms).min().unwrap_or(0);
    let to = intervals.iter().map(|it| it.end_ms).max().unwrap_or(0);
    Ok(Profile {
        sample_type,
        sample,
        comment,
        period_type: Some(value_type(&mut tables, ("space", "bytes"))),
        // Faults are sampled at changing rates.
        period: 0,
        default_sample_type: tables.text("faulted_space"),
        time_nanos: nanos(from),
        duration_nanos: nanos(to.saturating_sub(from)),
        mapping: tables.mappings,
        location: tables.locations,
        function: tables.functions,
        string_table: tables.texts,
    })
}

/// What is known of one program's stack.
#[derive(Default)]
struct Faults<'a> {
    /// The last interval's.
    line: Option<&'a LineInterval>,
    /// In the order of [`SAMPLE_TYPES`].
    values: [u64; 2],
}

fn labels(line: &LineInterval, tables: &mut Tables<'_>) -> Vec<Label> {
    let mut label = |key: &str, text: &str, num: i64| Label {
        key: tables.text(key),
        str: tables.text(text),
        num,
    };
    vec![
        label("program", &names::sanitize(&line.name), 0),
        label("group", &names::sanitize(&line.group), 0),
        label("line", &format!("{:016x}", line.line.0), 0),
        label("pid", "", line.pid.into()),
    ]
}

fn comments(intervals: &[Interval]) -> Vec<String> {
    let mut comments = vec![
        format!(
            "memtrace {}: page faults of {} intervals",
            env!("CARGO_PKG_VERSION"),
            intervals.len()
        ),
        "faulted_space: memory that processes came to have at a stack, estimated from sampled \
         page faults; what they gave back is not taken off."
            .to_owned(),
    ];
    let mut losses: HashMap<&str, u64> = HashMap::new();
    for (what, count) in intervals.iter().flat_map(|it| &it.losses) {
        let sum = losses.entry(what).or_default();
        *sum = sum.saturating_add(*count);
    }
    let mut losses: Vec<_> = losses.into_iter().collect();
    losses.sort();
    let told = losses.iter().take(LOSSES_MAX);
    comments.extend(told.map(|(what, count)| format!("LOST: {}: {count}", names::sanitize(what))));
    if let Some(more @ 1..) = losses.len().checked_sub(LOSSES_MAX) {
        comments.push(format!("LOST: {more} more kinds"));
    }
    comments
}

fn nanos(ms: u64) -> i64 {
    i64::try_from(ms.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
