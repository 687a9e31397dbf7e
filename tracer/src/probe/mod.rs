//! The kernel boundary: loading the eBPF object, what the kernel can do,
//! placing and attaching probes, reading maps. All of bpf(2) is here, and all
//! `unsafe` but that of the file worker's sandbox.
//!
//! What the numbers mean is not: that is `collect`'s and the model's.

mod attach;
mod btf;
pub mod canary;
mod error;
pub mod exits;
mod faults;
pub mod features;
mod kernel;
mod limits;
mod object;
pub mod pagemap_scan;
mod perf;
pub mod placement;
mod programs;
pub mod remote_memory;
mod sites;
pub mod sockets;
mod sys;

pub use attach::{Attached, Point};
pub use btf::KernelTypes;
pub use error::ProbeError;
pub use faults::FaultLimits;
pub use kernel::{Group, Kernel, count_of};
pub use limits::{Limits, UNWIND_MIB, UnwindLimits};
pub use object::ProgramName;
pub use programs::Uprobes;
pub use sys::{ProgramRun, watch};
