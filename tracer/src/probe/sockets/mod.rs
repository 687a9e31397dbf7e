//! The kernel's sockets: iterators over them, and probes where targets use theirs.

mod attach;
mod calls;
mod floor;
mod globals;
mod iterators;
mod switched;

pub use attach::SocketProbes;
pub(super) use attach::attach;
pub use calls::CallsMap;
pub(super) use floor::attach_floor;
pub(super) use globals::SocketGlobals;
pub use iterators::{Record, SocketIterators, read};
pub(super) use switched::Switched;
