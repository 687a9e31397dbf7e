//! How a frame is written down: one word, an address with a mark in its
//! unused upper bits (user addresses have 47, with five-level paging 56).

/// The frame was found by a frame pointer that its callee may not have kept.
pub const APPROXIMATE: u64 = 1 << 63;

const ADDRESS: u64 = (1 << 56) - 1;

/// The code address of a frame.
#[inline(always)]
#[must_use]
pub const fn address(word: u64) -> u64 {
    word & ADDRESS
}

/// Whether the frame may be wrong.
#[inline(always)]
#[must_use]
pub const fn is_approximate(word: u64) -> bool {
    word & APPROXIMATE != 0
}

/// A frame at `address`, with [`APPROXIMATE`] or 0.
#[inline(always)]
#[must_use]
pub const fn word(address: u64, mark: u64) -> u64 {
    (address & ADDRESS) | mark
}
