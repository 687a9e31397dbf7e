//! `profile.pb.gz`: what sites hold and allocated as a pprof profile, for `go tool
//! pprof`, speedscope and the backends that take it.
//!
//! A sample a site, with the four values of a heap profile: `inuse_objects`,
//! `inuse_space`, `alloc_objects`, `alloc_space`; their sums are the report's totals.
//! Labels: `process` and `pid`, `source` (the allocator's function), `pool` where a pool
//! above the allocator grew. Functions that were put into others are lines of one
//! location. The comments tell what was lost, and that sampled figures are estimates.
//! The messages are written down in [`message`] and encoded by prost.

use std::{
    collections::HashMap,
    io::{self, Write},
};

use flate2::{Compression, GzBuilder};
use prost::Message as _;

mod comments;
pub mod growth;
pub mod message;
mod tables;

use message::{Label, Profile, Sample, ValueType};
use tables::Tables;

use super::names;
use crate::model::{Frame, Level, Process, Report, Site, utc};

/// Deeper stacks lose their outermost frames, as in folded stacks.
const FRAMES_MAX: usize = 1000;

/// What readers of protocol buffers take, and prost counts lengths in.
const SIZE_MAX: usize = i32::MAX as usize;

const SAMPLE_TYPES: [(&str, &str); 4] = [
    ("inuse_objects", "count"),
    ("inuse_space", "bytes"),
    ("alloc_objects", "count"),
    ("alloc_space", "bytes"),
];

const DEFAULT_SAMPLE_TYPE: &str = "inuse_space";

/// Writes the profile, compressed with gzip. The same report gives the same bytes.
///
/// # Errors
/// Those of `to`; `InvalidData` for a damaged report whose figures add up to 2^63 and
/// more, which the format cannot hold; `FileTooLarge` for a profile of 2 GiB and more.
pub fn write(report: &Report, to: impl Write) -> io::Result<()> {
    pack(&profile(report)?, to)
}

/// Writes a profile that was made here, compressed with gzip.
///
/// # Errors
/// Those of `to`; `FileTooLarge` for a profile of 2 GiB and more.
pub fn pack(profile: &Profile, to: impl Write) -> io::Result<()> {
    if profile.encoded_len() > SIZE_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    // Without a name or a time of its own.
    let mut packer = GzBuilder::new().write(to, Compression::default());
    packer.write_all(&profile.encode_to_vec())?;
    packer.finish()?.flush()
}

/// The profile as its messages.
///
/// # Errors
/// `InvalidData`, as of [`write`].
pub fn profile(report: &Report) -> io::Result<Profile> {
    check_sums(report)?;
    let mut tables = Tables::new();
    let main = report.processes.first().map(|it| it.executable.as_str());
    let frames = || report.sites.iter().flat_map(|site| &site.frames);
    if let Some(frame) = frames().find(|frame| Some(frame.module.as_str()) == main) {
        tables.lead_with(frame);
    }
    let sample_type = SAMPLE_TYPES
        .map(|kind| value_type(&mut tables, kind))
        .to_vec();
    let processes: HashMap<u32, &Process> = report.processes.iter().map(|it| (it.id, it)).collect();
    let sample = (report.sites.iter())
        .map(|site| sample(site, processes.get(&site.process).copied(), &mut tables))
        .collect();
    let comments = comments::comments(report);
    let comment = comments.iter().map(|text| tables.text(text)).collect();
    let window = &report.window;
    let length = window
        .end_monotonic_ns
        .saturating_sub(window.start_monotonic_ns);
    Ok(Profile {
        sample_type,
        sample,
        comment,
        period_type: Some(value_type(&mut tables, ("space", "bytes"))),
        // Of a sample there is no such number: it is taken by blocks, at changing rates.
        period: i64::from(report.level == Level::Exact),
        default_sample_type: tables.text(DEFAULT_SAMPLE_TYPE),
        time_nanos: utc::nanos(&window.start_utc).unwrap_or_default(),
        duration_nanos: i64::try_from(length).unwrap_or_default(),
        mapping: tables.mappings,
        location: tables.locations,
        function: tables.functions,
        string_table: tables.texts,
    })
}

/// The values of a site in the order of [`SAMPLE_TYPES`].
fn values(site: &Site) -> [u64; SAMPLE_TYPES.len()] {
    let counts = &site.counts;
    [
        counts.live_blocks,
        counts.live_bytes,
        counts.allocated_blocks,
        counts.allocated_bytes,
    ]
}

/// The format's numbers have 63 bits, and so must have what readers add up.
fn check_sums(report: &Report) -> io::Result<()> {
    let mut sums = [0_u64; SAMPLE_TYPES.len()];
    for site in &report.sites {
        for (sum, value) in sums.iter_mut().zip(values(site)) {
            *sum = sum.saturating_add(value);
        }
    }
    if sums.iter().all(|sum| i64::try_from(*sum).is_ok()) {
        return Ok(());
    }
    let problem = "the sites' figures add up to more than there can be: damaged report";
    Err(io::Error::new(io::ErrorKind::InvalidData, problem))
}

fn value_type(tables: &mut Tables<'_>, (kind, unit): (&str, &str)) -> ValueType {
    ValueType {
        r#type: tables.text(kind),
        unit: tables.text(unit),
    }
}

fn sample<'a>(site: &'a Site, process: Option<&Process>, tables: &mut Tables<'a>) -> Sample {
    Sample {
        location_id: stack(&site.frames, tables),
        // Checked before.
        value: values(site).map(|value| value as i64).to_vec(),
        label: labels(site, process, tables),
    }
}

fn stack<'a>(frames: &'a [Frame], tables: &mut Tables<'a>) -> Vec<u64> {
    if frames.is_empty() {
        return vec![tables.named_location(names::STACK_LOST)];
    }
    let (kept, cut) = frames.split_at(frames.len().min(FRAMES_MAX));
    let places = kept.chunk_by(are_one_place);
    let mut stack: Vec<u64> = places.map(|frames| tables.location(frames)).collect();
    if !cut.is_empty() {
        stack.push(tables.named_location(&format!("[{} more frames]", cut.len())));
    }
    stack
}

/// Whether the compiler put the inner function into the outer one.
fn are_one_place(inner: &Frame, outer: &Frame) -> bool {
    inner.inlined
        && inner.offset == outer.offset
        && inner.module == outer.module
        && inner.build_id == outer.build_id
}

fn labels(site: &Site, process: Option<&Process>, tables: &mut Tables<'_>) -> Vec<Label> {
    let mut labels = Vec::new();
    let mut add = |key: &str, text: &str| {
        labels.push(Label {
            key: tables.text(key),
            str: tables.text(text),
            num: 0,
        });
    };
    add("source", site.source.name());
    if let Some(pool) = &site.pool {
        add("pool", &names::sanitize(pool));
    }
    if let Some(process) = process {
        add("process", &names::program(process));
        labels.push(Label {
            key: tables.text("pid"),
            str: 0,
            num: process.pid.into(),
        });
    }
    labels
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
