//! Which allocator function a block came from, and how many bytes it was asked for.

/// The allocator function that was called, as the kernel side encodes it in
/// the attach cookie of each probe and in the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u32)]
pub enum Source {
    /// `void *malloc(size_t size)`
    Malloc = 1,
    /// `void *calloc(size_t count, size_t size)`
    Calloc = 2,
    /// `void *realloc(void *old, size_t size)`
    Realloc = 3,
    /// `void *reallocarray(void *old, size_t count, size_t size)`
    Reallocarray = 4,
    /// `void *memalign(size_t alignment, size_t size)`
    Memalign = 5,
    /// `int posix_memalign(void **result, size_t alignment, size_t size)`
    PosixMemalign = 6,
    /// `void *aligned_alloc(size_t alignment, size_t size)`
    AlignedAlloc = 7,
    /// `void *valloc(size_t size)`
    Valloc = 8,
    /// `void *pvalloc(size_t size)`
    Pvalloc = 9,
    /// jemalloc: `void *mallocx(size_t size, int flags)`
    Mallocx = 10,
    /// jemalloc: `void *rallocx(void *old, size_t size, int flags)`
    Rallocx = 11,
    /// jemalloc: `size_t xallocx(void *block, size_t size, size_t extra, int flags)`:
    /// resizes in place, and returns the size that the block now has.
    Xallocx = 12,
    /// C++'s operator new, where it does not call malloc.
    New = 13,
    /// `void *mmap(void *address, size_t length, …)`: a mapping, no block.
    Mmap = 32,
    /// `void *mremap(void *old, size_t old_length, size_t length, …)`
    Mremap = 33,
    /// `int brk(void *end)`
    Brk = 34,
    /// `int mprotect(void *address, size_t length, int protection)`, of what was only reserved.
    Mprotect = 35,
    /// `send` and its kin, `write` to a socket.
    Send = 48,
    /// `recv` and its kin, `read` from a socket.
    Receive = 49,
    /// `int accept(int listener, …)`
    Accept = 50,
    /// `int connect(int socket, …)`
    Connect = 51,
    /// V8's allocation of JavaScript's objects: sampled, and no block.
    JavascriptHeap = 64,
}

impl Source {
    /// Every source, in the order of its number.
    pub const ALL: [Self; 22] = [
        Self::Malloc,
        Self::Calloc,
        Self::Realloc,
        Self::Reallocarray,
        Self::Memalign,
        Self::PosixMemalign,
        Self::AlignedAlloc,
        Self::Valloc,
        Self::Pvalloc,
        Self::Mallocx,
        Self::Rallocx,
        Self::Xallocx,
        Self::New,
        Self::Mmap,
        Self::Mremap,
        Self::Brk,
        Self::Mprotect,
        Self::Send,
        Self::Receive,
        Self::Accept,
        Self::Connect,
        Self::JavascriptHeap,
    ];

    /// The name of the C function, which is also the name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malloc => "malloc",
            Self::Calloc => "calloc",
            Self::Realloc => "realloc",
            Self::Reallocarray => "reallocarray",
            Self::Memalign => "memalign",
            Self::PosixMemalign => "posix_memalign",
            Self::AlignedAlloc => "aligned_alloc",
            Self::Valloc => "valloc",
            Self::Pvalloc => "pvalloc",
            Self::Mallocx => "mallocx",
            Self::Rallocx => "rallocx",
            Self::Xallocx => "xallocx",
            Self::New => "operator new",
            Self::Mmap => "mmap",
            Self::Mremap => "mremap",
            Self::Brk => "brk",
            Self::Mprotect => "mprotect",
            Self::Send => "send",
            Self::Receive => "recv",
            Self::Accept => "accept",
            Self::Connect => "connect",
            Self::JavascriptHeap => "JS heap",
        }
    }

    /// The source with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| *source as u32 == number)
    }
}

/// `count * size`, or `u64::MAX` where that overflows: such a calloc fails.
///
/// In halves, because BPF has no 128-bit multiplication to check with.
#[inline(always)]
#[must_use]
pub const fn saturating_product(count: u64, size: u64) -> u64 {
    let (wide, narrow) = if count >> 32 == 0 {
        (size, count)
    } else {
        (count, size)
    };
    if narrow >> 32 != 0 {
        return u64::MAX;
    }
    let low = (wide & 0xffff_ffff) * narrow;
    let high = (wide >> 32) * narrow + (low >> 32);
    if high >> 32 != 0 {
        return u64::MAX;
    }
    (high << 32) | (low & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The product in halves is the processor's own.
        #[test]
        fn product_is_exact(count: u64, size: u64, count_bits in 0u32..64, size_bits in 0u32..64) {
            let (count, size) = (count >> count_bits, size >> size_bits);
            prop_assert_eq!(saturating_product(count, size), count.saturating_mul(size));
        }
    }
}
