//! The life of a target: exec, the loader's changes, the end of threads.

use aya_ebpf::{
    bindings::BPF_ANY,
    helpers::{
        bpf_get_current_pid_tgid, bpf_probe_read_kernel,
        generated::{bpf_get_current_task, bpf_ktime_get_ns, bpf_send_signal},
    },
    macros::{raw_tracepoint, uprobe},
    programs::{ProbeContext, RawTracePointContext},
};
use tracer_common::{
    control::{
        EVENT_EXEC, EVENT_EXIT, EVENT_FORK, EVENT_LOADER, Event, TARGET_FOLLOW,
        TARGET_SHARES_SPACE, TARGET_STOP_AT_EXEC, TARGET_STOP_AT_LOADER, Target,
    },
    counter::Counter,
};

use crate::{
    heap::{self, count_missed_return},
    maps::{EVENTS, SPACE_SETTINGS, TARGETS, THREADS, add, count},
    space,
};

const SIGSTOP: u32 = 19;
/// Of `flags` in `struct task_struct` (include/linux/sched.h): the thread has begun to end.
const PF_EXITING: u32 = 4;

/// Offsets in the kernel's structures, from its BTF. Set when loading.
#[unsafe(no_mangle)]
static TGID_OFFSET: u64 = 0;
#[unsafe(no_mangle)]
static SIGNAL_OFFSET: u64 = 0;
#[unsafe(no_mangle)]
static EXIT_CODE_OFFSET: u64 = 0;
/// Of `live` in `struct signal_struct`: how many threads of the group have not ended.
#[unsafe(no_mangle)]
static LIVE_OFFSET: u64 = 0;
#[unsafe(no_mangle)]
static PARENT_OFFSET: u64 = 0;
#[unsafe(no_mangle)]
static FLAGS_OFFSET: u64 = 0;
/// memtrace's own thread group. Set when loading.
#[unsafe(no_mangle)]
static OWN_TGID: u32 = 0;

/// A member of a kernel structure.
#[inline(always)]
fn member<T>(structure: u64, offset: &u64) -> Option<T> {
    // SAFETY: a global that user space sets before the object is loaded.
    let offset = unsafe { core::ptr::read_volatile(offset) };
    // SAFETY: faults are handled by the helper.
    unsafe { bpf_probe_read_kernel((structure + offset) as *const T) }.ok()
}

/// The thread group of a task.
#[inline(always)]
pub fn thread_group(task: u64) -> Option<u32> {
    member(task, &TGID_OFFSET)
}

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
    let (flags, wakeup) = unsafe { leave_space(&mut *target) };
    let _ = THREADS.remove(thread);
    let stops = flags & TARGET_STOP_AT_EXEC;
    stop_if(stops);
    let wakeup = if stops != 0 { WAKEUP } else { wakeup };
    tell(EVENT_EXEC, tgid, 0, 0, wakeup);
    0
}

/// The default: wakes user space unless it is awake.
const WAKEUP: u32 = 0;
/// `BPF_RB_NO_WAKEUP`: user space finds the event when it looks next.
const NO_WAKEUP: u32 = 1;

/// The target has no address space any more; its flags, and whether user space
/// must hear of it at once: what becomes of a child that is not traced yet can
/// wait until it is to be attached to.
#[inline(always)]
fn leave_space(target: &mut Target) -> (u32, u32) {
    let wakeup = if target.space == 0 { NO_WAKEUP } else { WAKEUP };
    // In another's space it was a guest, and has bound nothing.
    if target.flags & TARGET_SHARES_SPACE == 0 {
        space::unbind(target.mm);
    }
    target.mm = 0;
    target.space = 0;
    target.flags &= !TARGET_SHARES_SPACE;
    (target.flags, wakeup)
}

/// Raw tracepoint `sched_process_fork`: the target's children, which are
/// counted so that the report can tell of them, or followed.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_fork(context: RawTracePointContext) -> i32 {
    let _ = fork(context);
    0
}

#[inline(always)]
fn fork(context: RawTracePointContext) -> Option<()> {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    // SAFETY: the value is copied at once.
    let parent = *unsafe { TARGETS.get(tgid) }?;
    // TP_PROTO(struct task_struct *parent, struct task_struct *child)
    let child = context.arg::<*const u8>(1) as u64;
    let child_tgid = thread_group(child)?;
    if child_tgid == tgid {
        return None;
    }
    count(Counter::ChildProcess, 1, 0);
    if parent.flags & TARGET_FOLLOW == 0 {
        return None;
    }
    let mut flags = TARGET_FOLLOW;
    if space::mm_of(child) == space::current_mm() {
        flags |= TARGET_SHARES_SPACE;
        // Bound while it is its owner's turn: the guest cannot do so.
        let _ = space::current();
    }
    let target = Target {
        mm: 0,
        space: 0,
        flags,
    };
    // Before it runs: it may exec or fork before user space has heard of it.
    TARGETS
        .insert(child_tgid, target, u64::from(BPF_ANY))
        .ok()?;
    tell(EVENT_FORK, tgid, child_tgid, flags, WAKEUP);
    Some(())
}

/// Raw tracepoint `sched_process_exit`, for each thread: its record goes, and
/// calls that it never returned from are counted. With the last one the
/// process is no target any more.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn thread_exit(_context: RawTracePointContext) -> i32 {
    let thread = bpf_get_current_pid_tgid();
    let _ = end_of_process((thread >> 32) as u32);
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

#[inline(always)]
fn end_of_process(tgid: u32) -> Option<()> {
    let target = TARGETS.get_ptr_mut(tgid)?;
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    // The thread that ends has already been taken from the number
    // (`do_exit`, kernel/exit.c).
    let live: u32 = member(member(task, &SIGNAL_OFFSET)?, &LIVE_OFFSET)?;
    if live != 0 {
        return None;
    }
    // SAFETY: a map value; this is the only thread the group has left.
    let (_, wakeup) = unsafe { leave_space(&mut *target) };
    let _ = TARGETS.remove(tgid);
    let status = member(task, &EXIT_CODE_OFFSET)?;
    tell(EVENT_EXIT, tgid, status, 0, wakeup);
    Some(())
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
        stop_if(flags & TARGET_STOP_AT_LOADER);
        tell(EVENT_LOADER, tgid, 0, 0, WAKEUP);
    }
    0
}

/// Tells user space, after what it may undo: a stop comes before its report,
/// or the report could be answered before the stop.
#[inline(always)]
fn tell(kind: u32, tgid: u32, value: u32, flags: u32, wakeup: u32) {
    let event = Event {
        kind,
        tgid,
        value,
        flags,
        // SAFETY: no arguments.
        time: unsafe { bpf_ktime_get_ns() },
    };
    // What finds the buffer full is no loss unseen: user space looks at each
    // process anyway, and children are counted apart.
    let _ = EVENTS.output::<Event>(&event, u64::from(wakeup));
}

/// Stops the current process, which memtrace started, unless it may be that nobody lets it
/// go on again: its parent's death does so with a signal, and that has been sent by now, or
/// soon will be, where the parent is ending; our probes outlive that for a moment.
#[inline(always)]
fn stop_if(flag: u32) {
    if flag != 0 && is_parent_alive() == Some(true) {
        // SAFETY: signals the current process, which memtrace started.
        unsafe { bpf_send_signal(SIGSTOP) };
    }
}

/// Whether a thread of memtrace is the parent of the current process, and is not ending.
#[inline(always)]
fn is_parent_alive() -> Option<bool> {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    let parent = member(task, &PARENT_OFFSET)?;
    let flags: u32 = member(parent, &FLAGS_OFFSET)?;
    // SAFETY: a global that user space sets before the object is loaded.
    let own = unsafe { core::ptr::read_volatile(&raw const OWN_TGID) };
    Some(thread_group(parent)? == own && flags & PF_EXITING == 0)
}
