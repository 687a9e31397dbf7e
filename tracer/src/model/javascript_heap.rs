//! The JavaScript heaps of the traced processes: how much is resident, and which
//! functions allocate.

use serde::{Deserialize, Serialize};

use super::{Frame, JAVASCRIPT, StackEnd};

/// The report's `javascript`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JavascriptHeaps {
    /// Of all processes: times that V8 allocated and the stack could not be taken or
    /// kept, and the bytes they stand for. They are missing below.
    #[serde(with = "super::wide")]
    pub lost_samples: u64,
    /// See there.
    #[serde(with = "super::wide")]
    pub lost_bytes: u64,
    /// Of every process with a V8 in it.
    pub processes: Vec<JavascriptHeap>,
}

/// The JavaScript heap of one process, all its isolates together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JavascriptHeap {
    /// [`super::Process::id`].
    pub process: u32,
    /// Resident bytes of V8's pages, from time to time; the last one is the end.
    pub timeline: Vec<HeapMoment>,
    /// Bytes that V8 allocated within the window; collected ones are among them.
    #[serde(with = "super::wide")]
    pub allocated_bytes: u64,
    /// In how many samples: one a linear allocation buffer, of 256 KiB at most, that
    /// was used up, and one a larger object.
    #[serde(with = "super::wide")]
    pub samples: u64,
    /// Whose stacks they are, most bytes first. Allocation is no retention: what was
    /// collected since is in it.
    pub sites: Vec<JavascriptSite>,
}

/// Resident bytes of V8's pages at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeapMoment {
    /// Since the window's start.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub seconds: f64,
    /// Where objects begin (semi-spaces).
    #[serde(with = "super::wide")]
    pub young_bytes: u64,
    /// Objects that lived on.
    #[serde(with = "super::wide")]
    pub old_bytes: u64,
    /// Objects too large for a page of 256 KiB, young and old.
    #[serde(with = "super::wide")]
    pub large_bytes: u64,
    /// Compiled code.
    #[serde(with = "super::wide")]
    pub code_bytes: u64,
}

impl HeapMoment {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.old_bytes, self.large_bytes, self.code_bytes]
            .into_iter()
            .fold(self.young_bytes, u64::saturating_add)
    }
}

/// What one stack was seen to allocate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JavascriptSite {
    /// 16 hexadecimal digits, as [`super::Site::site_id`].
    pub site_id: String,
    /// How often it used a buffer up, or allocated an object of its own.
    #[serde(with = "super::wide")]
    pub samples: u64,
    /// Bytes of those buffers and objects: an estimate of what it allocated, the
    /// better the more samples.
    #[serde(with = "super::wide")]
    pub estimated_bytes: u64,
    /// The same for each second of the window.
    #[serde(serialize_with = "super::seconds::serialize")]
    pub estimated_bytes_per_second: f64,
    /// Innermost first; V8's own allocator comes before the function.
    pub frames: Vec<Frame>,
    /// Why the stack ends where it does.
    #[serde(default, skip_serializing_if = "StackEnd::is_root")]
    pub stack_end: StackEnd,
}

/// A part of the name of V8's class that allocates objects too large for a page.
const LARGE_OBJECTS: &str = "LargeObjectSpace::";

/// Whether a stack is that of an object with pages of its own.
#[must_use]
pub fn is_of_large_object(frames: &[Frame]) -> bool {
    let is_it = |frame: &Frame| {
        frame
            .function
            .as_deref()
            .is_some_and(|it| it.contains(LARGE_OBJECTS))
    };
    frames.iter().any(is_it)
}

/// A stack from the innermost JavaScript function on: V8's own way to its allocator is
/// the same for all. The whole stack where there is none.
#[must_use]
pub fn own_part(frames: &[Frame]) -> &[Frame] {
    let first = frames.iter().position(|frame| frame.module == JAVASCRIPT);
    first
        .and_then(|first| frames.get(first..))
        .unwrap_or(frames)
}
