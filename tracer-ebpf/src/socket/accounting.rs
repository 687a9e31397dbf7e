//! The memory that TCP takes and gives back, host-wide, in bytes of whole pages
//! (net/core/sock.c): `raised + forced − reduced` is what it holds more than before.
//!
//! What was raised counts only if the call succeeds, and how much was forced is seen
//! by comparing the socket before and after: both need the entry and the return. A
//! call can be interrupted by the network's, which returns first: they are a stack.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_smp_processor_id},
    macros::{fentry, fexit, kprobe, kretprobe},
    programs::{FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};
use tracer_common::{counter::Counter, socket::PendingAccounts};

use super::{is_tcp, number, offset};
use crate::{
    arch::Registers,
    heap::open_gate,
    maps::{ACCOUNTING, count},
};

/// `__sk_mem_raise_allocated(sk, size, amount, kind)`, at its return.
#[fexit]
pub fn socket_raised(context: FExitContext) -> i32 {
    let (sock, pages, raised): (u64, i32, i32) = (context.arg(0), context.arg(2), context.arg(4));
    if raised != 0 {
        add(Counter::SocketRaised, sock, pages);
    }
    0
}

/// `__sk_mem_reduce_allocated(sk, amount)`.
#[fentry]
pub fn socket_reduced(context: FEntryContext) -> i32 {
    add(Counter::SocketReduced, context.arg(0), context.arg(1));
    0
}

/// `sk_forced_mem_schedule(sk, size)`.
#[fentry]
pub fn socket_forces(context: FEntryContext) -> i32 {
    let sock: u64 = context.arg(0);
    begin(sock, number(sock, offset!(forward_allocated)));
    0
}

/// The same, at its return.
#[fexit]
pub fn socket_forced(_context: FExitContext) -> i32 {
    count_forced();
    0
}

/// As [`socket_raised`], by kprobe: at the entry.
#[kprobe]
pub fn socket_raises_probe(context: ProbeContext) -> u32 {
    let registers = Registers::new(context.regs);
    begin(
        registers.first_argument(),
        registers.third_argument() as u32,
    );
    0
}

/// And at the return.
#[kretprobe]
pub fn socket_raised_probe(context: RetProbeContext) -> u32 {
    if let Some((sock, pages)) = end()
        && Registers::new(context.regs).result() as u32 != 0
    {
        add(Counter::SocketRaised, sock, pages as i32);
    }
    0
}

/// As [`socket_reduced`], by kprobe.
#[kprobe]
pub fn socket_reduced_probe(context: ProbeContext) -> u32 {
    let registers = Registers::new(context.regs);
    let pages = registers.second_argument() as i32;
    add(Counter::SocketReduced, registers.first_argument(), pages);
    0
}

/// As [`socket_forces`], by kprobe.
#[kprobe]
pub fn socket_forces_probe(context: ProbeContext) -> u32 {
    let sock = Registers::new(context.regs).first_argument();
    begin(sock, number(sock, offset!(forward_allocated)));
    0
}

/// As [`socket_forced`], by kprobe.
#[kretprobe]
pub fn socket_forced_probe(_context: RetProbeContext) -> u32 {
    count_forced();
    0
}

#[inline(always)]
fn count_forced() {
    if let Some((sock, before)) = end() {
        let after = number(sock, offset!(forward_allocated));
        let pages = after.wrapping_sub(before) as i32 >> PAGE_SHIFT;
        add(Counter::SocketForced, sock, pages);
    }
}

const PAGE_SHIFT: u32 = 12;

/// Counts pages of a TCP socket.
#[inline(always)]
fn add(counter: Counter, sock: u64, pages: i32) {
    if pages > 0 && open_gate().is_some() && is_tcp(sock) {
        count(counter, 1, (pages as u64) << PAGE_SHIFT);
    }
}

/// The current thread; each processor's idle one for itself.
#[inline(always)]
fn thread() -> u64 {
    match bpf_get_current_pid_tgid() {
        // SAFETY: no arguments.
        0 => 1 << 63 | u64::from(unsafe { bpf_get_smp_processor_id() }),
        thread => thread,
    }
}

#[inline(always)]
fn begin(sock: u64, value: u32) {
    let thread = thread();
    if ACCOUNTING.get_ptr_mut(thread).is_none() {
        let none = PendingAccounts::default();
        let _ = ACCOUNTING.insert(thread, &none, u64::from(BPF_NOEXIST));
    }
    if let Some(pending) = ACCOUNTING.get_ptr_mut(thread) {
        // SAFETY: a map value; who interrupts this leaves it as it was.
        unsafe { (*pending).push(sock, value) };
    }
}

#[inline(always)]
fn end() -> Option<(u64, u32)> {
    let pending = ACCOUNTING.get_ptr_mut(thread())?;
    // SAFETY: as above.
    unsafe { (*pending).pop() }
}
