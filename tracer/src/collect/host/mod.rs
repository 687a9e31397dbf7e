//! Watching a whole host: every process at a cost that nobody notices, and a closer look at
//! those that grow.

mod child;
mod clock;
mod closer;
mod faulted;
pub mod faults;
mod group_watch;
mod groups;
mod identity;
mod line;
mod lines;
mod memory;
mod oom;
mod own;
mod proc_files;
mod processes;
mod sampling;
mod settings;
mod sockets;
mod source;
mod summary;
mod view;
mod watcher;

pub use closer::clean;
pub use faulted::{Fault, FaultSource};
pub use sampling::Sampling;
pub use settings::Settings;
pub use summary::{FILE as SUMMARY_FILE, Summary};
pub use watcher::{Command, STOP, Watcher};
