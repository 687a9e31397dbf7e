//! One look at a process's heap: no tracing, no stop unless it is asked for.
//!
//! The parent has the right to read the target and does not look: it copies what
//! the worker asks for, resident pages only, with `process_vm_readv` into memory
//! that both have. The worker, sandboxed like the file worker, walks. (To hand the
//! worker `/proc/PID/mem` would need no copying by the parent, but the kernel then
//! copies twice, page by page: 0.42–0.51 s a GiB against 0.22–0.25 s.)

mod client;
mod freeze;
mod library;
mod look;
mod protocol;
pub(super) mod report;
mod smaps;
mod source;
mod trace;
pub(super) mod traced;
mod worker;

pub use client::HeapWorkerError;
pub use freeze::{FreezeError, guard_if_asked};
pub use look::{Look, LookError, Looked, look};
pub(super) use trace::{Heaps, Known, Process};
pub use worker::run_if_asked;
