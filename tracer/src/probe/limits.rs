//! How much a trace may take of the kernel's memory.

use tracer_common::unwind::code::Chunk;

/// How much the kernel side may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Live blocks (96 bytes of kernel memory each, plus 8 to 16 a bucket).
    pub blocks: u32,
    /// Sites (2 KiB each).
    pub sites: u32,
    /// Threads (2 KiB each).
    pub threads: u32,
    /// Address spaces over the whole trace (100 bytes each), and processes at one
    /// time (20 KiB each).
    pub processes: u32,
    /// Unwind tables.
    pub unwind: UnwindLimits,
}

/// The unwind tables' memory if nothing is asked for. A node process takes 1.8
/// MiB of it, LLVM's library 5.
pub const UNWIND_MIB: u32 = 8;

/// How much the unwind tables may take. The kernel reserves it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnwindLimits {
    /// Chunks of rows (32 KiB each).
    pub chunks: u32,
    /// Pages of 64 KiB of code (8 bytes each).
    pub pages: u32,
    /// Tables, one a file (4 bytes each).
    pub tables: u32,
}

impl UnwindLimits {
    /// What fits into so many bytes.
    #[must_use]
    pub fn of_bytes(bytes: u64) -> Self {
        let chunks = (bytes / size_of::<Chunk>() as u64).clamp(1, 1 << 16) as u32;
        Self {
            chunks,
            // Code has a row for each ten bytes and more.
            pages: (chunks * 64).max(4096),
            tables: 4096,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blocks: 4 << 20,
            sites: 1 << 16,
            threads: 1 << 16,
            processes: 256,
            unwind: UnwindLimits::of_bytes(u64::from(UNWIND_MIB) << 20),
        }
    }
}
