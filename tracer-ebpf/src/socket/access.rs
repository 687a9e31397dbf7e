//! Reading a TCP socket in the ways that a program may: where the verifier knows that
//! it is one by plain loads, which cost next to nothing, else by the helper, 20 ns each.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_get_socket_cookie, bpf_skc_to_tcp_sock};

use super::{global, is_tcp, key_of, member, number, offset};

/// 1 where tracing programs have `bpf_get_socket_cookie` (Linux 5.12), and with it
/// `bpf_skc_to_tcp_sock` (5.9). Set when loading.
#[unsafe(no_mangle)]
static HAS_COOKIES: u32 = 0;

/// Where the stream of sent bytes stands.
pub struct Stream {
    /// `write_seq`: the number of the next byte.
    pub written: u32,
    /// How many the peer has not acknowledged.
    pub queue: u32,
}

/// A way to read a socket.
pub trait Access {
    /// The stream; `None`: it is not TCP's.
    fn stream(sock: *mut c_void) -> Option<Stream>;
    /// The cookie it has, 0 if none yet.
    fn cookie(sock: *mut c_void) -> Option<u64>;
    /// What it is known by: its cookie, made if need be and if that can be done.
    fn key(sock: *mut c_void) -> Option<u64>;
}

/// By helpers that read any address.
pub struct Untyped;

impl Access for Untyped {
    #[inline(always)]
    fn stream(sock: *mut c_void) -> Option<Stream> {
        if !is_tcp(sock as u64) {
            return None;
        }
        let written = number(sock as u64, offset!(write_seq));
        let acknowledged = number(sock as u64, offset!(snd_una));
        Some(Stream {
            written,
            queue: written.wrapping_sub(acknowledged),
        })
    }

    #[inline(always)]
    fn cookie(sock: *mut c_void) -> Option<u64> {
        member(sock as u64, offset!(cookie))
    }

    #[inline(always)]
    fn key(sock: *mut c_void) -> Option<u64> {
        key_of(sock as u64)
    }
}

/// As the verifier allows for an argument of type `struct sock *`; where the kernel is
/// too old for that, as [`Untyped`].
pub struct Typed;

impl Access for Typed {
    #[inline(always)]
    fn stream(sock: *mut c_void) -> Option<Stream> {
        if global!(HAS_COOKIES) == 0 {
            return Untyped::stream(sock);
        }
        // SAFETY: a socket, as the verifier knows; null if it is not TCP's.
        let tcp: *const c_void = unsafe { bpf_skc_to_tcp_sock(sock) }.cast();
        if tcp.is_null() {
            return None;
        }
        let member = |offset: u32| {
            // SAFETY: of `struct tcp_sock`; the verifier makes this a load that cannot fault.
            unsafe { tcp.byte_add(offset as usize).cast::<u32>().read_volatile() }
        };
        let (written, acknowledged) = (member(offset!(write_seq)), member(offset!(snd_una)));
        Some(Stream {
            written,
            queue: written.wrapping_sub(acknowledged),
        })
    }

    #[inline(always)]
    fn cookie(sock: *mut c_void) -> Option<u64> {
        if global!(HAS_COOKIES) == 0 {
            return Untyped::cookie(sock);
        }
        let offset = offset!(cookie) as usize;
        // SAFETY: of `struct sock`, as above.
        Some(unsafe { sock.byte_add(offset).cast::<u64>().read_volatile() })
    }

    #[inline(always)]
    fn key(sock: *mut c_void) -> Option<u64> {
        if global!(HAS_COOKIES) == 0 {
            return Untyped::key(sock);
        }
        // SAFETY: a socket, as the verifier knows.
        Some(unsafe { bpf_get_socket_cookie(sock) })
    }
}
