//! What the kernel side reports as it happens.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use aya::maps::{MapData, RingBuf};
use tracer_common::control::EVENT_EXEC;

use super::{CollectError, Session};

impl Session {
    /// Takes the kernel's events; `saw_exec` must be asked when they come.
    pub fn events(&mut self) -> Result<Events, CollectError> {
        Ok(Events {
            ring: self.kernel.take_events()?,
        })
    }
}

/// The kernel side's reports, as they come.
pub struct Events {
    ring: RingBuf<MapData>,
}

impl Events {
    /// Takes what has come; whether the process replaced its program.
    pub fn saw_exec(&mut self, pid: u32) -> bool {
        let exec = [EVENT_EXEC.to_ne_bytes(), pid.to_ne_bytes()].concat();
        let mut seen = false;
        while let Some(event) = self.ring.next() {
            seen |= *event == exec[..];
        }
        seen
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
