//! The time of an allocation.

use aya_ebpf::helpers::generated::{bpf_ktime_get_coarse_ns, bpf_ktime_get_ns};

/// 1 where the kernel has `bpf_ktime_get_coarse_ns` (Linux 5.11). Set when loading.
#[unsafe(no_mangle)]
static HAS_COARSE_CLOCK: u32 = 0;

/// `CLOCK_MONOTONIC`, to a tick of the kernel where that is had: reading the
/// exact one costs 60 ns, and ages are told in seconds.
#[inline(always)]
pub fn now_ns() -> u64 {
    // SAFETY: a global that user space sets before the object is loaded. The
    // verifier knows its value and never sees the branch not taken.
    if unsafe { core::ptr::read_volatile(&raw const HAS_COARSE_CLOCK) } != 0 {
        // SAFETY: no arguments.
        unsafe { bpf_ktime_get_coarse_ns() }
    } else {
        // SAFETY: no arguments.
        unsafe { bpf_ktime_get_ns() }
    }
}
