//! How much a process has read of a connection: what was received without what is in
//! the queue. Pure.
//!
//! `bytes_received` of `struct tcp_sock` goes with `rcv_nxt` (`tcp_rcv_nxt_update`,
//! net/ipv4/tcp_input.c): both count payload, and the end of the stream (FIN) as one
//! byte; the beginning (SYN) is in neither's difference to `copied_seq`. The end is
//! read as all else (`tcp_recvmsg_locked`), so that it is in the queue or past it.

use crate::model::sockets::State;

/// What the kernel says of a connection's received bytes.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// `bytes_received`; `None`: this kernel has none.
    pub bytes: Option<u64>,
    /// `rcv_nxt − copied_seq`.
    pub queued: u64,
    /// The connection's.
    pub state: State,
    /// Something in the kernel reads the socket, and the process reads from that.
    pub has_upper_layer: bool,
}

impl Received {
    /// Payload that the process has read; `None`: not known. What is peeked at is not
    /// read; what a program in the kernel takes (`sockmap`) is. By `sock_diag`, which
    /// asks for the queue a moment before, it may be more by what came meanwhile.
    pub fn read(self) -> Option<u64> {
        let past = self.bytes.filter(|_| !self.has_upper_layer)?;
        // Fast Open's first segment counts its payload only, even with an end: never below 0.
        let past = past.saturating_sub(self.queued);
        let is_end_queued = self.queued > 0;
        match self.state {
            _ if is_end_queued || past == 0 => Some(past),
            // The other end has closed: all was read, the end too.
            State::CloseWait | State::LastAck | State::Closing => Some(past - 1),
            // Closed by the other end, or reset: not to be told.
            State::Close | State::TimeWait => None,
            _ => Some(past),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn received(bytes: u64, queued: u64, state: State) -> Received {
        Received {
            bytes: Some(bytes),
            queued,
            state,
            has_upper_layer: false,
        }
    }

    /// The end of the stream is no byte that was read, whether it is still in the queue or
    /// not; where it may or may not have come nothing is said.
    #[test]
    fn the_end_of_a_stream_is_not_payload() {
        let read = |bytes, queued, state| received(bytes, queued, state).read();
        assert_eq!(read(1000, 1000, State::Established), Some(0));
        assert_eq!(read(1000, 400, State::Established), Some(600));
        // 1000 bytes and the end, none of it read; then all but the end; then all.
        assert_eq!(read(1001, 1001, State::CloseWait), Some(0));
        assert_eq!(read(1001, 1, State::CloseWait), Some(1000));
        assert_eq!(read(1001, 0, State::CloseWait), Some(1000));
        assert_eq!(read(1001, 0, State::LastAck), Some(1000));
        assert_eq!(read(0, 0, State::CloseWait), Some(0));
        assert_eq!(read(1001, 0, State::Close), None);
        assert_eq!(read(1001, 7, State::Close), Some(994));
        assert_eq!(read(0, 0, State::Close), Some(0));
        // Fast Open.
        assert_eq!(read(1000, 1001, State::CloseWait), Some(0));
    }

    /// Without the kernel's count, or where the kernel reads by itself, nothing is known.
    #[test]
    fn unknown_is_unknown() {
        let known = received(1000, 0, State::Established);
        let without = Received {
            bytes: None,
            ..known
        };
        let above = Received {
            has_upper_layer: true,
            ..known
        };
        assert_eq!((without.read(), above.read()), (None, None));
    }

    proptest! {
        /// Of a stream of so many bytes, read so far, what is told is what was read.
        #[test]
        fn what_was_read_is_told(payload in 0_u64..1 << 40, queued in 0_u64..1 << 31, has_ended: bool, end_read: bool) {
            let queued = queued.min(payload);
            let is_end_read = has_ended && end_read && queued == 0;
            let end = u64::from(has_ended);
            let state = if has_ended { State::CloseWait } else { State::Established };
            let in_queue = queued + end - u64::from(is_end_read);
            let of = received(payload + end, in_queue, state);
            prop_assert_eq!(of.read(), Some(payload - queued));
        }

        /// Whatever a kernel says, nothing impossible is told.
        #[test]
        fn any_figures_do_no_harm(bytes: u64, queued: u64, number in 0_u32..14) {
            if let Some(state) = State::from_number(number) {
                prop_assert!(received(bytes, queued, state).read().is_none_or(|read| read <= bytes));
            }
        }
    }
}
