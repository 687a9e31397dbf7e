//! Why there is something in a socket's buffers.

use crate::model::{
    socket_look::Cause,
    sockets::{Kind, Limit, Place, Socket, Tcp},
};

/// Where the kernel does not say what a connection waits for now (`sock_diag`): it
/// has waited for the receiver's window for more than one part in so many of the
/// time in which it had something to send. Of a stalled peer that is 99.5% after a
/// minute, of a bulk transfer that the network limits a few per cent.
const RECEIVER_LIMITED_PART: u64 = 2;

/// Why there is something in its buffers.
#[must_use]
pub fn cause(socket: &Socket) -> Cause {
    let memory = &socket.memory;
    if memory.buffers() == 0 {
        return Cause::Nothing;
    }
    if matches!(socket.place, Place::AcceptQueue { .. }) {
        return Cause::NotAccepted;
    }
    let is_received = memory.receive_bytes > memory.send_bytes;
    match (socket.kind, &socket.tcp) {
        // Bytes that cannot be read are out of order: a segment before them is missing.
        (Kind::Tcp, Some(tcp)) if is_received && tcp.receive_queue == 0 => Cause::InFlight,
        (_, _) if is_received => Cause::NotRead,
        (Kind::Tcp, Some(tcp)) => sending(tcp),
        // What it sent stays on its account until the other end reads it.
        (Kind::Unix, _) => Cause::PeerDoesNotRead,
        (_, _) => Cause::InFlight,
    }
}

fn sending(tcp: &Tcp) -> Cause {
    let has_something = tcp.not_sent > 0 || tcp.send_queue > 0;
    if has_something && waits_for_receiver(tcp) {
        match has_no_room(tcp) {
            true => Cause::PeerDoesNotRead,
            false => Cause::PeerReadsSlowly,
        }
    } else if tcp.not_sent > 0 {
        Cause::Network
    } else {
        Cause::InFlight
    }
}

fn waits_for_receiver(tcp: &Tcp) -> bool {
    match tcp.limited_by {
        Some(limit) => limit == Limit::Receiver,
        None => has_no_room(tcp) || tcp.receiver_limited_ms > tcp.busy_ms / RECEIVER_LIMITED_PART,
    }
}

/// A receiver that does not read may still offer less than a segment.
const fn has_no_room(tcp: &Tcp) -> bool {
    tcp.peer_window == 0 || tcp.peer_window < tcp.segment_bytes as u64
}

/// Whether the socket is a TCP connection whose other end does not read; one that
/// reads too slowly is none.
#[must_use]
pub fn is_stalled(socket: &Socket) -> bool {
    socket.kind == Kind::Tcp && cause(socket) == Cause::PeerDoesNotRead
}
