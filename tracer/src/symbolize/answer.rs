//! What the parsers find: plain data, as it crosses from the file worker to
//! its parent.

use serde::{Deserialize, Serialize};

use super::v8::Layout;

/// What an ELF object is, seen by someone who looks for an allocator in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectSummary {
    /// GNU build id, hexadecimal.
    pub build_id: Option<String>,
    /// Name of its separate debug file, in whatever directory that is.
    #[serde(default)]
    pub debug_link: Option<String>,
    /// `DT_SONAME`, such as `libc.so.6`.
    pub soname: Option<String>,
    /// Version of the glibc that this object is, such as `2.36`; `None` for any
    /// other object.
    pub glibc_version: Option<String>,
    /// The object defines `malloc`, for itself or for all of the process.
    pub defines_malloc: bool,
    /// Name of an allocator other than glibc's whose marks the object bears.
    pub allocator_name: Option<String>,
    /// The object is a program that runs without a dynamic loader.
    pub is_static: bool,
    /// File offset of `_dl_debug_state`, which the loader calls when the set of
    /// mapped objects changed.
    pub debug_state_offset: Option<u64>,
    /// File offsets `[start, end)` of its code.
    pub code: [u64; 2],
    /// Of an object without allocator functions, an allocator whose words stand
    /// among its constants.
    pub hint: Option<String>,
    /// The allocator functions it defines. Several may stand at one address
    /// (`memalign` and `aligned_alloc` in glibc 2.36): compare `file_offset`.
    pub functions: Vec<AllocatorFunction>,
    /// How objects of the V8 in it are laid out, or why that cannot be told;
    /// `None`: there is no V8 in it.
    #[serde(default)]
    pub v8: Option<Result<Box<Layout>, String>>,
    /// Where the V8 in it tells how much its heap has allocated; empty where its symbols
    /// do not say, `None`: there is no V8 in it.
    #[serde(default)]
    pub javascript_heap: Option<Vec<SamplingPoint>>,
}

/// A place where V8's allocation is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplingPoint {
    /// Offset in the file where the probe goes.
    pub probe_offset: u64,
    /// It is where single large objects come from; otherwise buffers for many.
    pub is_large: bool,
}

/// A function of the allocator's interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocatorFunction {
    /// Its name: `malloc`, `mi_heap_calloc`, `_Znwm`….
    pub name: String,
    /// Offset of its entry in the file; return probes go here too if the entry
    /// probe does.
    pub file_offset: u64,
    /// Offset in the file where the entry probe goes, see [`crate::probe::placement`].
    pub probe_offset: u64,
    /// The kernel emulates the instruction at `probe_offset`; otherwise each
    /// hit is single-stepped.
    pub emulated: bool,
    /// Length of its code in bytes; 0 where the file does not say.
    pub size: u64,
    /// It may end by jumping to another function.
    pub jumps: bool,
    /// Of one that may throw: offsets in the file of every `ret` by which it
    /// can end; empty where they could not be told.
    pub exits: Vec<u64>,
    /// It can end in other ways too, which are not known.
    pub has_unknown_exits: bool,
}

/// One function that holds an address; inlined ones come with the function
/// that they were put into.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbol {
    /// Demangled name.
    pub function: Option<String>,
    /// Source file, where the object carries debug information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in `file`, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The compiler put this call into the next symbol.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inlined: bool,
}

/// Names out of a perf map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerfMapNames {
    /// One for each address asked for, in order.
    pub names: Vec<Option<String>>,
    /// The map was longer than [`super::perf_map::MAX_BYTES`]; what stood
    /// behind that was not read.
    pub truncated: bool,
}
