//! When those who read are watched.

/// From the start on, ms: whose connections those are that are read before they stall.
const AT_FIRST_MS: u32 = 3_000;
/// Later in one slot of so many, ms.
const SLOT_MS: u32 = 1_000;
/// See there.
const SLOTS: u32 = 8;
/// All the time while a receive queue holds so much: it is worth what that costs.
const QUEUE_BYTES: u64 = 64 << 10;

/// Whether they are, so many milliseconds into a trace, with so many bytes in the longest
/// receive queue. Their probe runs at every message of every process of the host.
pub const fn are_watched(elapsed_ms: u32, longest_queue: u64) -> bool {
    longest_queue >= QUEUE_BYTES
        || elapsed_ms < AT_FIRST_MS
        || (elapsed_ms / SLOT_MS).is_multiple_of(SLOTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At first and in an eighth of the time, and always while a queue is long.
    #[test]
    fn at_first_in_slots_and_for_long_queues() {
        let watched = |range: std::ops::Range<u32>, queue| {
            range
                .filter(|second| are_watched(second * 1000, queue))
                .count()
        };
        assert_eq!(watched(0..3, 0), 3);
        assert_eq!(watched(3..83, 0), 10);
        assert_eq!(watched(3..83, QUEUE_BYTES), 80);
    }
}
