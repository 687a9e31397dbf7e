//! Empty programs: the floor of what a probe costs, to calibrate the overhead
//! and to compare against.

use aya_ebpf::{
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};

/// Does nothing, at an entry.
#[uprobe]
pub fn empty_entry(_context: ProbeContext) -> u32 {
    0
}

/// Does nothing, at a return.
#[uretprobe]
pub fn empty_return(_context: RetProbeContext) -> u32 {
    0
}
