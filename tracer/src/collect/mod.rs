//! Reading the ledger, /proc and the target's files into the model, on a
//! schedule. No judgement, no printing.

mod allocator;
mod budget;
mod clock;
mod cost;
mod coverage;
mod error;
mod events;
mod finish;
mod floor;
mod follow;
mod footprint;
mod growth;
pub mod heap;
pub mod host;
mod javascript;
mod javascript_heap;
mod launch;
mod look;
mod losses;
pub mod machine;
pub mod mapped;
mod mappings;
pub mod maps;
mod names;
mod overhead;
mod pools;
mod session;
pub mod sockets;
mod space;
mod tables;
mod target;
mod timeline;

pub use clock::utc_now;
pub use coverage::{Coverage, coverage};
pub use error::CollectError;
pub use events::Events;
pub use floor::{attach_floor, attach_floor_of_sends};
pub use launch::{Launched, RunAs, Wait, Waits};
pub use look::Status;
pub use overhead::Limit;
pub use session::{Ended, Options, Session};
pub use space::Attaching;
pub use target::TargetProcess;
