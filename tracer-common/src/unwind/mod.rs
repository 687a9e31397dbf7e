//! Unwinding a user stack by tables made from `.eh_frame`: pure, over a reader
//! of memory and tables, so that the same code runs in the kernel and in tests.
//!
//! - [`row`]: what the tables hold: how a caller's frame is found.
//! - [`code`]: which table an address belongs to, and the search in it.
//! - [`step`](mod@step): from a frame to its caller's.
//! - [`walk`]: where a walk stands, and what it reads.
//! - [`frame`]: how a frame is written down.
//!
//! Code without a row (made at run time, or assembled by hand) is followed by
//! the frame pointer, and what is found that way is marked as approximate.
//!
//! The verifier reads all of this too. The searches compare without branches,
//! and what a step leaves for the next goes through memory: otherwise each way
//! through a step would be checked again for each way through those before it.

pub mod code;
pub mod frame;
#[cfg(any(test, feature = "user"))]
pub mod replay;
pub mod row;
pub mod step;
pub mod walk;

#[cfg(test)]
mod tests;

pub use step::step;
pub use walk::{Ending, Environment, WINDOW_WORDS, Walk, Window};

/// 1 if `a <= b`, else 0, without a branch; both at most 2^63.
#[inline(always)]
fn at_most(a: u64, b: u64) -> u64 {
    // The sign of the difference. Not as a mask of ones: since Linux 6.18 the
    // verifier goes both ways where one is applied.
    opaque(opaque(b.wrapping_sub(a)) >> 63) ^ 1
}

/// 1 if the two are the same, else 0, without a branch.
#[inline(always)]
#[must_use]
pub fn equal(a: u64, b: u64) -> u64 {
    let different = opaque(a ^ b);
    opaque((different | different.wrapping_neg()) >> 63) ^ 1
}

/// The same number, of whose making the compiler knows nothing: it would turn
/// arithmetic on differences back into branches.
#[inline(always)]
fn opaque(number: u64) -> u64 {
    #[cfg(target_arch = "bpf")]
    {
        let mut number = number;
        // SAFETY: no instruction at all.
        unsafe { core::arch::asm!("/* {0} */", inout(reg) number, options(pure, nomem, nostack)) };
        number
    }
    #[cfg(not(target_arch = "bpf"))]
    number
}

/// What was just written, as if by someone else.
#[inline(always)]
pub(crate) fn reread<T: Copy>(field: &T) -> T {
    // SAFETY: a reference is valid to read from.
    unsafe { core::ptr::read_volatile(field) }
}
