//! What `memtrace host` knows of a whole host: [`Interval`], a stretch of time as the
//! history keeps it, and [`View`], the present as the page shows it.
//!
//! A [*line*](LineId) is one program through its restarts: a process, and whichever of
//! the same command in the same group begins after it has ended. Processes of one command
//! that live side by side have a line each. Times are Unix milliseconds, UTC.

mod event;
mod gauge;
mod interval;
mod look;
mod merge;
mod view;

pub use event::{Event, Happening};
pub use gauge::Gauge;
pub use interval::{
    FaultedStack, GroupInterval, HostMemory, Interval, LineId, LineInterval, Others,
};
pub use look::{CloserLook, LookId};
pub use view::{GroupView, LineView, OwnCost, Peak, State, View};
