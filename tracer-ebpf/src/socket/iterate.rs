//! Iterators over sockets: what is there now, with its memory.
//!
//! `iter/tcp` (net/ipv4/tcp_ipv4.c) goes through the TCP sockets of the network
//! namespace it was opened in, those without a file too, and gives each its cookie;
//! `iter/task_file` (kernel/bpf/task_iter.c) tells who has them open, and has the
//! sockets of other kinds. Linux 5.12: before, no iterator can ask for a cookie.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{file, seq_file, task_struct},
    helpers::bpf_loop,
    helpers::generated::{bpf_get_socket_cookie, bpf_jiffies64, bpf_seq_write, bpf_sock_from_file},
};
use tracer_common::socket::{
    AcceptRecord, FLAG_COUNTS_RECEIVED, FLAG_DEAD, FLAG_HAS_FILE, FLAG_UPPER_LAYER, OwnerRecord,
    RECORD_ACCEPT, RECORD_OWNER, RECORD_SOCKET, STATE_LISTEN, STATE_NEW_SYN_RECEIVED,
    STATE_TIME_WAIT, SocketRecord, TCP,
};

use super::{AF_INET, AF_INET6, fill_ends, inode_of, is_tcp, member, number, offset};

const AF_UNIX: u16 = 1;
/// `IPPROTO_UDP`, `IPPROTO_UDPLITE`.
const UDP: u16 = 17;
const UDPLITE: u16 = 136;
/// `IPPROTO_MPTCP`: its connections are TCP sockets with the same inode.
const MPTCP: u16 = 262;
/// `TCP_CLOSE`.
const STATE_CLOSE: u8 = 7;
/// Connections of one accept queue that are told of; of more it is known how many.
const ACCEPT_QUEUE_MAX: u32 = 1024;
/// The verifier follows every turn: 0.4 ms each.
const ACCEPT_QUEUE_MAX_BOUNDED: u32 = 64;

/// The beginning of `struct bpf_iter_meta`.
#[repr(C)]
struct Meta {
    sequence: *mut seq_file,
}

/// `struct bpf_iter__tcp`.
#[repr(C)]
pub struct TcpIteration {
    meta: *const Meta,
    sock_common: *mut c_void,
}

/// `struct bpf_iter__task_file`.
#[repr(C)]
pub struct FileIteration {
    meta: *const Meta,
    task: *const task_struct,
    descriptor: u32,
    file: *mut file,
}

/// Every TCP socket of a network namespace.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
pub fn sockets_tcp(context: *const TcpIteration) -> i32 {
    // SAFETY: the context the kernel passed, whose loads the verifier checks.
    let (meta, sock) = unsafe { ((*context).meta, (*context).sock_common) };
    if sock.is_null() {
        return 0;
    }
    if matches!(
        member(sock as u64, offset!(state)),
        Some(STATE_TIME_WAIT | STATE_NEW_SYN_RECEIVED) | None
    ) {
        return 0;
    }
    let mut record = SocketRecord {
        // SAFETY: a socket, as the verifier knows.
        cookie: unsafe { bpf_get_socket_cookie(sock) },
        ..SocketRecord::default()
    };
    let sock = sock as u64;
    fill(sock, &mut record);
    fill_tcp(sock, &mut record);
    write(meta, &record);
    0
}

/// The accept queues of a network namespace, by listener. The iterator holds the
/// listener's lock: nobody accepts meanwhile.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
pub fn sockets_accept(context: *const TcpIteration) -> i32 {
    if let Some(mut queue) = accept_queue(context) {
        // SAFETY: `next` takes what it is given, and returns before `queue` goes.
        unsafe {
            bpf_loop(
                ACCEPT_QUEUE_MAX,
                next as *mut c_void,
                (&raw mut queue).cast(),
                0,
            );
        }
    }
    0
}

/// The same for kernels without `bpf_loop` (before Linux 5.17).
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
pub fn sockets_accept_bounded(context: *const TcpIteration) -> i32 {
    if let Some(mut queue) = accept_queue(context) {
        for _ in 0..ACCEPT_QUEUE_MAX_BOUNDED {
            if !queue.tell() {
                break;
            }
        }
    }
    0
}

/// The accept queue of a listener.
struct AcceptQueue {
    meta: *const Meta,
    /// The connection that comes next, by its `struct request_sock`.
    request: u64,
    record: AcceptRecord,
}

#[inline(always)]
fn accept_queue(context: *const TcpIteration) -> Option<AcceptQueue> {
    // SAFETY: the context the kernel passed, whose loads the verifier checks.
    let (meta, sock) = unsafe { ((*context).meta, (*context).sock_common) };
    if sock.is_null() || member(sock as u64, offset!(state)) != Some(STATE_LISTEN) {
        return None;
    }
    Some(AcceptQueue {
        meta,
        request: member(sock as u64, offset!(accept_head))?,
        record: AcceptRecord {
            record: RECORD_ACCEPT,
            // SAFETY: a socket, as the verifier knows.
            listener: unsafe { bpf_get_socket_cookie(sock) },
            ..AcceptRecord::default()
        },
    })
}

impl AcceptQueue {
    /// Tells of the next connection; `false` if there is none.
    #[inline(always)]
    fn tell(&mut self) -> bool {
        if self.request == 0 {
            return false;
        }
        let connection: u64 = member(self.request, offset!(request_socket)).unwrap_or(0);
        self.record.connection = member(connection, offset!(cookie)).unwrap_or(0);
        write(self.meta, &self.record);
        self.request = member(self.request, offset!(request_next)).unwrap_or(0);
        true
    }
}

/// One turn of a `bpf_loop`; 1 ends it.
#[inline(never)]
extern "C" fn next(_turn: u32, queue: *mut AcceptQueue) -> i64 {
    // SAFETY: what `sockets_accept` passed.
    i64::from(!unsafe { (*queue).tell() })
}

/// Every file of every process that is a socket.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub fn sockets_files(context: *const FileIteration) -> i32 {
    // SAFETY: the context the kernel passed, whose loads the verifier checks.
    let (meta, task, descriptor, file) = unsafe {
        (
            (*context).meta,
            (*context).task,
            (*context).descriptor,
            (*context).file,
        )
    };
    if task.is_null() || file.is_null() {
        return 0;
    }
    // SAFETY: a file, as the verifier knows.
    let socket = unsafe { bpf_sock_from_file(file) };
    if socket.is_null() {
        return 0;
    }
    let _ = tell_file(meta, task as u64, descriptor, socket as u64);
    0
}

#[inline(always)]
fn tell_file(meta: *const Meta, task: u64, descriptor: u32, socket: u64) -> Option<()> {
    let sock: u64 = member(socket, offset!(socket_sock))?;
    if sock == 0 {
        return None;
    }
    let family: u16 = member(sock, offset!(family))?;
    let protocol: u16 = member(sock, offset!(protocol))?;
    let pid: u32 = crate::life::thread_group(task)?;
    let inode = inode_of(socket);
    let is_internet = matches!(family, AF_INET | AF_INET6);
    if is_internet && (is_tcp(sock) || protocol == MPTCP) {
        let owner = OwnerRecord {
            record: RECORD_OWNER,
            pid,
            descriptor,
            reserved: 0,
            inode,
            cookie: member(sock, offset!(cookie))?,
        };
        write(meta, &owner);
        // One that was reset is in no table that `iter/tcp` goes through.
        if !is_tcp(sock) || member(sock, offset!(state)) != Some(STATE_CLOSE) {
            return Some(());
        }
    }
    let is_told = match family {
        AF_UNIX => true,
        AF_INET | AF_INET6 => matches!(protocol, TCP | UDP | UDPLITE),
        _ => false,
    };
    if is_told {
        let mut record = SocketRecord {
            pid,
            descriptor,
            cookie: member(sock, offset!(cookie))?,
            ..SocketRecord::default()
        };
        fill(sock, &mut record);
        fill_tcp(sock, &mut record);
        record.inode = inode;
        write(meta, &record);
    }
    Some(())
}

/// What every socket has.
#[inline(always)]
fn fill(sock: u64, record: &mut SocketRecord) {
    let short = |offset| u32::from(member::<u16>(sock, offset).unwrap_or(0));
    record.record = RECORD_SOCKET;
    record.protocol = short(offset!(protocol));
    record.state = u32::from(member::<u8>(sock, offset!(state)).unwrap_or(0));
    fill_ends(sock, &mut record.ends);
    if number(sock, offset!(flags)) & 1 != 0 {
        record.flags |= FLAG_DEAD;
    }
    let socket: u64 = member(sock, offset!(socket)).unwrap_or(0);
    if socket != 0 {
        record.flags |= FLAG_HAS_FILE;
        record.inode = inode_of(socket);
    }
    record.receive_allocated = number(sock, offset!(receive_allocated));
    record.backlog = number(sock, offset!(backlog));
    record.receive_buffer = number(sock, offset!(receive_buffer));
    record.send_queued = number(sock, offset!(send_queued));
    record.send_allocated = number(sock, offset!(send_allocated));
    record.send_buffer = number(sock, offset!(send_buffer));
    record.forward_allocated = number(sock, offset!(forward_allocated));
    record.option_allocated = number(sock, offset!(option_allocated));
    record.drops = number(sock, offset!(drops));
    // From Linux 6.18 on, of UDP: two counters of their own (`struct numa_drop_counters`).
    let counters: u64 = member(sock, offset!(drop_counters)).unwrap_or(0);
    if counters != 0 {
        let more = number(counters, offset!(drops_first));
        let more = more.wrapping_add(number(counters, offset!(drops_second)));
        record.drops = record.drops.wrapping_add(more);
    }
}

/// What TCP has.
#[inline(always)]
fn fill_tcp(sock: u64, record: &mut SocketRecord) {
    if record.protocol != u32::from(TCP) {
        return;
    }
    record.accept_backlog = number(sock, offset!(accept_backlog));
    record.accept_backlog_max = number(sock, offset!(accept_backlog_max));
    record.write_seq = number(sock, offset!(write_seq));
    record.snd_nxt = number(sock, offset!(snd_nxt));
    record.snd_una = number(sock, offset!(snd_una));
    record.rcv_nxt = number(sock, offset!(rcv_nxt));
    record.copied_seq = number(sock, offset!(copied_seq));
    if let Some(bytes) = member(sock, offset!(bytes_received)) {
        record.flags |= FLAG_COUNTS_RECEIVED;
        record.bytes_received = bytes;
    }
    if member::<u64>(sock, offset!(upper_layer)).unwrap_or(0) != 0 {
        record.flags |= FLAG_UPPER_LAYER;
    }
    record.snd_wnd = number(sock, offset!(snd_wnd));
    record.snd_cwnd = number(sock, offset!(snd_cwnd));
    record.mss_cache = number(sock, offset!(mss_cache));
    record.total_retrans = number(sock, offset!(total_retrans));
    record.chrono_stat = member(sock, offset!(chrono_stat)).unwrap_or_default();
    record.chrono_start = number(sock, offset!(chrono_start));
    // A bit field up to Linux 6.17, its lowest two bits.
    record.chrono_type = u32::from(member::<u8>(sock, offset!(chrono_type)).unwrap_or(0) & 3);
    record.last_sent = number(sock, offset!(last_sent));
    record.last_received = number(sock, offset!(last_received));
    record.last_heard = number(sock, offset!(last_heard));
    // SAFETY: no arguments.
    record.now = unsafe { bpf_jiffies64() } as u32;
}

/// Hands a record to whoever reads the iterator. What does not fit into the kernel's
/// buffer is asked for again.
#[inline(always)]
fn write<T>(meta: *const Meta, record: &T) {
    // SAFETY: the context's, whose loads the verifier checks; a record on the stack.
    unsafe {
        bpf_seq_write(
            (*meta).sequence,
            (&raw const *record).cast(),
            size_of::<T>() as u32,
        );
    }
}
