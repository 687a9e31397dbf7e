//! When those who send and those who read are watched. Their probes run at every message
//! of every process of the host.

/// Readers from the start on, ms: whose connections those are that are read before they
/// stall.
const AT_FIRST_MS: u32 = 3_000;
/// Later in one slot of so many, ms.
const SLOT_MS: u32 = 1_000;
/// See there.
const SLOTS: u32 = 8;
/// Both all the time while a queue of theirs holds so much: it is worth what that costs.
const QUEUE_BYTES: u64 = 64 << 10;
/// Of one processor: what watching senders may take all the time.
const SENDS_SHARE: f64 = 0.02;
/// So many sends a second are watched whatever they cost: a slow machine's time is not
/// in them.
const SENDS_LEAST: f64 = 50_000.0;
/// What the kernel needs, ns, to come to a program at a send and back, which is not in the
/// program's run time: an empty one at the tracepoint cost 54 to 73 (docs/bench.md).
const CALL_NS: f64 = 70.0;

/// Whether readers are watched, so many milliseconds into a trace, with so many bytes in
/// the longest receive queue.
pub const fn readers_are_watched(elapsed_ms: u32, longest_queue: u64) -> bool {
    longest_queue >= QUEUE_BYTES
        || elapsed_ms < AT_FIRST_MS
        || (elapsed_ms / SLOT_MS).is_multiple_of(SLOTS)
}

/// Senders: watched all the time, unless they are so many that it costs too much. Then
/// only while the kernel measures our programs, which is a second of eight.
#[derive(Debug, Default)]
pub struct Senders {
    /// Of one processor, what watching them took when it was last measured, and how many
    /// sends that was a second.
    share: f64,
    sends_per_second: f64,
    /// When they were last looked after, ms into the trace.
    then_ms: u32,
    is_resting: bool,
    /// How long they were not watched, ms.
    rested_ms: u32,
    /// The most that was measured.
    worst: (f64, f64),
}

impl Senders {
    /// Takes in what a stretch of time has cost in which they were watched.
    pub fn measured(&mut self, sends: u64, run_ns: u64, wall_ns: u64) {
        let wall_ns = (wall_ns as f64).max(1.0);
        self.share = (sends as f64 * CALL_NS + run_ns as f64) / wall_ns;
        self.sends_per_second = sends as f64 * 1e9 / wall_ns;
        if self.share > self.worst.0 {
            self.worst = (self.share, self.sends_per_second);
        }
    }

    /// Whether they are watched from now on, with so many bytes in the longest send queue.
    pub fn are_watched(&mut self, now_ms: u32, is_measuring: bool, longest_queue: u64) -> bool {
        if self.is_resting {
            self.rested_ms += now_ms.saturating_sub(self.then_ms);
        }
        self.then_ms = now_ms;
        let are_too_many = self.share > SENDS_SHARE && self.sends_per_second > SENDS_LEAST;
        self.is_resting = are_too_many && !is_measuring && longest_queue < QUEUE_BYTES;
        !self.is_resting
    }

    /// What was not seen of them. A sentence, if anything was not.
    pub fn rests(&self) -> Option<String> {
        let (share, sends) = self.worst;
        (self.rested_ms > 0).then(|| {
            format!(
                "Who sends was not watched for {:.1} s of {:.1} s: the host made up to {sends:.0} sends a second, and watching all of them would take {:.1}% of a processor. What was sent then counts as the stack's that was seen last on the socket.",
                f64::from(self.rested_ms) / 1e3,
                f64::from(self.then_ms) / 1e3,
                share * 100.0
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Readers at first and in an eighth of the time, and always while a queue is long.
    #[test]
    fn readers_at_first_in_slots_and_for_long_queues() {
        let watched = |range: std::ops::Range<u32>, queue| {
            range
                .filter(|second| readers_are_watched(second * 1000, queue))
                .count()
        };
        assert_eq!(watched(0..3, 0), 3);
        assert_eq!(watched(3..83, 0), 10);
        assert_eq!(watched(3..83, QUEUE_BYTES), 80);
    }

    /// Senders that cost 2% of a processor and less are always watched; of more, 300,000
    /// a second of 70 + 110 ns, only while that is measured or a queue is long, and how
    /// long they were not is told.
    #[test]
    fn senders_rest_when_they_are_too_many() {
        let mut senders = Senders::default();
        assert!(senders.are_watched(0, false, 0));
        senders.measured(100_000, 11_000_000, 1_000_000_000);
        assert!(senders.are_watched(1_000, false, 0));
        senders.measured(40_000, 900_000_000, 1_000_000_000);
        assert!(senders.are_watched(1_000, false, 0));
        assert_eq!(senders.rests(), None);
        let mut senders = Senders::default();
        assert!(senders.are_watched(1_000, false, 0));
        senders.measured(300_000, 33_000_000, 1_000_000_000);
        assert!(!senders.are_watched(2_000, false, 0));
        assert!(senders.are_watched(4_000, true, 0));
        assert!(!senders.are_watched(5_000, false, 0));
        assert!(senders.are_watched(6_500, false, QUEUE_BYTES));
        senders.measured(1_000, 110_000, 1_000_000_000);
        assert!(senders.are_watched(10_000, false, 0));
        let told = senders.rests().unwrap_or_default();
        assert!(told.contains("for 3.5 s of 10.0 s"), "{told}");
        assert!(told.contains("300000 sends a second"), "{told}");
        assert!(told.contains("5.4% of a processor"), "{told}");
    }
}
