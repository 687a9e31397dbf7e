//! How much a trace may take of the kernel's memory.

use tracer_common::unwind::code::Chunk;

/// How much the kernel side may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Live blocks (96 bytes of kernel memory each, plus 8 to 16 a bucket).
    pub blocks: u32,
    /// Sites (2 KiB each, and 16 bytes for each that there may be).
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

/// Sites at most if nothing is asked for: a node process makes some 10,000 as it starts.
const SITES: std::ops::RangeInclusive<u32> = 1 << 16..=1 << 18;
/// What one takes.
const SITE_BYTES: u64 = 2 << 10;
/// Of the memory that is available, what they may take where it is short.
const SITES_PART: u64 = 16;

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

impl Limits {
    /// Sites at most where so many bytes of memory are available (`MemAvailable` of
    /// /proc/meminfo): the kernel takes it only as they come.
    #[must_use]
    pub fn sites_of(available_bytes: u64) -> u32 {
        let sites = available_bytes / SITES_PART / SITE_BYTES;
        u32::try_from(sites)
            .unwrap_or(u32::MAX)
            .clamp(*SITES.start(), *SITES.end())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blocks: 4 << 20,
            sites: *SITES.start(),
            threads: 1 << 16,
            processes: 256,
            unwind: UnwindLimits::of_bytes(u64::from(UNWIND_MIB) << 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A large host has room for many processes' stacks, a small one loses none of what
    /// it had, and none gives more than a sixteenth and that.
    #[test]
    fn sites_by_memory() {
        assert_eq!(Limits::sites_of(0), 1 << 16);
        assert_eq!(Limits::sites_of(4 << 30), 1 << 17);
        assert_eq!(Limits::sites_of(u64::MAX), 1 << 18);
    }
}
