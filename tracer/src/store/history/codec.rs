//! Contents of frames: CBOR (RFC 8949), compressed with deflate (RFC 1951).

use std::io::{self, BufWriter, Read, Write as _};

use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Serialize, de::DeserializeOwned};

/// What unpacks to more is not read: a small file can unpack to anything.
const UNPACKED_MAX: u64 = 64 << 20;
/// Deeper nesting is nothing of ours.
const DEPTH_MAX: usize = 64;

/// # Errors
/// `FileTooLarge`: [`unpack`] would not read it.
pub fn pack(content: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut packer = DeflateEncoder::new(Vec::new(), Compression::fast());
    // serde writes word by word, the packer wants more at a time.
    let mut buffer = BufWriter::with_capacity(1 << 16, &mut packer);
    ciborium::into_writer(content, &mut buffer).map_err(io::Error::other)?;
    buffer.flush()?;
    drop(buffer);
    if packer.total_in() > UNPACKED_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    packer.finish()
}

/// `None`: damaged, or larger than what [`pack`] writes.
pub fn unpack<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    let mut bytes = Vec::new();
    let mut unpacked = DeflateDecoder::new(content).take(UNPACKED_MAX + 1);
    unpacked.read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > UNPACKED_MAX {
        return None;
    }
    ciborium::de::from_reader_with_recursion_limit(bytes.as_slice(), DEPTH_MAX).ok()
}
