//! Sums over sockets: each one's buffers in exactly one place.

use crate::model::{
    socket_look::Sums,
    sockets::{Kind, Place, Socket, State},
};

/// Counts a socket; `slab_bytes` is what a TCP socket takes beside its buffers.
pub fn add(sums: &mut Sums, socket: &Socket, slab_bytes: u64) {
    let buffers = socket.memory.buffers();
    match socket.kind {
        Kind::Tcp => add_tcp(sums, socket, slab_bytes),
        Kind::Udp => {
            sums.udp += 1;
            raise(&mut sums.udp_bytes, buffers);
        }
        Kind::Unix => {
            sums.unix += 1;
            raise(&mut sums.unix_bytes, buffers);
        }
    }
}

fn add_tcp(sums: &mut Sums, socket: &Socket, slab_bytes: u64) {
    let memory = &socket.memory;
    match socket.state {
        State::Listen => sums.listeners += 1,
        // Not connected yet, or no more.
        State::Close => {}
        _ => sums.connections += 1,
    }
    raise(&mut sums.forward_bytes, memory.forward_bytes);
    raise(&mut sums.slab_bytes, slab_bytes);
    match socket.place {
        Place::AcceptQueue { .. } => {
            sums.accept_queue += 1;
            raise(&mut sums.accept_queue_bytes, memory.buffers());
        }
        Place::Orphan { .. } => {
            sums.orphans += 1;
            raise(&mut sums.orphan_bytes, memory.buffers());
        }
        Place::Open { .. } | Place::Unknown => {
            raise(&mut sums.receive_bytes, memory.receive_bytes);
            raise(&mut sums.send_bytes, memory.send_bytes);
            let not_sent = socket.tcp.map_or(0, |tcp| tcp.not_sent);
            raise(&mut sums.not_sent_bytes, not_sent);
        }
    }
}

/// Figures of damaged reports add up to no panic.
pub fn raise(sum: &mut u64, by: u64) {
    *sum = sum.saturating_add(by);
}
