//! A site: one stack of one source in one address space, and what it allocated.

use crate::FRAMES_MAX;

/// The key of the site that takes what has no stack of its own (table full,
/// collision, unreadable stack), so that totals stay exact. One an address
/// space; user space puts it in before the gate opens. Never a real key:
/// [`SiteIdentity::key`] sets the top bit.
#[inline(always)]
#[must_use]
pub const fn without_stack(space: u32) -> u64 {
    space as u64
}

/// One site, with its stack: the value of the site map. The key is a hash of
/// identity and frames; both are compared, not trusted to the hash.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Site {
    /// Allocated blocks, each times its weight.
    pub allocated_blocks: u64,
    /// Requested bytes of the allocated blocks, each times its weight.
    pub allocated_bytes: u64,
    /// Freed blocks, likewise.
    pub freed_blocks: u64,
    /// Requested bytes of the freed blocks, likewise.
    pub freed_bytes: u64,
    /// What distinguishes the site, frames aside.
    pub identity: SiteIdentity,
    /// Innermost first; the first `identity.frames` are valid, see [`crate::unwind::frame`].
    pub frames: [u64; FRAMES_MAX],
}

/// What distinguishes a site, frames aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SiteIdentity {
    /// [`crate::control::SpaceSettings::mapping_generation`] when it was first seen.
    pub mapping_generation: u64,
    /// The address space.
    pub space: u32,
    /// The [`crate::source::Source`], by number.
    pub source: u32,
    /// How many frames are valid, at most [`FRAMES_MAX`].
    pub frames: u32,
    /// Why the stack ends where it does: [`crate::unwind::Ending`], by number.
    pub ending: u32,
}

/// One step of the site hash: cheap enough to take for each frame in BPF.
/// The multiplier is xxHash64's first prime.
#[inline(always)]
#[must_use]
pub const fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word)
        .wrapping_mul(0x9e37_79b1_85eb_ca87)
        .rotate_left(31)
}

impl SiteIdentity {
    /// The key of a site whose frames were mixed into `frames_hash`.
    #[inline(always)]
    #[must_use]
    pub const fn key(&self, frames_hash: u64) -> u64 {
        let place = ((self.space as u64) << 32) | ((self.source as u64) << 16) | self.frames as u64;
        finish(mix(mix(frames_hash, place), self.mapping_generation))
    }
}

#[inline(always)]
const fn finish(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 29)).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    (hash ^ (hash >> 32)) | (1 << 63)
}
