//! How the memory of a trace's processes grew: the report's `growth`.

use serde::{Deserialize, Serialize};

/// Stretches of equal length into which a window is divided to tell ages.
pub const AGES: usize = 8;

/// 2⁵³ − 1: programs may ask for more bytes than every reader of JSON keeps exact.
pub const BYTES_MAX: u64 = (1 << 53) - 1;

/// How one process grew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// [`super::Process::id`].
    pub process: u32,
    /// The language whose heap stands beside the allocator's, where it is known:
    /// `V8`, `CPython`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<String>,
    /// From time to time; the last one is the end.
    pub timeline: Vec<Resident>,
    /// Sites with something live at the end, largest first.
    pub sites: Vec<SiteGrowth>,
    /// Live bytes of the sites that are left out of the list, for each is small.
    pub left_out_bytes: u64,
}

/// The resident set at one moment, as `/proc/PID/status` has it, and the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Resident {
    /// Since the window's start.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub seconds: f64,
    /// `RssAnon`.
    pub anonymous_bytes: u64,
    /// `RssFile`.
    pub file_bytes: u64,
    /// `RssShmem`.
    pub shared_bytes: u64,
    /// `VmSwap`.
    pub swapped_bytes: u64,
    /// Allocated within the window and not freed.
    pub live_bytes: u64,
}

/// How one site's live bytes grew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SiteGrowth {
    /// [`super::Site::site_id`], of the same process.
    pub site_id: String,
    /// The least that was live in the first third of the window.
    pub first_trough_bytes: u64,
    /// In the second.
    pub middle_trough_bytes: u64,
    /// And in the last.
    pub last_trough_bytes: u64,
    /// Slope of a line through its live bytes, and the slope's standard error.
    pub bytes_per_second: f64,
    /// See there.
    pub error_bytes_per_second: f64,
    /// What is live at the end by when it was allocated: in the first eighth of the
    /// window, the second, …
    pub survivors: [u64; AGES],
}
