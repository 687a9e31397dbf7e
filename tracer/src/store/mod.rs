//! Reports on disk: the recording, and the directory a trace writes.
//!
//! What the files contain is the renders' business; here is how they come to
//! stand where they should, whole and owned by the right user.

pub mod output;
pub mod recording;
mod table_cache;

pub use output::{OutputDir, OutputError, Owner, WriteErrors, default_name};
pub use recording::{RecordingError, read_recording};
pub use table_cache::TableCache;
