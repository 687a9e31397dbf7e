//! The integration suite: the memtrace binary as its users meet it, on real
//! programs, with real eBPF, against counts made by somebody else.
//!
//! It needs root and a kernel that `memtrace doctor` is content with; a test
//! that cannot run says `SKIPPED` and its name.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod allocators;
mod bad_input;
mod budget;
mod exact;
mod faults;
mod follow;
mod fragmentation;
mod friendly;
mod gate;
mod heap;
mod history;
mod host;
mod host_fleet;
mod host_http;
mod host_life;
mod host_page;
mod hostile;
mod javascript;
mod javascript_heap;
mod killed_at_start;
mod leak;
mod life;
mod mappings;
mod memleak;
mod outputs;
mod ownership;
mod page;
mod places;
mod pprof;
mod preemption;
mod programs;
mod redis;
mod replay;
mod safety;
mod sampling;
mod sockets;
mod stacks;
mod symbols;
mod threads;
mod unwinding;
mod users;
