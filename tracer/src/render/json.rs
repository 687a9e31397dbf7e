//! `report.json`: [`Report`] as JSON, and back. The schema is
//! `docs/report.schema.json`.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize as _};
use serde_json::ser::{Formatter, Serializer};

use crate::model::{Report, SCHEMA};

/// Why a text is no report that this memtrace can read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Written by a memtrace with a newer schema.
    #[error(
        "the report has schema {schema}, this memtrace reads up to {SCHEMA}: use a newer memtrace"
    )]
    Newer {
        /// What it says of itself.
        schema: u32,
    },
    /// Not JSON, or not the JSON of a report.
    #[error("this is no memtrace report, or it is damaged")]
    NotAReport(#[source] serde_json::Error),
}

/// Writes the report: a line for each field and for each element of its lists,
/// so that it can be looked into, yet is not mostly blanks (a node server has
/// 8,000 sites of 30 frames), with a newline at the end.
///
/// # Errors
/// Those of `to`.
pub fn write(report: &Report, mut to: impl Write) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(&mut to, Lines::default());
    report.serialize(&mut serializer)?;
    to.write_all(b"\n")
}

/// A line for each field of the outermost object, and for each element of its lists.
#[derive(Default)]
struct Lines {
    depth: usize,
    list_has_elements: bool,
}

const FIELD: usize = 1;
const ELEMENT: usize = 2;

impl Formatter for Lines {
    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.depth += 1;
        to.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.depth -= 1;
        to.write_all(if self.depth == 0 { b"\n}" } else { b"}" })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        to.write_all(match (self.depth, first) {
            (FIELD, true) => b"\n ",
            (FIELD, false) => b",\n ",
            (_, true) => b"",
            (_, false) => b",",
        })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(if self.depth == FIELD { b": " } else { b":" })
    }

    fn begin_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.depth += 1;
        if self.depth == ELEMENT {
            self.list_has_elements = false;
        }
        to.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.depth -= 1;
        let is_list = self.depth == FIELD && self.list_has_elements;
        to.write_all(if is_list { b"\n ]" } else { b"]" })
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.list_has_elements |= self.depth == ELEMENT;
        to.write_all(match (self.depth, first) {
            (ELEMENT, true) => b"\n  ",
            (ELEMENT, false) => b",\n  ",
            (_, true) => b"",
            (_, false) => b",",
        })
    }
}

/// Reads a report from its text.
///
/// # Errors
/// [`ReadError`]; a newer schema is told from damage even where the newer
/// report does not fit this schema's fields.
pub fn read(text: &[u8]) -> Result<Report, ReadError> {
    read_from(|| text)
}

/// Reads a report from a stream that can be opened twice: a second time to ask
/// what does not fit for its schema.
pub(crate) fn read_from<R: Read>(open: impl Fn() -> R) -> Result<Report, ReadError> {
    let read: Result<Report, _> = serde_json::from_reader(io::BufReader::new(open()));
    let schema = match &read {
        Ok(report) => report.schema,
        Err(misfit) if misfit.is_data() => schema_of(open()).unwrap_or(SCHEMA),
        Err(_) => SCHEMA,
    };
    if schema > SCHEMA {
        return Err(ReadError::Newer { schema });
    }
    read.map_err(ReadError::NotAReport)
}

fn schema_of(reader: impl Read) -> Option<u32> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u32,
    }
    let found: Schema = serde_json::from_reader(io::BufReader::new(reader)).ok()?;
    Some(found.schema)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
