//! Programs that only measure: empty ones, the floor of what a probe costs, to
//! calibrate the overhead and to compare; and two that take a stack and nothing else.

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_F_USER_STACK,
    helpers::generated::bpf_get_stack,
    macros::{btf_tracepoint, uprobe, uretprobe},
    programs::{BtfTracePointContext, ProbeContext, RetProbeContext},
};
use tracer_common::FRAMES_MAX;

use crate::{
    arch::Registers,
    heap::thread_calls,
    maps::CONTROL,
    unwind::{self, Loop},
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

/// Does nothing, at every send of the host (Linux 6.5).
#[btf_tracepoint(function = "sock_send_length")]
pub fn empty_send(_context: BtfTracePointContext) -> i32 {
    0
}

/// Takes the stack by frame pointers, as the kernel does it, at a return.
#[uretprobe]
pub fn kernel_stack(context: RetProbeContext) -> u32 {
    if let Some(calls) = thread_calls(0) {
        // SAFETY: the thread's own record, of which no more than an array is written.
        unsafe {
            bpf_get_stack(
                context.as_ptr(),
                (&raw mut (*calls).scratch.frames).cast(),
                (FRAMES_MAX * 8) as u32,
                u64::from(BPF_F_USER_STACK),
            );
        }
    }
    0
}

/// Takes the stack by unwind tables, of address space 1, at a return.
#[uretprobe]
pub fn exact_stack(context: RetProbeContext) -> u32 {
    let registers = Registers::new(context.regs);
    if let (Some(calls), Some(control)) = (thread_calls(0), CONTROL.get(0)) {
        // SAFETY: the thread's own record.
        unsafe {
            (*calls).walk.start(
                registers.code(),
                registers.stack_pointer(),
                registers.frame_pointer(),
            );
        }
        unwind::walk::<Loop>(calls, 1, control);
    }
    0
}
