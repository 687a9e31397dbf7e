//! Reports on disk: the recording, and the directory a trace writes.
//!
//! What the files contain is the renders' business; here is how they come to
//! stand where they should, whole and owned by the right user.

pub mod history;
pub mod output;
pub mod recording;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod small_disk;
mod table_cache;

pub use output::{OutputDir, OutputError, Owner, WriteErrors, default_name};
pub use recording::{RecordingError, read_recording};
pub use table_cache::TableCache;
