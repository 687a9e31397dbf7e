//! What targets do to their mappings: mmap, munmap, mremap, mprotect and brk. And who
//! accepts and connects sockets: what it says of that is `socket`'s to keep.
//!
//! Mapping calls are few and their ranges split and merge, which a hash cannot
//! do: each goes to user space as an event. What one call can do to a range
//! that another thread may get at once is told when the call is entered, and
//! what it makes when it returns (see `tracer_common::mapping`).
//!
//! These tracepoints see every system call of every process: the number is
//! looked at first, the process only then. Two programs that do nothing cost a
//! system call 130 ns, these 150.

use aya_ebpf::{
    bindings::pt_regs,
    helpers::{
        bpf_get_current_pid_tgid, bpf_probe_read_kernel, bpf_probe_read_user,
        generated::bpf_ktime_get_ns,
    },
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use tracer_common::{
    call::Call,
    counter::Counter,
    function::{Function, Shape},
    ledger::Block,
    mapping::{BY_ALLOCATOR, MappingEvent, MappingKind},
    source::Source,
};

use crate::{
    arch::{Entered, ends_with_call, system_call},
    heap::{open_gate, thread_calls},
    maps::{MAPPING_EVENTS, count},
    socket, space,
    stack::{self, Start},
    unwind::{Bounded, Loop, Rounds},
};

const MAP_FIXED: u64 = 0x10;
const MREMAP_DONTUNMAP: u64 = 4;
const PROT_NONE: u64 = 0;
/// The largest result that is an error (`MAX_ERRNO`, include/linux/err.h).
const ERRORS: u64 = -4095_i64 as u64;
/// `-EINPROGRESS`: connect has begun.
const IN_PROGRESS: u64 = -115_i64 as u64;
/// User space looks for these on its own.
const NO_WAKEUP: u64 = 1;

/// Raw tracepoint `sys_enter`: what takes mappings away.
#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn mapping_enter(context: RawTracePointContext) -> i32 {
    // TP_PROTO(struct pt_regs *regs, long id)
    let call: u64 = context.arg(1);
    if matches!(
        call,
        system_call::MMAP | system_call::MUNMAP | system_call::MREMAP
    ) {
        let _ = entered(call, context.arg(0));
    }
    0
}

/// Raw tracepoint `sys_exit`: what makes mappings, and what came of it.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn mapping_exit(context: RawTracePointContext) -> i32 {
    returned::<Loop>(context);
    0
}

/// The same for kernels without `bpf_loop`.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn mapping_exit_bounded(context: RawTracePointContext) -> i32 {
    returned::<Bounded>(context);
    0
}

#[inline(always)]
fn returned<R: Rounds>(context: RawTracePointContext) {
    // TP_PROTO(struct pt_regs *regs, long ret)
    let registers: *const pt_regs = context.arg(0);
    // SAFETY: faults are handled by the helper.
    let call = unsafe { bpf_probe_read_kernel(&raw const (*registers).orig_rax) };
    if let Ok(call) = call
        && (is_mapping_call(call) || (R::TELLS_OPENERS && opens_socket(call)))
    {
        let _ = left::<R>(call, registers, context.arg(1));
    }
}

#[inline(always)]
const fn is_mapping_call(call: u64) -> bool {
    matches!(
        call,
        system_call::MMAP
            | system_call::MUNMAP
            | system_call::MREMAP
            | system_call::MPROTECT
            | system_call::BRK
    )
}

#[inline(always)]
const fn opens_socket(call: u64) -> bool {
    matches!(
        call,
        system_call::CONNECT | system_call::ACCEPT | system_call::ACCEPT4
    )
}

#[inline(always)]
fn entered(call: u64, registers: *const pt_regs) -> Option<()> {
    open_gate()?;
    let space = space::current()?;
    let registers = &Entered::read(registers)?;
    let kind = match call {
        system_call::MMAP if registers.fourth_argument() & MAP_FIXED == 0 => return None,
        system_call::MREMAP if is_odd(registers) => return None,
        system_call::MREMAP => MappingKind::Taken,
        _ => MappingKind::Unmapped,
    };
    tell(&MappingEvent {
        time: now(),
        start: registers.first_argument(),
        length: registers.second_argument(),
        space,
        kind: kind as u32,
        thread: thread(),
        ..MappingEvent::default()
    });
    Some(())
}

/// An mremap that leaves the old mapping where it is.
#[inline(always)]
fn is_odd(registers: &Entered) -> bool {
    registers.second_argument() == 0 || registers.fourth_argument() & MREMAP_DONTUNMAP != 0
}

#[inline(always)]
fn left<R: Rounds>(call: u64, registers: *const pt_regs, result: u64) -> Option<()> {
    open_gate()?;
    let space = space::current()?;
    let registers = &Entered::read(registers)?;
    let failed = result >= ERRORS;
    let (first, second, third) = (
        registers.first_argument(),
        registers.second_argument(),
        registers.third_argument(),
    );
    let mut event = MappingEvent {
        start: result,
        length: second,
        space,
        thread: thread(),
        ..MappingEvent::default()
    };
    let (kind, source) = match call {
        system_call::ACCEPT | system_call::ACCEPT4 if R::TELLS_OPENERS && !failed => {
            (MappingKind::Opened, Some(Source::Accept))
        }
        system_call::CONNECT if R::TELLS_OPENERS && (!failed || result == IN_PROGRESS) => {
            event.start = first;
            (MappingKind::Opened, Some(Source::Connect))
        }
        system_call::CONNECT | system_call::ACCEPT | system_call::ACCEPT4 => return None,
        // It may have unmapped what stood there.
        system_call::MMAP if failed && registers.fourth_argument() & MAP_FIXED == 0 => return None,
        system_call::MUNMAP if !failed => return None,
        _ if failed => (MappingKind::Unclear, None),
        system_call::MMAP => {
            event.protection = third as u32;
            event.flags = registers.fourth_argument() as u32 & !BY_ALLOCATOR;
            (MappingKind::Mapped, Some(Source::Mmap))
        }
        system_call::MREMAP if is_odd(registers) => (MappingKind::Unclear, None),
        system_call::MREMAP => {
            event.length = third;
            (MappingKind::Moved, Some(Source::Mremap))
        }
        system_call::MPROTECT => {
            event.start = first;
            event.protection = third as u32;
            let makes_usable = third != PROT_NONE;
            let source = if makes_usable {
                Some(Source::Mprotect)
            } else {
                None
            };
            (MappingKind::Protected, source)
        }
        _ => (MappingKind::Break, Some(Source::Brk)),
    };
    match source {
        Some(source) => add_origin::<R>(&mut event, registers, kind, source)?,
        None => event.kind = kind as u32,
    }
    if R::TELLS_OPENERS && event.kind == MappingKind::Opened as u32 {
        socket::opened(event.start, event.space, event.site);
        return Some(());
    }
    // Last, so that it is after the call, and before anyone hears of it.
    event.time = now();
    tell(&event);
    Some(())
}

/// Who asked: an allocator, or the program, whose stack is then taken.
#[inline(always)]
fn add_origin<R: Rounds>(
    event: &mut MappingEvent,
    registers: &Entered,
    kind: MappingKind,
    source: Source,
) -> Option<()> {
    let control = open_gate()?;
    let stack_pointer = registers.stack_pointer();
    let calls = thread_calls(event.length)?;
    // Through the map: the verifier then no longer knows which call it was, and
    // checks what follows once, not once for each (6.12 gives up on it).
    // SAFETY: the thread's own record; its scratch is not in use.
    let (kind, function) = unsafe {
        let window = &raw mut (*calls).window;
        (*window)[0] = kind as u64;
        (*window)[1] = Function::new(source, Shape::Size, 0).cookie();
        (
            core::ptr::read_volatile(&raw const (*window)[0]),
            core::ptr::read_volatile(&raw const (*window)[1]),
        )
    };
    event.kind = kind as u32;
    // SAFETY: the thread's own record.
    let pending = unsafe { [&(*calls).current, &(*calls).suspended] };
    let within = |call: &Call| call.is_pending() && stack_pointer < call.stack_pointer;
    if within(pending[0]) || within(pending[1]) {
        event.flags |= BY_ALLOCATOR;
        return Some(());
    }
    let call = Call {
        function: Function::from_cookie(function),
        space: event.space,
        stack_pointer,
        size: event.length,
        pointer: 0,
        taken: Block::default(),
        slice: 0,
        reserved: 0,
    };
    let mut start = Start {
        code: registers.code(),
        stack_pointer,
        frame_pointer: registers.frame_pointer(),
    };
    if kind != MappingKind::Opened as u64
        && let Some(caller) = caller(stack_pointer)
    {
        start.code = caller;
        start.stack_pointer = stack_pointer.wrapping_add(8);
    }
    let (site, _) = stack::site_of::<R>(start, control, calls, &call)?;
    event.site = site;
    Some(())
}

/// libc's functions for mapping calls have no frame: the return address stands
/// at the stack pointer. Elsewhere anything does.
#[inline(always)]
fn caller(stack_pointer: u64) -> Option<u64> {
    // SAFETY: faults are handled by the helper.
    let address = unsafe { bpf_probe_read_user(stack_pointer as *const u64) }.ok()?;
    // SAFETY: likewise.
    let before = unsafe { bpf_probe_read_user(address.wrapping_sub(8) as *const u64) }.ok()?;
    ends_with_call(before).then_some(address)
}

#[inline(always)]
fn thread() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
fn tell(event: &MappingEvent) {
    if MAPPING_EVENTS
        .output::<MappingEvent>(event, NO_WAKEUP)
        .is_err()
    {
        count(Counter::MappingDropped, 1, event.length);
    }
}
