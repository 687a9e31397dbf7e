//! Numbers in the sentences of verdicts.

pub use crate::model::words::{bytes, growth, seconds, share};

/// `1.5 MiB/s`.
pub fn rate(bytes_per_second: f64) -> String {
    format!("{}/s", bytes(bytes_per_second.max(0.0) as u64))
}
