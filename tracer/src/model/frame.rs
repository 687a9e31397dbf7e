//! A frame of a stack.

use serde::{Deserialize, Serialize};

/// The module of functions that V8 runs.
pub const JAVASCRIPT: &str = "[javascript]";

/// One frame: where it stands, and its name where one could be found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// Demangled name; `None` where the module has no symbol for it.
    pub function: Option<String>,
    /// The mapped file's path as the process saw it, or `[anon]`, `[jit]`, `[vdso]`,
    /// or [`JAVASCRIPT`].
    pub module: String,
    /// Hexadecimal GNU build id of the module.
    pub build_id: Option<String>,
    /// Offset in the module's file; for anonymous code the address itself; of
    /// JavaScript functions always 0.
    #[serde(with = "super::wide")]
    pub offset: u64,
    /// Source file, where the module carries debug information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in `file`, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The compiler put this call into the next frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
    /// The frame may be wrong (found by a frame pointer through code that may not keep it).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approximate: bool,
}
