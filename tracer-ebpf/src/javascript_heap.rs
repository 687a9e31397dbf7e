//! Where V8's heap is allocated: once for each linear allocation buffer that
//! V8 hands to its code, and once for each object too large for one.
//!
//! V8 tells its own observers how many bytes were allocated since it last did
//! (`AllocationCounter::AdvanceAllocationObservers`, src/heap/allocation-observer.cc):
//! when a buffer is used up, by whichever function came last. So all bytes
//! are counted, and whose they are is sampled, in proportion to bytes.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_probe_read_user, generated::bpf_get_attach_cookie},
    macros::uprobe,
    programs::ProbeContext,
};
use tracer_common::{
    call::Call,
    counter::Counter,
    function::{Function, Shape, javascript_heap},
    ledger::Block,
    source::Source,
};

use crate::{
    arch::Registers,
    heap::{open_gate, thread_calls},
    maps::{add, count},
    space,
    stack::{self, Start},
    unwind::Loop,
};

/// V8 has allocated; the attach cookie, one of [`javascript_heap`], tells where the
/// bytes stand.
#[uprobe]
pub fn javascript_allocation(context: ProbeContext) -> u32 {
    // SAFETY: the context the kernel passed.
    let cookie = unsafe { bpf_get_attach_cookie(context.as_ptr()) };
    let _ = sample(Registers::new(context.regs), cookie);
    0
}

#[inline(always)]
fn sample(registers: Registers, cookie: u64) -> Option<()> {
    let control = open_gate()?;
    let space = space::current()?;
    let stack_pointer = registers.stack_pointer();
    let is_large = cookie == javascript_heap::LARGE;
    let bytes = if is_large {
        registers.third_argument()
    } else {
        registers.second_argument()
    };
    if bytes == 0 || bytes > javascript_heap::BYTES_MAX {
        return None;
    }
    let Some(calls) = thread_calls(0) else {
        count(Counter::SampleWithoutStack, 1, bytes);
        return None;
    };
    // SAFETY: the thread's own record; a thread runs one program at a time.
    let large = unsafe { &mut (*calls).large_object };
    if is_large {
        *large = bytes;
    } else if *large == bytes {
        // Its bytes are told to the observers, too, if there are any.
        *large = 0;
        return None;
    }
    let call = Call {
        function: Function::new(Source::JavascriptHeap, Shape::Size, 0),
        space,
        stack_pointer,
        size: bytes,
        pointer: 0,
        taken: Block::default(),
        slice: 0,
        reserved: 0,
    };
    let start = Start {
        // SAFETY: faults are handled by the helper.
        code: unsafe { bpf_probe_read_user(stack_pointer as *const u64) }.unwrap_or(0),
        stack_pointer: stack_pointer.wrapping_add(8),
        frame_pointer: registers.frame_pointer(),
    };
    match stack::take::<Loop>(start, control, calls, &call) {
        // SAFETY: a map value.
        Ok((_, site)) => unsafe {
            add(&raw mut (*site).allocated_blocks, 1);
            add(&raw mut (*site).allocated_bytes, bytes);
        },
        Err(_) => count(Counter::SampleWithoutStack, 1, bytes),
    }
    Some(())
}
