//! What kind of growth it is: the report's `verdicts` and the `places` they go by.

use serde::{Deserialize, Serialize};

use super::Frame;

/// What the memory of one process did in one place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// [`super::Process::id`].
    pub process: u32,
    /// Which.
    pub name: PlaceName,
    /// At the first moment that was looked at.
    pub start_bytes: u64,
    /// At the last.
    pub end_bytes: u64,
    /// The least in the first third of the window.
    pub first_trough_bytes: u64,
    /// And in the last.
    pub last_trough_bytes: u64,
}

/// Where memory stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum PlaceName {
    /// Blocks that the program holds, resident.
    #[default]
    AllocatorLive,
    /// Free, on whole pages that the allocator keeps.
    Retained,
    /// Free, on pages with live blocks on them.
    Pinned,
    /// The JS heap, stacks, and mappings of the program's own. Of a process whose
    /// allocator cannot be walked: all of its own memory.
    OtherAnonymous,
    /// Pages of files.
    Files,
    /// Shared memory.
    Shared,
    /// The kernel's buffers for its sockets.
    Sockets,
}

/// What kind of growth a process has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which.
    pub kind: Kind,
    /// [`super::Process::id`].
    pub process: u32,
    /// How sure it is.
    pub confidence: Confidence,
    /// What it is about: what was leaked within the window, what is retained, what
    /// stands in queues.
    pub bytes: u64,
    /// How fast it grows.
    pub bytes_per_second: f64,
    /// A sentence.
    pub summary: String,
    /// The numbers that made it. Sentences.
    pub evidence: Vec<String>,
    /// What would have made it another. Sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub would_change: Vec<String>,
    /// What to do. Sentences.
    pub advice: Vec<String>,
    /// Whose doing it is, most first.
    pub stacks: Vec<VerdictStack>,
}

impl Verdict {
    /// One that so far has nothing but its sentence.
    #[must_use]
    pub const fn new(
        kind: Kind,
        process: u32,
        confidence: Confidence,
        bytes: u64,
        summary: String,
    ) -> Self {
        Self {
            kind,
            process,
            confidence,
            bytes,
            bytes_per_second: 0.0,
            summary,
            evidence: Vec::new(),
            would_change: Vec::new(),
            advice: Vec::new(),
            stacks: Vec::new(),
        }
    }
}

/// A stack that a verdict is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictStack {
    /// Of the verdict's bytes, 0 to 1.
    pub share: f64,
    /// Innermost first.
    pub frames: Vec<Frame>,
}

/// A kind of growth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Blocks are allocated steadily and not freed.
    Leak,
    /// Free memory on pages that live blocks pin.
    Fragmentation,
    /// Free memory on whole pages that the allocator does not give back.
    Retention,
    /// The JavaScript heap.
    JsHeap,
    /// The kernel holds what peers do not read.
    SendBuffer,
    /// The kernel holds what the process does not read.
    ReceiveBuffer,
    /// The kernel still sends what closed connections left.
    Orphan,
    /// Connections wait to be accepted.
    AcceptQueue,
    /// The process itself holds what slow peers do not take.
    Backlog,
    /// Mappings of its own, files or shared memory.
    Mapping,
    /// Nothing grows.
    Healthy,
    /// Something may; the window was too short to tell.
    NotEnoughData,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Leak,
        Self::Fragmentation,
        Self::Retention,
        Self::JsHeap,
        Self::SendBuffer,
        Self::ReceiveBuffer,
        Self::Orphan,
        Self::AcceptQueue,
        Self::Backlog,
        Self::Mapping,
        Self::Healthy,
        Self::NotEnoughData,
    ];

    /// As `report.json` and `--fail-on` write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leak => "leak",
            Self::Fragmentation => "fragmentation",
            Self::Retention => "retention",
            Self::JsHeap => "js-heap",
            Self::SendBuffer => "send-buffer",
            Self::ReceiveBuffer => "receive-buffer",
            Self::Orphan => "orphan",
            Self::AcceptQueue => "accept-queue",
            Self::Backlog => "backlog",
            Self::Mapping => "mapping",
            Self::Healthy => "healthy",
            Self::NotEnoughData => "not-enough-data",
        }
    }

    /// Whether it says that something is wrong.
    #[must_use]
    pub const fn accuses(self) -> bool {
        !matches!(self, Self::Healthy | Self::NotEnoughData)
    }
}

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Something else would explain it as well.
    Low,
    /// Likely.
    Medium,
    /// All the evidence says so.
    High,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind has one name, in `report.json` as on the command line.
    #[test]
    fn names_are_those_of_the_report() {
        for kind in Kind::ALL {
            let written = serde_json::to_value(kind).ok();
            assert_eq!(written, Some(kind.name().into()), "{kind:?}");
        }
    }
}
