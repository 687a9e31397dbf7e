//! What the kernel side reports as it happens.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::maps::{MapData, RingBuf};
use tracer_common::control::Event;

use super::{CollectError, Session};

impl Session {
    /// Takes the kernel's events, which [`Session::take_in`] is to be given.
    pub fn events(&mut self) -> Result<Events, CollectError> {
        Ok(Events {
            ring: self.kernel.take_events()?,
        })
    }

    /// Takes in all that the kernel side has told.
    pub fn take_in(&mut self, events: &mut Events) -> Result<(), CollectError> {
        while let Some(event) = events.next() {
            self.handle(&event)?;
        }
        Ok(())
    }
}

/// The kernel side's reports, as they come.
pub struct Events {
    ring: RingBuf<MapData>,
}

impl Events {
    fn next(&mut self) -> Option<Event> {
        let item = self.ring.next()?;
        let word = |at: usize| Some(u32::from_ne_bytes(item.get(at..at + 4)?.try_into().ok()?));
        Some(Event {
            kind: word(0)?,
            tgid: word(4)?,
            value: word(8)?,
            flags: word(12)?,
            time: u64::from_ne_bytes(item.get(16..24)?.try_into().ok()?),
        })
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.ring.as_raw_fd()
    }
}
