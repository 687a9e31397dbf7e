//! The processes there are.

use std::{fs, io};

/// Their ids, in the order of `/proc`, which is theirs. One may end any time.
///
/// # Errors
/// `/proc` cannot be read.
pub fn processes() -> io::Result<impl Iterator<Item = u32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
}
