//! Who sends, reads, accepts and connects: the stacks of targets at their sockets.
//!
//! The bytes are the iterators' to tell. Here a socket is given marks: from this byte
//! on that stack wrote (`tracer_common::socket::SocketCalls`).
//!
//! Three ways to see a send, the first that loads: the kernel's allocator of send
//! buffers by fentry (Linux 5.5), the same by kprobe, the tracepoints of send and
//! receive (Linux 6.5). An allocator is also called by the network's side, for
//! retransmits; then it may not sleep, and nobody's stack is to be taken.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_get_current_task, bpf_ktime_get_ns},
    macros::{btf_tracepoint, fentry, kprobe},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext},
};
use tracer_common::{
    counter::Counter,
    socket::{KEY_IS_INODE, MARKS, Mark, RECENT_CALLS, RecentReader, RecentSender, SocketCalls},
    source::Source,
};

use super::{
    access::{Access, Stream, Typed, Untyped},
    fill_ends, global, is_tcp, key_of, member, number, offset,
    site::Sites,
};
use crate::{
    arch::Registers,
    heap::open_gate,
    maps::{NEW_SOCKET, READERS_SEEN, SENDERS_SEEN, SOCKETS, count},
    space,
    unwind::{Bounded, Loop},
};

/// Which argument of the allocator of send buffers is `gfp_t`. Set when loading.
#[unsafe(no_mangle)]
static GFP_ARGUMENT: u32 = 0;

/// It was looked at and stays where it is.
const MSG_PEEK: i32 = 2;
/// `TCP_SYN_SENT`.
const STATE_SYN_SENT: u8 = 2;
/// `__GFP_DIRECT_RECLAIM` (include/linux/gfp_types.h): the caller may sleep.
const MAY_SLEEP: u32 = 0x400;

/// `sock_send_length`: a message was sent.
#[btf_tracepoint(function = "sock_send_length")]
pub fn socket_sent(context: BtfTracePointContext) -> i32 {
    // TP_PROTO(struct sock *sk, int ret, int flags)
    let (sock, result): (*mut c_void, i32) = (context.arg(0), context.arg(1));
    if result > 0 {
        let _ = sent::<Loop, Typed>(sock, result as u32);
    }
    0
}

/// `sock_recv_length`: a message was read.
#[btf_tracepoint(function = "sock_recv_length")]
pub fn socket_received(context: BtfTracePointContext) -> i32 {
    // TP_PROTO(struct sock *sk, int ret, int flags)
    let (result, flags): (i32, i32) = (context.arg(1), context.arg(2));
    if result > 0 && flags & MSG_PEEK == 0 {
        let _ = received::<Loop, Typed>(context.arg(0));
    }
    0
}

/// `tcp_stream_alloc_skb`, up to Linux 5.15 `sk_stream_alloc_skb`: a buffer for what is
/// being sent.
#[fentry]
pub fn socket_allocated(context: FEntryContext) -> i32 {
    allocated_fentry::<Loop, Typed>(&context);
    0
}

/// The same for kernels without `bpf_loop`.
#[fentry]
pub fn socket_allocated_bounded(context: FEntryContext) -> i32 {
    // With the other key it would need more stack than there is.
    allocated_fentry::<Bounded, Untyped>(&context);
    0
}

#[inline(always)]
fn allocated_fentry<R: Sites, A: Access>(context: &FEntryContext) {
    let arguments: *const u64 = context.as_ptr().cast();
    // SAFETY: both versions of the function have three arguments and more.
    let flags = unsafe { flags_of(arguments.add(1), arguments.add(2)) };
    let sock: *mut c_void = context.arg(0);
    if flags as u32 & MAY_SLEEP != 0 && !is_connecting(sock) {
        let _ = sent::<R, A>(sock, 0);
    }
}

/// `tcp_recvmsg`: somebody reads.
#[fentry]
pub fn socket_reads(context: FEntryContext) -> i32 {
    let _ = received::<Loop, Typed>(context.arg(0));
    0
}

/// The same for kernels without `bpf_loop`.
#[fentry]
pub fn socket_reads_bounded(context: FEntryContext) -> i32 {
    let _ = received::<Bounded, Untyped>(context.arg(0));
    0
}

/// As [`socket_allocated`], by kprobe.
#[kprobe]
pub fn socket_allocated_probe(context: ProbeContext) -> u32 {
    allocated_kprobe::<Loop>(&context);
    0
}

/// The same for kernels without `bpf_loop`.
#[kprobe]
pub fn socket_allocated_probe_bounded(context: ProbeContext) -> u32 {
    allocated_kprobe::<Bounded>(&context);
    0
}

#[inline(always)]
fn allocated_kprobe<R: Sites>(context: &ProbeContext) {
    let registers = Registers::new(context.regs);
    // SAFETY: the context the kernel passed.
    let flags = unsafe {
        flags_of(
            &raw const (*context.regs).rsi,
            &raw const (*context.regs).rdx,
        )
    };
    let sock = registers.first_argument() as *mut c_void;
    if flags as u32 & MAY_SLEEP != 0 && !is_connecting(sock) {
        let _ = sent::<R, Untyped>(sock, 0);
    }
}

/// What is allocated then is for the handshake.
#[inline(always)]
fn is_connecting(sock: *mut c_void) -> bool {
    member(sock as u64, offset!(state)) == Some(STATE_SYN_SENT)
}

/// The allocator's `gfp_t`. Both are read: the verifier allows no reading of either.
///
/// # Safety
/// Both are parts of a program's context.
#[inline(always)]
unsafe fn flags_of(second: *const u64, third: *const u64) -> u64 {
    // SAFETY: the caller's. Volatile: else the compiler reads through one pointer.
    let (second, third) = unsafe { (second.read_volatile(), third.read_volatile()) };
    if global!(GFP_ARGUMENT) == 2 {
        third
    } else {
        second
    }
}

/// As [`socket_reads`], by kprobe.
#[kprobe]
pub fn socket_reads_probe(context: ProbeContext) -> u32 {
    let sock = Registers::new(context.regs).first_argument();
    let _ = received::<Loop, Untyped>(sock as *mut c_void);
    0
}

/// The same for kernels without `bpf_loop`.
#[kprobe]
pub fn socket_reads_probe_bounded(context: ProbeContext) -> u32 {
    let sock = Registers::new(context.regs).first_argument();
    let _ = received::<Bounded, Untyped>(sock as *mut c_void);
    0
}

/// The record of a socket, made at its first call.
#[inline(always)]
fn calls_of(key: u64, sock: u64) -> Option<*mut SocketCalls> {
    if let Some(calls) = SOCKETS.get_ptr_mut(key) {
        return Some(calls);
    }
    new_calls(key, sock);
    SOCKETS.get_ptr_mut(key)
}

/// A function of its own: its callers' stacks have no room left.
#[inline(never)]
fn new_calls(key: u64, sock: u64) {
    let Some(none) = NEW_SOCKET.get(0) else {
        return;
    };
    let _ = SOCKETS.insert(key, none, u64::from(BPF_NOEXIST));
    match SOCKETS.get_ptr_mut(key) {
        Some(calls) if key & KEY_IS_INODE != 0 => {
            // SAFETY: a map value.
            fill_ends(sock, unsafe { &mut (*calls).ends });
        }
        Some(_) => {}
        None => count(Counter::SocketTableFull, 1, 0),
    }
}

/// Bytes were sent, `size` of them already, or are about to be.
#[inline(always)]
fn sent<R: Sites, A: Access>(sock: *mut c_void, size: u32) -> Option<()> {
    let control = open_gate()?;
    let space = space::current()?;
    let Stream { written, queue } = A::stream(sock)?;
    let cookie = A::cookie(sock)?;
    let recent = SENDERS_SEEN.get_ptr_mut(cookie as u32 % RECENT_CALLS)?;
    // SAFETY: a map value; see `RecentReader` for what two threads can do to each other.
    let recent = unsafe { &mut *recent };
    if recent.covers(cookie, space, control.now_mark, queue) {
        return None;
    }
    let calls = calls_of(A::key(sock)?, sock as u64)?;
    // SAFETY: as above, see `SocketCalls`.
    let calls = unsafe { &mut *calls };
    calls.space = space;
    calls.written = written;
    if calls.is_send_due(queue, written, control.now_mark, now) {
        let site = R::site(control, space, Source::Send)?;
        mark(calls, site, written.wrapping_sub(size));
        calls.sent_stack_time = now();
        calls.sent_mark = control.now_mark;
        calls.queue_at_stack = queue;
        calls.written_at_stack = written;
    }
    if cookie != 0 {
        *recent = RecentSender {
            cookie,
            space,
            mark: calls.sent_mark,
            queue: calls.queue_at_stack,
            reserved: 0,
        };
    }
    Some(())
}

/// From byte `start` on, this site writes.
#[inline(always)]
fn mark(calls: &mut SocketCalls, site: u64, start: u32) {
    let last = calls.senders[calls.marks.wrapping_sub(1) as usize % MARKS];
    if calls.marks == 0 || last.site != site {
        calls.senders[calls.marks as usize % MARKS] = Mark {
            site,
            start,
            reserved: 0,
        };
        calls.marks = calls.marks.wrapping_add(1);
    }
}

#[inline(always)]
fn received<R: Sites, A: Access>(sock: *mut c_void) -> Option<()> {
    let control = open_gate()?;
    let space = space::current()?;
    let cookie = A::cookie(sock)?;
    let recent = READERS_SEEN.get_ptr_mut(cookie as u32 % RECENT_CALLS)?;
    // SAFETY: a map value; see `RecentReader` for what two threads can do to each other.
    let recent = unsafe { &mut *recent };
    if recent.covers(cookie, space, control.now_mark) {
        return None;
    }
    A::stream(sock)?;
    let calls = calls_of(A::key(sock)?, sock as u64)?;
    // SAFETY: as above.
    let calls = unsafe { &mut *calls };
    calls.space = space;
    if calls.is_read_due(control.now_mark) {
        calls.reader = R::site(control, space, Source::Receive)?;
        calls.read_mark = control.now_mark;
    }
    if cookie != 0 {
        *recent = RecentReader {
            cookie,
            space,
            mark: calls.read_mark,
        };
    }
    Some(())
}

/// A connection was accepted or connected, with this descriptor, by this site. A
/// function of its own: the caller's stack has no room left.
#[inline(never)]
pub fn opened(descriptor: u64, space: u32, site: u64) {
    let _ = keep_opener(descriptor, space, site);
}

#[inline(always)]
fn keep_opener(descriptor: u64, space: u32, site: u64) -> Option<()> {
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    let files: u64 = member(task, offset!(task_files))?;
    let table: u64 = member(files, offset!(files_table))?;
    if descriptor >= u64::from(number(table, offset!(table_size))) {
        return None;
    }
    let files: u64 = member(table, offset!(table_files))?;
    let file: u64 = member(files + descriptor * 8, 0)?;
    // Of a socket, as accept and connect have found.
    let socket: u64 = member(file, offset!(file_private))?;
    let sock: u64 = member(socket, offset!(socket_sock))?;
    if !is_tcp(sock) {
        return None;
    }
    let calls = calls_of(key_of(sock)?, sock)?;
    // SAFETY: a map value.
    unsafe {
        (*calls).space = space;
        (*calls).opener = site;
    }
    Some(())
}

#[inline(always)]
fn now() -> u64 {
    // SAFETY: no arguments.
    unsafe { bpf_ktime_get_ns() }
}
