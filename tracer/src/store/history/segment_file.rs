//! A segment that is being written.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use super::{
    directory::Directory,
    segment::{self, Encoded, Reader, START, Summary},
    stacks::Interner,
};
use crate::model::host::Interval;

/// See the module. Bytes behind [`Self::bytes`] are of a write that failed: the next one
/// goes over them.
#[derive(Debug)]
pub struct SegmentFile {
    file: File,
    bytes: u64,
    interner: Interner,
    /// Of what is in it.
    pub summary: Summary,
    /// When the first interval begins.
    pub first_ms: u64,
}

impl SegmentFile {
    /// A new one, without intervals.
    pub fn create(directory: &Directory, name: &str) -> io::Result<Self> {
        let file = directory.create_anew(name)?;
        if let Err(error) = file.write_all_at(&segment::start(), 0) {
            let _ = directory.remove(name);
            return Err(error);
        }
        Ok(Self {
            file,
            bytes: START as u64,
            interner: Interner::default(),
            summary: Summary::default(),
            first_ms: 0,
        })
    }

    /// Goes on with one whose writer was killed. The reader has come to the end.
    pub fn resume(file: File, reader: &Reader<Vec<u8>>) -> io::Result<Self> {
        let bytes = reader.whole() as u64;
        file.set_len(bytes)?;
        Ok(Self {
            file,
            bytes,
            interner: reader.interner(),
            summary: reader.summary,
            first_ms: reader.summary.start_ms,
        })
    }

    /// Its length.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The interval as it would be written here.
    pub fn encode(&self, interval: &Interval, aged_ms: u64) -> io::Result<Encoded> {
        segment::encode(&self.interner, interval, aged_ms)
    }

    /// Writes it, whole or not at all.
    pub fn write(&mut self, encoded: Encoded) -> io::Result<()> {
        self.put(&encoded.bytes)?;
        if self.summary.intervals == 0 {
            self.first_ms = encoded.header.start_ms;
        }
        self.summary.add(&encoded.header);
        self.interner.commit(encoded.new);
        Ok(())
    }

    /// Completes it, on disk even after a power cut.
    pub fn end(&mut self) -> io::Result<()> {
        self.put(&self.summary.to_end())?;
        self.file.sync_data()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(bytes, self.bytes) {
            // Else the next write, or the next start, takes it away.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}
