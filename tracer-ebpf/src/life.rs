//! The life of a target: exec, the loader's changes, the end of threads.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, bpf_probe_read_kernel, generated::bpf_send_signal},
    macros::{raw_tracepoint, uprobe},
    programs::{ProbeContext, RawTracePointContext},
};
use tracer_common::{
    control::{EVENT_EXEC, EVENT_LOADER, Event, TARGET_STOP_AT_EXEC, TARGET_STOP_AT_LOADER},
    counter::Counter,
};

use crate::{
    heap::{self, count_missed_return},
    maps::{EVENTS, SPACE_SETTINGS, TARGETS, THREADS, add, count},
    space,
};

const SIGSTOP: u32 = 19;

/// Raw tracepoint `sched_process_exec`: the target's address space is gone.
/// It counts no more until user space has given it a new number.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec(_context: RawTracePointContext) -> i32 {
    let thread = bpf_get_current_pid_tgid();
    let tgid = (thread >> 32) as u32;
    let Some(target) = TARGETS.get_ptr_mut(tgid) else {
        return 0;
    };
    // SAFETY: a map value; this is the only thread the group has left.
    let flags = unsafe {
        space::unbind((*target).mm);
        (*target).mm = 0;
        (*target).space = 0;
        (*target).flags
    };
    let _ = THREADS.remove(thread);
    tell(EVENT_EXEC, tgid);
    stop_if(flags & TARGET_STOP_AT_EXEC);
    0
}

/// Offset of `tgid` in `struct task_struct`, from the kernel's BTF. Set when loading.
#[unsafe(no_mangle)]
static TGID_OFFSET: u64 = 0;

/// Raw tracepoint `sched_process_fork`: counts the target's children, which
/// are not traced, so that the report can say so.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_fork(context: RawTracePointContext) -> i32 {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: only asked whether it is there.
    if unsafe { TARGETS.get(tgid) }.is_none() {
        return 0;
    }
    // SAFETY: a global that user space sets before the object is loaded.
    let offset = unsafe { core::ptr::read_volatile(&raw const TGID_OFFSET) };
    // TP_PROTO(struct task_struct *parent, struct task_struct *child)
    let child: *const u8 = context.arg(1);
    // SAFETY: reads the new task's structure; faults are handled by the helper.
    let child_tgid =
        unsafe { bpf_probe_read_kernel(child.wrapping_add(offset as usize).cast::<u32>()) };
    if child_tgid.is_ok_and(|child_tgid| child_tgid != tgid) {
        count(Counter::ChildProcess, 1, 0);
    }
    0
}

/// Raw tracepoint `sched_process_exit`, for each thread: its record goes, and
/// calls that it never returned from are counted.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn thread_exit(_context: RawTracePointContext) -> i32 {
    let thread = bpf_get_current_pid_tgid();
    // Once the gate is shut, what is pending is user space's to read.
    if heap::open_gate().is_none() {
        return 0;
    }
    if let Some(calls) = THREADS.get_ptr_mut(thread) {
        // SAFETY: the thread's own record.
        let calls = unsafe { &*calls };
        if calls.current.is_pending() {
            count_missed_return(&calls.current);
        }
        if calls.suspended.is_pending() {
            count_missed_return(&calls.suspended);
        }
        let _ = THREADS.remove(thread);
    }
    0
}

/// `_dl_debug_state` of the loader: libraries were mapped or unmapped, or are
/// about to be.
#[uprobe]
pub fn loader_change(_context: ProbeContext) -> u32 {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: the value is copied at once.
    if let Some(target) = unsafe { TARGETS.get(tgid) } {
        let flags = target.flags;
        if let Some(settings) = SPACE_SETTINGS.get_ptr_mut(target.space) {
            // From here on an address may mean another function. One change
            // stands for all until user space has looked: it could tell no more.
            // SAFETY: a map value; the loader holds its lock.
            unsafe {
                if (*settings).mapping_generation & 1 == 0 {
                    add(&raw mut (*settings).mapping_generation, 1);
                }
            }
        }
        tell(EVENT_LOADER, tgid);
        stop_if(flags & TARGET_STOP_AT_LOADER);
    }
    0
}

#[inline(always)]
fn tell(kind: u32, tgid: u32) {
    // A full buffer is no loss: user space looks at the process anyway.
    let _ = EVENTS.output::<Event>(&Event { kind, tgid }, 0);
}

#[inline(always)]
fn stop_if(flag: u32) {
    if flag != 0 {
        // SAFETY: signals the current process, which memtrace started.
        unsafe { bpf_send_signal(SIGSTOP) };
    }
}
