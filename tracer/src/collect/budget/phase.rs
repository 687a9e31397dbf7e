//! What a trace under a budget does at a time, and what it has done.

/// What is recorded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Allocations and frees; a block stands for so many.
    Slice {
        /// See [`Phase::Slice`].
        weight: u32,
    },
    /// Frees only.
    Frees,
    /// Nothing.
    Nothing,
}

/// What tracing has cost since the start, ns of a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// All of it.
    pub ns: f64,
    /// The part that watching frees has in it.
    pub frees_ns: f64,
}

/// For how long what was recorded, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// How often slices began.
    pub slices: u64,
    /// Allocations and frees.
    pub sliced_ns: u64,
    /// Frees, in slices and between them.
    pub frees_ns: u64,
}

/// What comes after a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Frees, until the next one.
    Frees,
    /// Frees, for so long, ns; then nothing.
    FreesFor(u64),
}

/// A cycle that was planned. Times in ns since the start.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// When its slice begins.
    pub begins: u64,
    /// How long that is.
    pub slice: u64,
    /// It has begun.
    pub has_begun: bool,
    /// The slice is all of the cycle.
    pub is_whole: bool,
    /// For how many a recorded block stands.
    pub weight: u32,
    /// What comes after the slice.
    pub after: After,
    /// When the cycle ends.
    pub cycle_ends: u64,
}
