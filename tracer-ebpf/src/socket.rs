//! Sockets: reading the kernel's structures. What iterators tell is `iterate`'s, who
//! sends and reads `calls`', the memory that TCP takes `accounting`'s.

mod access;
mod accounting;
mod calls;
mod iterate;
mod pressure;
mod site;

use aya_ebpf::helpers::bpf_probe_read_kernel;
use tracer_common::socket::{Ends, KEY_IS_INODE, NO_MEMBER, SocketOffsets, TCP};

pub use calls::opened;
pub use site::user_start;

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Set when loading.
#[unsafe(no_mangle)]
static SOCKET_OFFSETS: SocketOffsets = NOWHERE;

/// A value that no kernel has, so that the compiler cannot take it for known.
const NOWHERE: SocketOffsets = {
    // SAFETY: integers only.
    unsafe { core::mem::transmute([NO_MEMBER; size_of::<SocketOffsets>() / 4]) }
};

/// Where a member stands.
macro_rules! offset {
    ($member:ident) => {
        // SAFETY: a global that user space sets before the object is loaded.
        unsafe { core::ptr::read_volatile(&raw const $crate::socket::SOCKET_OFFSETS.$member) }
    };
}
use offset;

/// A global, as the loader set it.
macro_rules! global {
    ($name:ident) => {
        // SAFETY: a global that user space sets before the object is loaded.
        unsafe { core::ptr::read_volatile(&raw const $name) }
    };
}
use global;

/// A member of a kernel structure; `None` also where this kernel has none.
#[inline(always)]
fn member<T>(structure: u64, offset: u32) -> Option<T> {
    if offset == NO_MEMBER {
        return None;
    }
    // SAFETY: faults are handled by the helper.
    unsafe { bpf_probe_read_kernel((structure + u64::from(offset)) as *const T) }.ok()
}

/// The same, 0 where it cannot be read.
#[inline(always)]
fn number(structure: u64, offset: u32) -> u32 {
    member(structure, offset).unwrap_or(0)
}

/// Between whom a connection is. In place: it would take a lot of a program's stack.
#[inline(always)]
fn fill_ends(sock: u64, ends: &mut Ends) {
    let short = |offset| u32::from(member::<u16>(sock, offset).unwrap_or(0));
    let namespace: u64 = member(sock, offset!(namespace)).unwrap_or(0);
    ends.namespace = number(namespace, offset!(namespace_inode));
    ends.family = short(offset!(family));
    ends.local_port = short(offset!(local_port));
    ends.peer_port = short(offset!(peer_port));
    if ends.family == u32::from(AF_INET6) {
        ends.local_address = member(sock, offset!(local_address6)).unwrap_or_default();
        ends.peer_address = member(sock, offset!(peer_address6)).unwrap_or_default();
    } else if ends.family == u32::from(AF_INET) {
        ends.local_address[0] = number(sock, offset!(local_address));
        ends.peer_address[0] = number(sock, offset!(peer_address));
    }
}

/// Whether a socket is TCP's.
#[inline(always)]
fn is_tcp(sock: u64) -> bool {
    member::<u16>(sock, offset!(protocol)) == Some(TCP)
}

/// The inode of a `struct socket`, which stands behind it (`struct socket_alloc`).
#[inline(always)]
fn inode_of(socket: u64) -> u64 {
    let inode = socket + u64::from(offset!(socket_inode));
    member(inode, offset!(inode_number)).unwrap_or(0)
}

/// What a socket is known by where no helper can give it a cookie: the one it has, or
/// its inode.
#[inline(always)]
fn key_of(sock: u64) -> Option<u64> {
    match member::<u64>(sock, offset!(cookie))? {
        0 => match member::<u64>(sock, offset!(socket))? {
            0 => None,
            socket => Some(inode_of(socket) | KEY_IS_INODE),
        },
        cookie => Some(cookie),
    }
}
