//! Sampled page faults of the whole host: whose memory grows, and at which stack.
//!
//! On the software event of minor faults (`mm_account_fault`, mm/memory.c), which is
//! told when the page is there. The kernel counts; this runs on one of
//! [`tracer_common::fault::PERIOD`], with preemption disabled.

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_perf_event_value,
    helpers::{
        bpf_get_current_pid_tgid, bpf_probe_read_kernel,
        generated::{
            bpf_get_current_task, bpf_get_prandom_u32, bpf_ktime_get_ns, bpf_perf_prog_read_value,
        },
    },
    macros::perf_event,
    programs::PerfEventContext,
};
use tracer_common::{
    FRAMES_MAX,
    call::ThreadCalls,
    control::Control,
    fault::{FaultCpu, FaultSample, HEADER_BYTES},
};

use crate::{
    arch::Registers,
    maps::{CONTROL, FAULT_CPUS, FAULT_SCRATCH, FAULT_SPACES, FAULTS},
    socket::user_start,
    stack::Start,
    unwind::{self, Bounded, Loop, Rounds},
};

/// Samples in a window that one CPU may take. Set when loading.
#[unsafe(no_mangle)]
static FAULT_BUDGET: u32 = 0;
/// Offsets in `struct task_struct`. Set when loading.
#[unsafe(no_mangle)]
static GROUP_LEADER_OFFSET: u64 = 0;
#[unsafe(no_mangle)]
static START_TIME_OFFSET: u64 = 0;
#[unsafe(no_mangle)]
static EXEC_OFFSET: u64 = 0;

/// `BPF_RB_NO_WAKEUP`: who reads comes by itself.
const NO_WAKEUP: u64 = 1;
/// Addresses are below this; above are marks.
const ADDRESS_END: u64 = 1 << 56;

/// A minor fault of the host, by chance.
#[perf_event]
pub fn page_fault(context: PerfEventContext) -> u32 {
    let _ = sample::<Loop>(&context);
    0
}

/// The same before Linux 5.17.
#[perf_event]
pub fn page_fault_bounded(context: PerfEventContext) -> u32 {
    let _ = sample::<Bounded>(&context);
    0
}

#[inline(always)]
fn sample<R: Rounds>(context: &PerfEventContext) -> Option<()> {
    let cpu = FAULT_CPUS.get_ptr_mut(0)?;
    // SAFETY: this CPU's own; nothing else runs on it meanwhile that writes it.
    let cpu = unsafe { &mut *cpu };
    // SAFETY: a global that user space sets before the object is loaded; helpers
    // without arguments.
    let (budget, time, chance) = unsafe {
        (
            core::ptr::read_volatile(&raw const FAULT_BUDGET),
            bpf_ktime_get_ns(),
            bpf_get_prandom_u32(),
        )
    };
    if !cpu.is_due(time, budget, chance) {
        return None;
    }
    let faults = cpu.weigh(counted(context)?);
    let calls = FAULT_SCRATCH.get_ptr_mut(0)?;
    let control = CONTROL.get(0)?;
    // SAFETY: this CPU's own scratch, which is as long and has its frames at the same
    // place (`tracer_common::fault`).
    let sample = unsafe { &mut *(&raw mut (*calls).scratch).cast::<FaultSample>() };
    sample.faults = faults;
    sample.time = time;
    // SAFETY: the context the kernel passed, whose loads the verifier checks.
    sample.address = unsafe { (*context.ctx).addr };
    if fill_process(sample).is_none() {
        cpu.unreadable += 1;
        return None;
    }
    fill_stack::<R>(context, sample, calls, control);
    tell(sample, cpu);
    // SAFETY: no arguments.
    cpu.run_ns += unsafe { bpf_ktime_get_ns() }.wrapping_sub(time);
    Some(())
}

/// How many faults the kernel has counted on this CPU.
#[inline(always)]
fn counted(context: &PerfEventContext) -> Option<u64> {
    let mut value = bpf_perf_event_value {
        counter: 0,
        enabled: 0,
        running: 0,
    };
    // SAFETY: the context the kernel passed, and room for what is written.
    let result = unsafe {
        bpf_perf_prog_read_value(
            context.ctx,
            &raw mut value,
            size_of::<bpf_perf_event_value>() as u32,
        )
    };
    (result == 0).then_some(value.counter)
}

/// Who it is, and which of its programs.
#[inline(always)]
fn fill_process(sample: &mut FaultSample) -> Option<()> {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    let leader = word(task, &GROUP_LEADER_OFFSET)?;
    sample.start_time = word(leader, &START_TIME_OFFSET)?;
    sample.exec = word(task, &EXEC_OFFSET)?;
    sample.tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    Some(())
}

/// A word of a kernel structure.
#[inline(always)]
fn word(structure: u64, offset: &u64) -> Option<u64> {
    // SAFETY: a global that user space sets before the object is loaded.
    let offset = unsafe { core::ptr::read_volatile(offset) };
    // SAFETY: faults are handled by the helper.
    unsafe { bpf_probe_read_kernel(structure.wrapping_add(offset) as *const u64) }.ok()
}

/// The stack in user space: by unwind tables if the process has some.
#[inline(always)]
fn fill_stack<R: Rounds>(
    context: &PerfEventContext,
    sample: &mut FaultSample,
    calls: *mut ThreadCalls,
    control: &Control,
) {
    sample.space = space_of(sample);
    sample.frames = 0;
    sample.ending = 0;
    let registers = Registers::new(context.as_ptr().cast());
    let is_user = registers.is_user();
    let start = if is_user {
        Some(Start {
            code: registers.code(),
            stack_pointer: registers.stack_pointer(),
            frame_pointer: registers.frame_pointer(),
        })
    } else {
        // A system call that touches what it was given.
        user_start()
    };
    let Some(start) = start else { return };
    // SAFETY: this CPU's own scratch.
    unsafe {
        (*calls)
            .walk
            .start(start.code, start.stack_pointer, start.frame_pointer);
        (*calls).walk.interrupted = u32::from(is_user);
    }
    if !unwind::walk::<R>(calls, sample.space, control) {
        return;
    }
    // SAFETY: just written. Volatile, as in `stack`.
    unsafe {
        let walk = &raw const (*calls).walk;
        sample.frames = core::ptr::read_volatile(&raw const (*walk).frames);
        sample.ending = core::ptr::read_volatile(&raw const (*walk).ending);
    }
    let first = &mut sample.frames_of_stack[0];
    if is_user && *first < ADDRESS_END {
        *first += 1;
    }
}

/// The number of the process's tables, if it is still the program they were made for.
#[inline(always)]
fn space_of(sample: &FaultSample) -> u32 {
    // SAFETY: values are inserted whole, and a torn one names no space that is wrong.
    match unsafe { FAULT_SPACES.get(sample.tgid) } {
        Some(space) if space.start_time == sample.start_time && space.exec == sample.exec => {
            space.space as u32
        }
        _ => 0,
    }
}

#[inline(always)]
fn tell(sample: &FaultSample, cpu: &mut FaultCpu) {
    let frames = (sample.frames as usize).min(FRAMES_MAX) & 0x7f;
    let words = HEADER_BYTES / size_of::<u64>() + frames;
    // SAFETY: a sample, which has as many words.
    let told = unsafe { core::slice::from_raw_parts((&raw const *sample).cast::<u64>(), words) };
    match FAULTS.output::<[u64]>(told, NO_WAKEUP) {
        Ok(()) => cpu.samples += 1,
        Err(_) => {
            cpu.lost_samples += 1;
            cpu.lost_faults += sample.faults;
        }
    }
}
