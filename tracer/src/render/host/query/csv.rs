//! A row for each line of each interval, for spreadsheets: RFC 4180, bytes.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use crate::{
    model::{
        host::{Gauge, Interval, LineInterval},
        utc,
        verdict::PlaceName,
    },
    render::names::sanitize,
};

const PLACES: [(PlaceName, &str); 7] = [
    (PlaceName::AllocatorLive, "allocator_live"),
    (PlaceName::Retained, "retained"),
    (PlaceName::Pinned, "pinned"),
    (PlaceName::OtherAnonymous, "other_anonymous"),
    (PlaceName::Files, "files"),
    (PlaceName::Shared, "shared"),
    (PlaceName::Sockets, "sockets"),
];

/// The names of the columns.
///
/// # Errors
/// Those of `to`.
pub fn write_csv_heading(to: &mut impl Write) -> io::Result<()> {
    write!(
        to,
        "start,end,line,name,pid,group,resident_min,resident_max,resident_mean,resident_last"
    )?;
    for (_, name) in PLACES {
        write!(to, ",{name}_last")?;
    }
    write!(
        to,
        ",swapped_last,peak,connections_last,starts,ends,faulted,faulted_samples\r\n"
    )
}

/// The rows of an interval.
///
/// # Errors
/// Those of `to`.
pub fn write_csv(interval: &Interval, to: &mut impl Write) -> io::Result<()> {
    let (start, end) = (
        utc::rfc3339(interval.start_ms),
        utc::rfc3339(interval.end_ms),
    );
    for line in &interval.lines {
        write!(
            to,
            "{start},{end},{:016x},{}",
            line.line.0,
            text(&line.name)
        )?;
        write!(to, ",{},{}", line.pid, text(&line.group))?;
        write_figures(line, to)?;
    }
    Ok(())
}

fn write_figures(line: &LineInterval, to: &mut impl Write) -> io::Result<()> {
    // What was not looked at is empty, not 0.
    let known = |gauge: &Gauge, number: u64| match gauge.looks {
        0 => String::new(),
        _ => number.to_string(),
    };
    let resident = &line.resident;
    for number in [resident.min, resident.max, resident.mean(), resident.last] {
        write!(to, ",{}", known(resident, number))?;
    }
    for (place, _) in PLACES {
        let last = line.places.get(&place).map(|it| known(it, it.last));
        write!(to, ",{}", last.unwrap_or_default())?;
    }
    let faulted = line.faulted.iter();
    let (bytes, samples) = faulted.fold((0_u64, 0_u64), |sum, it| {
        (
            sum.0.saturating_add(it.bytes),
            sum.1.saturating_add(it.samples),
        )
    });
    write!(
        to,
        ",{},{},{},{},{},{bytes},{samples}\r\n",
        known(&line.swapped, line.swapped.last),
        line.peak_bytes,
        known(&line.connections, line.connections.last),
        line.starts,
        line.ends,
    )
}

/// A name as a cell: none is a formula, none ends its cell.
fn text(name: &str) -> Cow<'_, str> {
    let clean = sanitize(name);
    let is_formula = clean.starts_with(['=', '+', '-', '@', '\'']);
    if !is_formula && !clean.contains([',', '"']) {
        return clean;
    }
    let mark = if is_formula { "'" } else { "" };
    Cow::Owned(format!("\"{mark}{}\"", clean.replace('"', "\"\"")))
}
