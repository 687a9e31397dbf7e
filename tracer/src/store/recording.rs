//! `recording.memtrace`: a report in one small file, from which every output
//! can be made again on any machine.
//!
//! An envelope of 24 bytes, the same in every version, integers little-endian:
//!
//! | bytes | content |
//! | --- | --- |
//! | 0–7 | magic: `\x89MTR\r\n\x1a\n`, which a transfer as text damages |
//! | 8–11 | version of what follows the envelope |
//! | 12–19 | its length in bytes |
//! | 20–23 | CRC-32 of bytes 8–19 and of what follows |
//!
//! In version 1 the report's JSON follows, compressed with deflate (RFC 1951).

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::model::Report;
use crate::render::json;

const MAGIC: [u8; 8] = *b"\x89MTR\r\n\x1a\n";
const VERSION: u32 = 1;
const ENVELOPE: usize = 24;

/// Larger files are not read.
const COMPRESSED_MAX: u64 = 1 << 30;

/// What unpacks to more is not read: a small file can unpack to anything.
const UNPACKED_MAX: u64 = 4 << 30;

/// Why a recording could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordingError {
    /// The file could not be opened or read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// As the user gave it.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The path leads to a directory, a pipe, a device.
    #[error("{} is not a file; give the recording.memtrace that a trace wrote", .0.display())]
    NotAFile(PathBuf),
    /// The bytes do not begin like a recording.
    #[error("this is not a memtrace recording; give the recording.memtrace that a trace wrote")]
    NotARecording,
    /// Written by a newer memtrace.
    #[error("the recording was written by a newer memtrace; use that version to read it")]
    Newer,
    /// Bytes are missing.
    #[error(
        "the recording is cut short: {found} bytes of {expected}; \
         copy it again, or trace again if this is the original"
    )]
    Truncated {
        /// Bytes that are there.
        found: u64,
        /// Bytes that were written.
        expected: u64,
    },
    /// Bytes were changed.
    #[error("the recording is damaged; copy it again in binary mode, or trace again")]
    Corrupt(#[source] Option<json::ReadError>),
    /// Beyond what this memtrace is ready to read.
    #[error("the recording is too large: more than {limit} bytes {what}; trace again for shorter")]
    TooLarge {
        /// The limit that was exceeded.
        limit: u64,
        /// Which of the two sizes.
        what: &'static str,
    },
}

/// Writes the report as a recording.
///
/// # Errors
/// Those of `to`; `FileTooLarge` for one that [`read`] would refuse.
pub fn write(report: &Report, mut to: impl Write) -> io::Result<()> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    // serde writes word by word, the packer wants more at a time.
    let mut buffer = BufWriter::with_capacity(1 << 16, &mut packer);
    serde_json::to_writer(&mut buffer, report)?;
    buffer.flush()?;
    drop(buffer);
    if packer.total_in() > UNPACKED_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let content = packer.finish()?;
    if (ENVELOPE + content.len()) as u64 > COMPRESSED_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    to.write_all(&envelope(VERSION, &content))?;
    to.write_all(&content)
}

fn envelope(version: u32, content: &[u8]) -> Bytes {
    let mut envelope = BytesMut::with_capacity(ENVELOPE);
    envelope.put_slice(&MAGIC);
    envelope.put_u32_le(version);
    envelope.put_u64_le(content.len() as u64);
    let checksum = checksum(&envelope[MAGIC.len()..], content);
    envelope.put_u32_le(checksum);
    envelope.freeze()
}

fn checksum(head: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(content);
    hasher.finalize()
}

/// Reads a recording from its bytes. Whatever they are, it ends in a report or
/// an error, within the limits on size.
///
/// # Errors
/// [`RecordingError`].
pub fn read(recording: &[u8]) -> Result<Report, RecordingError> {
    let (version, content) = open_envelope(recording)?;
    if version > VERSION {
        return Err(RecordingError::Newer);
    }
    if version < VERSION {
        return Err(RecordingError::Corrupt(None));
    }
    unpack(content, UNPACKED_MAX)
}

/// Version and content, once their checksum is right.
fn open_envelope(recording: &[u8]) -> Result<(u32, &[u8]), RecordingError> {
    let size = recording.len() as u64;
    if size > COMPRESSED_MAX {
        return Err(RecordingError::TooLarge {
            limit: COMPRESSED_MAX,
            what: "on disk",
        });
    }
    let magic = recording.len().min(MAGIC.len());
    if recording.is_empty() || recording[..magic] != MAGIC[..magic] {
        return Err(RecordingError::NotARecording);
    }
    let Some((envelope, content)) = recording.split_at_checked(ENVELOPE) else {
        return Err(RecordingError::Truncated {
            found: size,
            expected: ENVELOPE as u64,
        });
    };
    let head = &envelope[MAGIC.len()..ENVELOPE - 4];
    let mut fields = &envelope[MAGIC.len()..];
    let version = fields.get_u32_le();
    let length = fields.get_u64_le();
    let expected = fields.get_u32_le();
    if (content.len() as u64) < length {
        let expected = length.saturating_add(ENVELOPE as u64);
        return Err(RecordingError::Truncated {
            found: size,
            expected,
        });
    }
    if content.len() as u64 > length || checksum(head, content) != expected {
        return Err(RecordingError::Corrupt(None));
    }
    Ok((version, content))
}

fn unpack(content: &[u8], limit: u64) -> Result<Report, RecordingError> {
    let unpacked = || Bounded {
        inner: DeflateDecoder::new(content),
        left: limit,
    };
    json::read_from(unpacked).map_err(|error| match error {
        json::ReadError::Newer { .. } => RecordingError::Newer,
        json::ReadError::NotAReport(cause)
            if cause.io_error_kind() == Some(io::ErrorKind::FileTooLarge) =>
        {
            RecordingError::TooLarge {
                limit,
                what: "unpacked",
            }
        }
        damage @ json::ReadError::NotAReport(_) => RecordingError::Corrupt(Some(damage)),
    })
}

/// Fails where [`Read::take`] would feign an end: a report cut at the limit
/// must not pass for damaged, nor a longer one for whole.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}

/// Reads the recording at `path`, which can be anything: a pipe is refused,
/// not waited for.
///
/// # Errors
/// [`RecordingError`].
pub fn read_recording(path: &Path) -> Result<Report, RecordingError> {
    let unreadable = |source| RecordingError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(RecordingError::NotAFile(path.to_owned()));
    }
    let mut recording = Vec::new();
    file.take(COMPRESSED_MAX + 1)
        .read_to_end(&mut recording)
        .map_err(unreadable)?;
    read(&recording)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
