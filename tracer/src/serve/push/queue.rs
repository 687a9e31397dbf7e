//! Messages that wait to be sent: bounded in number, bytes and age. Pure: the clock comes
//! from outside.

use std::{collections::VecDeque, time::Duration};

/// A message and since when it waits, by any clock that only goes forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What is sent.
    pub body: Vec<u8>,
    /// Since when.
    pub since: Duration,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub messages: usize,
    pub bytes: usize,
    pub age: Duration,
}

/// A loss: messages and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    pub messages: u64,
    pub bytes: u64,
}

impl Dropped {
    pub fn of(message: &Message) -> Self {
        Self {
            messages: 1,
            bytes: message.body.len() as u64,
        }
    }

    fn add(&mut self, message: &Message) {
        let one = Self::of(message);
        self.messages = self.messages.saturating_add(one.messages);
        self.bytes = self.bytes.saturating_add(one.bytes);
    }
}

/// Oldest first.
#[derive(Debug)]
pub struct Queue {
    messages: VecDeque<Message>,
    bytes: usize,
    bounds: Bounds,
}

impl Queue {
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            messages: VecDeque::new(),
            bytes: 0,
            bounds,
        }
    }

    /// Adds one. The oldest go to make room; one that is larger than all that there is goes
    /// itself.
    pub fn push(&mut self, message: Message) -> Dropped {
        let mut dropped = Dropped::default();
        let size = message.body.len();
        if size > self.bounds.bytes || self.bounds.messages == 0 {
            dropped.add(&message);
            return dropped;
        }
        while self.messages.len() >= self.bounds.messages || self.bytes + size > self.bounds.bytes {
            let Some(oldest) = self.take() else { break };
            dropped.add(&oldest);
        }
        self.bytes += size;
        self.messages.push_back(message);
        dropped
    }

    /// The oldest that is not too old; those that are go.
    pub fn pop(&mut self, now: Duration) -> (Option<Message>, Dropped) {
        let mut dropped = Dropped::default();
        while let Some(message) = self.take() {
            if !self.is_too_old(message.since, now) {
                return (Some(message), dropped);
            }
            dropped.add(&message);
        }
        (None, dropped)
    }

    /// Whether it is of no use any more.
    pub fn is_too_old(&self, since: Duration, now: Duration) -> bool {
        now.saturating_sub(since) > self.bounds.age
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    fn take(&mut self) -> Option<Message> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.body.len();
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        messages: 4,
        bytes: 100,
        age: Duration::from_secs(60),
    };

    #[derive(Clone, Debug)]
    enum Step {
        Push(usize),
        Pop,
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..150_usize).prop_map(Step::Push),
            Just(Step::Pop),
            (0..50_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// Whatever comes and goes, what waits is within its bounds, messages leave in the
        /// order in which they came, none is handed out that is too old, and each is handed
        /// out, counted as dropped with its bytes, or still waiting.
        #[test]
        fn loses_nothing_uncounted(steps in proptest::collection::vec(step(), 0..200)) {
            let mut queue = Queue::new(BOUNDS);
            let (mut now, mut last) = (Duration::ZERO, None);
            let (mut came, mut went) = (Dropped::default(), Dropped::default());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Wait(seconds) => now += Duration::from_secs(seconds),
                    Step::Push(size) => {
                        let body = vec![u8::try_from(number).unwrap_or(0); size];
                        let message = Message { body, since: now };
                        came.add(&message);
                        let dropped = queue.push(message);
                        went.messages += dropped.messages;
                        went.bytes += dropped.bytes;
                    }
                    Step::Pop => {
                        let (message, dropped) = queue.pop(now);
                        went.messages += dropped.messages;
                        went.bytes += dropped.bytes;
                        if let Some(message) = message {
                            went.add(&message);
                            prop_assert!(now - message.since <= BOUNDS.age);
                            prop_assert!(last <= Some(message.since));
                            last = Some(message.since);
                        }
                    }
                }
                prop_assert!(queue.len() <= BOUNDS.messages && queue.bytes <= BOUNDS.bytes);
                prop_assert_eq!(came.messages, went.messages + queue.len() as u64);
                prop_assert_eq!(came.bytes, went.bytes + queue.bytes as u64);
            }
        }
    }

    /// The oldest make room for the newest, which tells more of the present.
    #[test]
    fn the_oldest_go_first() {
        let mut queue = Queue::new(BOUNDS);
        let message = |size| Message {
            body: vec![0; size],
            since: Duration::ZERO,
        };
        assert_eq!(queue.push(message(60)), Dropped::default());
        assert_eq!(
            queue.push(message(50)),
            Dropped {
                messages: 1,
                bytes: 60
            }
        );
        assert_eq!(
            queue.push(message(101)),
            Dropped {
                messages: 1,
                bytes: 101
            }
        );
        assert_eq!(
            queue.pop(Duration::ZERO).0.map(|it| it.body.len()),
            Some(50)
        );
    }
}
