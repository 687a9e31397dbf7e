//! `SK_MEMINFO_*` (include/uapi/linux/sock_diag.h), filled by `sk_get_meminfo`
//! (net/core/sock.c): an array of 32-bit numbers that grows with the kernel.

use super::netlink::u32_at;
use crate::model::sockets::{Kind, Memory};

/// A socket's memory; numbers that an older kernel does not have are 0.
pub fn memory(values: &[u8], kind: Kind) -> Memory {
    let value = |index: usize| u32_at(values, index * 4).unwrap_or(0);
    let transmit_bytes = u64::from(value(2));
    Memory {
        receive_bytes: value(0).into(),
        receive_limit: value(1).into(),
        send_bytes: match kind {
            Kind::Tcp => value(5).into(),
            Kind::Udp | Kind::Unix => transmit_bytes,
        },
        transmit_bytes,
        send_limit: value(3).into(),
        // Signed: while it is being settled it may be less than nothing.
        forward_bytes: value(4).cast_signed().try_into().unwrap_or(0),
        option_bytes: value(6).into(),
        backlog_bytes: value(7).into(),
        drops: value(8).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|it| it.to_ne_bytes()).collect()
    }

    /// Every number is in its place, and for other kinds than TCP what is on its way
    /// is what was sent.
    #[test]
    fn every_number_has_its_place() {
        let bytes = values(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        let tcp = Memory {
            receive_bytes: 1,
            receive_limit: 2,
            send_bytes: 6,
            transmit_bytes: 3,
            send_limit: 4,
            forward_bytes: 5,
            option_bytes: 7,
            backlog_bytes: 8,
            drops: 9,
        };
        assert_eq!(memory(&bytes, Kind::Tcp), tcp);
        let udp = Memory {
            send_bytes: 3,
            ..tcp
        };
        assert_eq!(memory(&bytes, Kind::Udp), udp);
        assert_eq!(memory(&bytes, Kind::Unix), udp);
    }

    /// What an older kernel does not say is 0, and so is a reserve below nothing.
    #[test]
    fn short_ones_are_read() {
        let bytes = values(&[1, 2, 3, 4, u32::MAX]);
        let read = memory(&bytes, Kind::Tcp);
        assert_eq!((read.receive_bytes, read.forward_bytes), (1, 0));
        assert_eq!(memory(&[], Kind::Tcp), Memory::default());
    }
}
