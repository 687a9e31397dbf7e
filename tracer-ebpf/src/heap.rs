//! The allocator's probes: what a call of malloc and its family, its return,
//! and free do to the ledger.

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_NOEXIST,
    helpers::{
        bpf_get_current_pid_tgid, bpf_get_prandom_u32, bpf_probe_read_user,
        generated::{bpf_get_attach_cookie, bpf_ktime_get_ns},
    },
    macros::{uprobe, uretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use tracer_common::{
    call::{Call, Return, ThreadCalls},
    control::Control,
    counter::Counter,
    function::{Function, Shape, free},
    ledger::{Block, BlockKey},
    source::{Source, saturating_product},
};

use crate::{
    arch::Registers,
    ledger,
    maps::{CONTROL, NEW_THREAD, SPACE_SETTINGS, THREADS, count},
    space,
    stack::{self, Start},
    unwind::{Bounded, Loop, Rounds},
};

/// The entry of an allocating function, which the attach cookie tells.
#[uprobe]
pub fn allocator_entry(context: ProbeContext) -> u32 {
    // SAFETY: the context the kernel passed.
    let cookie = unsafe { bpf_get_attach_cookie(context.as_ptr()) };
    let _ = enter(Registers::new(context.regs), Function::from_cookie(cookie));
    0
}

/// The return of an allocating function, which the attach cookie tells.
#[uretprobe]
pub fn allocator_return(context: RetProbeContext) -> u32 {
    returned::<Loop>(context);
    0
}

/// The same for kernels without `bpf_loop`.
#[uretprobe]
pub fn allocator_return_bounded(context: RetProbeContext) -> u32 {
    returned::<Bounded>(context);
    0
}

#[inline(always)]
fn returned<R: Rounds>(context: RetProbeContext) {
    // SAFETY: the context the kernel passed.
    let cookie = unsafe { bpf_get_attach_cookie(context.as_ptr()) };
    let registers = Registers::new(context.regs);
    let start = Start {
        code: registers.code(),
        stack_pointer: registers.stack_pointer(),
        frame_pointer: registers.frame_pointer(),
    };
    let _ = leave::<R>(registers.result(), Function::from_cookie(cookie), start);
}

/// A `ret` of a function that can throw, or of one that it ends by jumping to:
/// the C++ unwinder cannot cross a return probe's trampoline.
#[uprobe]
pub fn allocator_exit(context: ProbeContext) -> u32 {
    exits::<Loop>(context);
    0
}

/// The same for kernels without `bpf_loop`.
#[uprobe]
pub fn allocator_exit_bounded(context: ProbeContext) -> u32 {
    exits::<Bounded>(context);
    0
}

#[inline(always)]
fn exits<R: Rounds>(context: ProbeContext) {
    // SAFETY: the context the kernel passed.
    let cookie = unsafe { bpf_get_attach_cookie(context.as_ptr()) };
    let registers = Registers::new(context.regs);
    let stack_pointer = registers.stack_pointer();
    // Where the return probe of another function would see it: behind the
    // return address, in the caller.
    let start = Start {
        // SAFETY: faults are handled by the helper.
        code: unsafe { bpf_probe_read_user(stack_pointer as *const u64) }.unwrap_or(0),
        stack_pointer: stack_pointer.wrapping_add(8),
        frame_pointer: registers.frame_pointer(),
    };
    let _ = leave::<R>(registers.result(), Function::from_cookie(cookie), start);
}

/// The entry of a function that frees; the attach cookie is one of
/// [`tracer_common::function::free`].
#[uprobe]
pub fn allocator_free(context: ProbeContext) -> u32 {
    // SAFETY: the context the kernel passed.
    let cookie = unsafe { bpf_get_attach_cookie(context.as_ptr()) };
    let _ = free(Registers::new(context.regs).first_argument(), cookie);
    0
}

/// The trace's switches, if the gate is open.
#[inline(always)]
pub fn open_gate() -> Option<&'static Control> {
    CONTROL.get(0).filter(|control| control.gate != 0)
}

#[inline(always)]
fn enter(registers: Registers, function: Function) -> Option<()> {
    let control = open_gate()?;
    if control.weight == 0 && (control.is_gap != 0 || !function.resizes()) {
        // Between slices its return may not be seen.
        return None;
    }
    let space = space::current()?;
    let mut call = read_call(registers, function, space);
    call.slice = control.slice;
    let calls = thread_calls(call.size)?;
    // SAFETY: the thread's own record; a thread runs one program at a time.
    let calls = unsafe { &mut *calls };
    forget_stale(&mut calls.current, call.slice);
    forget_stale(&mut calls.suspended, call.slice);
    if calls.is_inner(&call, || returns_into_allocator(&call)) {
        return None;
    }
    if calls.begin_displaces() {
        count_missed_return(&calls.suspended);
    }
    if call.pointer != 0 && function.source() != Source::PosixMemalign as u32 {
        // realloc gives back at entry: at its return another thread may
        // already have the address.
        if let Some(taken) = ledger::take(&block_key(call.pointer, space)) {
            call.taken = taken;
        }
    }
    calls.begin(&call);
    Some(())
}

/// A call, from the registers at its entry.
#[inline(always)]
fn read_call(registers: Registers, function: Function, space: u32) -> Call {
    let (first, second, third) = (
        registers.first_argument(),
        registers.second_argument(),
        registers.third_argument(),
    );
    const PRODUCT: u32 = Shape::Product as u32;
    const RESIZE: u32 = Shape::Resize as u32;
    const RESIZE_PRODUCT: u32 = Shape::ResizeProduct as u32;
    const SECOND_SIZE: u32 = Shape::SecondSize as u32;
    const RESULT: u32 = Shape::Result as u32;
    const HEAP_PRODUCT: u32 = Shape::HeapProduct as u32;
    const HEAP_RESIZE: u32 = Shape::HeapResize as u32;
    let (size, pointer) = match function.shape() {
        PRODUCT => (saturating_product(first, second), 0),
        RESIZE => (second, first),
        RESIZE_PRODUCT => (saturating_product(second, third), first),
        SECOND_SIZE => (second, 0),
        RESULT => (third, first),
        HEAP_PRODUCT => (saturating_product(second, third), 0),
        HEAP_RESIZE => (third, second),
        _ => (first, 0),
    };
    Call {
        function,
        space,
        stack_pointer: registers.stack_pointer(),
        size,
        pointer,
        taken: Block::default(),
        slice: 0,
        reserved: 0,
    }
}

/// Forgets a call whose return may have come while no probe was there to see it: that
/// is no loss, and it must not pass for a call of this slice. What it took is freed.
#[inline(always)]
fn forget_stale(call: &mut Call, slice: u32) {
    if call.is_stale(slice) {
        let call = call.end();
        if call.has_taken() {
            ledger::count_freed(&call.taken);
        }
    }
}

/// The record of the current thread, made at its first call.
#[inline(always)]
pub fn thread_calls(size: u64) -> Option<*mut ThreadCalls> {
    let thread = bpf_get_current_pid_tgid();
    if let Some(calls) = THREADS.get_ptr_mut(thread) {
        return Some(calls);
    }
    let _ = THREADS.insert(thread, NEW_THREAD.get(0)?, u64::from(BPF_NOEXIST));
    let calls = THREADS.get_ptr_mut(thread);
    if calls.is_none() {
        count(Counter::ThreadTableFull, 1, size);
    }
    calls
}

/// Whether a call was made by the allocator's own code.
#[inline(always)]
fn returns_into_allocator(call: &Call) -> bool {
    // SAFETY: faults are handled by the helper.
    let address = unsafe { bpf_probe_read_user(call.stack_pointer as *const u64) };
    match (address, SPACE_SETTINGS.get(call.space)) {
        (Ok(address), Some(settings)) => settings.is_allocator(address),
        _ => false,
    }
}

/// A call whose return was never seen. What it took cannot be put back:
/// whether realloc had freed it is unknown.
#[inline(always)]
pub fn count_missed_return(call: &Call) {
    if call.function.throws() {
        count(Counter::FailedCall, 1, 0);
        return;
    }
    count(Counter::MissedReturn, 1, call.size);
    if call.has_taken() {
        ledger::count_freed(&call.taken);
    }
}

#[inline(always)]
fn leave<R: Rounds>(result: u64, function: Function, start: Start) -> Option<()> {
    let control = open_gate()?;
    let record = THREADS.get_ptr_mut(bpf_get_current_pid_tgid())?;
    // SAFETY: the thread's own record; a thread runs one program at a time.
    let calls = unsafe { &mut *record };
    let call = match calls.ended_by(function, start.stack_pointer) {
        Return::Unknown => return None,
        Return::Current => calls.current.end(),
        Return::Suspended => calls.suspended.end(),
    };
    let address = result_of(&call, result);
    if call.pointer != 0 && call.source() != Source::PosixMemalign as u32 {
        settle_old_block(control, &call, address);
    }
    if address == 0 {
        count(Counter::FailedCall, 1, 0);
        return None;
    }
    if call.slice != control.slice {
        return None;
    }
    let weight = weight_of(control, call.size)?;
    #[cfg(feature = "per-cpu-scratch")]
    let record = crate::maps::SCRATCH.get_ptr_mut(0)?;
    let (site, counters) = stack::site_of::<R>(start, control, record, &call)?;
    let block = Block {
        size: call.size,
        site,
        age_mark: control.now_mark,
        weight,
    };
    let key = block_key(address, call.space);
    ledger::enter(&key, &block, counters, control.has_gaps != 0);
    Some(())
}

/// The block a call returned, 0 if none.
#[inline(always)]
fn result_of(call: &Call, result: u64) -> u64 {
    if call.source() == Source::Xallocx as u32 {
        // The size that the block has now: too small, and it is as it was.
        return if result >= call.size { call.pointer } else { 0 };
    }
    if call.source() != Source::PosixMemalign as u32 {
        return result;
    }
    // An `int`: 0 is success, and the upper half of the register is anything.
    if result as u32 != 0 {
        return 0;
    }
    // SAFETY: faults are handled by the helper.
    match unsafe { bpf_probe_read_user(call.pointer as *const u64) } {
        Ok(address) => address,
        Err(_) => {
            count(Counter::ResultUnreadable, 1, call.size);
            0
        }
    }
}

/// What became of the block that realloc was given.
#[inline(always)]
fn settle_old_block(control: &Control, call: &Call, result: u64) {
    // realloc(old, 0) that returns NULL has freed (glibc, malloc/malloc.c;
    // tcmalloc; jemalloc with zero_realloc:free); musl, mimalloc and jemalloc
    // as it comes return a block. Any other NULL is a failure that leaves the
    // old block as it was.
    let failed = result == 0 && call.size != 0;
    if call.has_taken() {
        if failed {
            ledger::put_back(&block_key(call.pointer, call.space), &call.taken);
        } else {
            ledger::count_freed(&call.taken);
        }
    } else if !failed && control.is_exact() {
        count(Counter::UnmatchedFree, 1, 0);
    }
}

/// How many blocks this one stands for; `None` if it is passed over.
#[inline(always)]
fn weight_of(control: &Control, size: u64) -> Option<u32> {
    let weight = control.weight;
    if weight == 0 {
        return None;
    }
    // SAFETY: no arguments.
    if control.slice_ends != 0 && unsafe { bpf_ktime_get_ns() } >= control.slice_ends {
        return None;
    }
    let shift = control.sample_shift & 31;
    if shift == 0 || size >= u64::from(control.always_bytes) {
        return Some(weight);
    }
    // By chance, not by a hash of the address: allocators hand the same few
    // addresses out again and again, and a sample of those says nothing of how
    // often. Frees need not know: what the ledger does not hold was passed over.
    // SAFETY: no arguments.
    if unsafe { bpf_get_prandom_u32() } & ((1 << shift) - 1) != 0 {
        count(Counter::SampledOut, 1, size);
        return None;
    }
    Some(weight << shift)
}

#[inline(always)]
fn free(address: u64, cookie: u64) -> Option<()> {
    if address == 0 {
        return None;
    }
    let control = open_gate()?;
    let space = space::current()?;
    match ledger::take(&block_key(address, space)) {
        Some(block) => ledger::count_freed(&block),
        // While sampling, most frees are of blocks that were passed over.
        None if !control.is_exact() => return None,
        None => count_unmatched(address),
    }
    if cookie == free::MAY_HAND_ON
        && let Some(calls) = thread_calls(0)
    {
        // SAFETY: the thread's own record.
        unsafe { (*calls).handed_on = address };
    }
    Some(())
}

/// A free of a block the ledger does not hold, unless it is realloc(old, 0)
/// freeing the block that it was taken out for, or the second function of two
/// that free one block together.
#[inline(always)]
fn count_unmatched(address: u64) {
    if let Some(calls) = THREADS.get_ptr_mut(bpf_get_current_pid_tgid()) {
        // SAFETY: the thread's own record.
        let calls = unsafe { &mut *calls };
        if calls.handed_on == address {
            calls.handed_on = 0;
            return;
        }
        let current = &calls.current;
        if current.is_pending()
            && current.pointer == address
            && current.source() != Source::PosixMemalign as u32
        {
            return;
        }
    }
    count(Counter::UnmatchedFree, 1, 0);
}

#[inline(always)]
fn block_key(address: u64, space: u32) -> BlockKey {
    BlockKey {
        address,
        space,
        reserved: 0,
    }
}
