//! Events of pressure on the sockets of targets: rare, and counted for each.

use aya_ebpf::{macros::raw_tracepoint, programs::RawTracePointContext};
use tracer_common::socket::SocketCalls;

use super::key_of;
use crate::maps::{SOCKETS, add};

/// `sock_exceed_buf_limit`: a socket asked for more than the host allows.
#[raw_tracepoint(tracepoint = "sock_exceed_buf_limit")]
pub fn socket_limit_exceeded(context: RawTracePointContext) -> i32 {
    // TP_PROTO(struct sock *sk, struct proto *prot, long allocated, int kind)
    if let Some(calls) = known(context.arg(0)) {
        // SAFETY: a map value.
        unsafe { add(&raw mut (*calls).limit_exceeded, 1) };
    }
    0
}

/// `sock_rcvqueue_full`: there was no room for what came.
#[raw_tracepoint(tracepoint = "sock_rcvqueue_full")]
pub fn socket_receive_full(context: RawTracePointContext) -> i32 {
    // TP_PROTO(struct sock *sk, struct sk_buff *skb)
    if let Some(calls) = known(context.arg(0)) {
        // SAFETY: a map value.
        unsafe { add(&raw mut (*calls).receive_queue_full, 1) };
    }
    0
}

#[inline(always)]
fn known(sock: u64) -> Option<*mut SocketCalls> {
    SOCKETS.get_ptr_mut(key_of(sock)?)
}
