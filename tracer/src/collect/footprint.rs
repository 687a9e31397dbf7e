//! What a block costs glibc beyond the bytes that were asked for.

/// Bytes of the chunk that holds a block of `size` requested bytes: glibc's
/// `request2size` (malloc/malloc.c: an 8-byte header, rounded up to 16, at
/// least 32), and from its initial mmap threshold on whole pages with a
/// 16-byte header. The threshold moves up when such a block is freed; what
/// then comes from an arena takes less than a page less than told here.
#[must_use]
pub const fn glibc_chunk(size: u64) -> u64 {
    const MMAP_THRESHOLD: u64 = 128 * 1024;
    if size >= MMAP_THRESHOLD {
        size.saturating_add(16 + 4095) & !4095
    } else if size <= 24 {
        32
    } else {
        (size + 8 + 15) & !15
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chunk sizes are those that `malloc_usable_size() + 8` gives on glibc.
    #[test]
    fn is_what_glibc_uses() {
        for size in [0usize, 1, 24, 25, 40, 56, 57, 100, 1000, 4096, 100_000] {
            // SAFETY: allocated and freed here.
            let usable = unsafe {
                let block = libc::malloc(size);
                let usable = libc::malloc_usable_size(block);
                libc::free(block);
                usable
            };
            // A reused chunk may be one step larger than it had to be.
            let exact = glibc_chunk(size as u64);
            assert!(usable as u64 + 8 == exact || usable as u64 + 8 == exact + 16, "{size}: {usable} {exact}");
        }
    }
}
