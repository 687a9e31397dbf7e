//! The ledger of outstanding blocks: one entry a live block.
//!
//! Key and value are 40 bytes together, which puts an element of a
//! `BPF_MAP_TYPE_HASH` without preallocation (48 bytes of header, 8 of the
//! allocator's list node, `kernel/bpf/hashtab.c` and `kernel/bpf/memalloc.c`)
//! into the 96-byte slab.

/// Names a block: the address space it lives in and its address there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct BlockKey {
    /// What the allocator returned.
    pub address: u64,
    /// The address space, by the number user space gave it. Never reused
    /// within a trace, so that an exec or a reused pid starts empty.
    pub space: u32,
    /// Always zero: the kernel hashes the whole key.
    pub reserved: u32,
}

/// A block that was allocated and not yet freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Block {
    /// Requested bytes.
    pub size: u64,
    /// The site that allocated it: the key of its [`crate::site::Site`].
    pub site: u64,
    /// [`crate::control::Control::now_mark`] when it was allocated.
    pub age_mark: u32,
    /// How many blocks it stands for: 1 in an exact trace. Kept in the block so that
    /// its free takes away exactly what it added, whatever the sampling rate is by then.
    pub weight: u32,
}
