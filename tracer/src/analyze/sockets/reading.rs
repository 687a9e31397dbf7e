//! Whether anyone reads what is in receive queues.

use crate::model::{
    sockets::{Reads, Socket},
    trace_sockets::Reading,
};

/// Looks nearer to each other do not tell that nobody reads, ms.
const SHORT_MS: u64 = 1_000;

/// Of one connection.
pub fn reading(socket: &Socket) -> Reading {
    let tcp = socket.tcp.unwrap_or_default();
    let none = Reading::default();
    match (tcp.read_bytes, tcp.reads) {
        (Some(0), _) => Reading { never: 1, ..none },
        (Some(_), Some(Reads { bytes: 0, over_ms })) if over_ms >= SHORT_MS => Reading {
            not_lately: 1,
            not_for_ms: over_ms,
            ..none
        },
        (Some(_), Some(Reads { bytes, over_ms })) if bytes > 0 => Reading {
            read: 1,
            read_bytes: bytes,
            read_over_ms: over_ms,
            ..none
        },
        _ => Reading { unknown: 1, ..none },
    }
}

/// Of several.
pub fn add(one: Option<Reading>, other: Option<Reading>) -> Option<Reading> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(other)),
        (one, other) => one.or(other),
    }
}
