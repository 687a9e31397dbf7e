//! Reading the ledger, /proc and the target's files into the model, on a
//! schedule. No judgement, no printing.

mod allocator;
mod clock;
mod error;
mod finish;
mod footprint;
mod launch;
mod mappings;
mod names;
mod overhead;
mod session;
mod target;

pub use error::CollectError;
pub use launch::{Launched, RunAs, Wait};
pub use overhead::Limit;
pub use session::{Ended, Events, Options, Session, Status, attach_floor};
pub use target::TargetProcess;
