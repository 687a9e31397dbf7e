//! `struct tcp_info` (include/uapi/linux/tcp.h), which grows at its end with the
//! kernel: only what is there is read. `not_sent` and the times of the limits came
//! with 4.6 and 4.10, `snd_wnd` with 5.4, `bytes_received` with 4.1.

use super::netlink::{u32_at, u64_at};
use crate::model::sockets::Tcp;

/// What it says of a connection. Not known by it, and so 0 or `None`: the queues, the
/// places in the streams, what limits the connection now.
pub fn tcp(info: &[u8]) -> Tcp {
    let number = |at: usize| u32_at(info, at).unwrap_or(0);
    let milliseconds = |at: usize| u64_at(info, at).unwrap_or(0) / 1000;
    Tcp {
        not_sent: number(144).into(),
        peer_window: number(228).into(),
        congestion_window: number(80),
        segment_bytes: number(16),
        retransmits: number(100).into(),
        busy_ms: milliseconds(168),
        receiver_limited_ms: milliseconds(176),
        buffer_limited_ms: milliseconds(184),
        sent_ms_ago: number(44).into(),
        received_ms_ago: number(52).into(),
        acknowledged_ms_ago: number(56).into(),
        ..Tcp::default()
    }
}

/// What was ever received, the end of the stream as a byte (`bytes_received`).
pub fn bytes_received(info: &[u8]) -> Option<u64> {
    u64_at(info, 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The count of what was received is whole or unknown.
    #[test]
    fn half_a_count_is_none() {
        let mut info = [0; 136];
        info[128..].copy_from_slice(&0x0102_0304_0506_0708_u64.to_ne_bytes());
        assert_eq!(bytes_received(&info), Some(0x0102_0304_0506_0708));
        assert_eq!(bytes_received(&info[..135]), None);
    }

    /// Each figure is read from where the kernel's header has it, at whatever length
    /// the structure ends.
    #[test]
    fn reads_as_much_as_is_there() {
        // Every four bytes hold the place they are at.
        let info: Vec<u8> = (0..240_u32).step_by(4).flat_map(u32::to_ne_bytes).collect();
        let wide = |at: u64| {
            if cfg!(target_endian = "little") {
                (at | (at + 4) << 32) / 1000
            } else {
                (at << 32 | (at + 4)) / 1000
            }
        };
        let whole = Tcp {
            not_sent: 144,
            peer_window: 228,
            congestion_window: 80,
            segment_bytes: 16,
            retransmits: 100,
            busy_ms: wide(168),
            receiver_limited_ms: wide(176),
            buffer_limited_ms: wide(184),
            sent_ms_ago: 44,
            received_ms_ago: 52,
            acknowledged_ms_ago: 56,
            ..Tcp::default()
        };
        assert_eq!(tcp(&info), whole);
        let short = Tcp {
            peer_window: 0,
            ..whole
        };
        assert_eq!(tcp(&info[..228]), short);
        assert_eq!(tcp(&[]), Tcp::default());
    }
}
