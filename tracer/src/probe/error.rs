//! What can go wrong at the kernel boundary, and what to do about it.

use std::io;

/// An error of loading, attaching or reading.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// bpf(2) is not allowed.
    #[error(
        "the kernel refuses bpf(2): {0}. Run as root, or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_SYS_RESOURCE; in a container also allow bpf and perf_event_open in its seccomp profile; kernel lockdown must not be `confidentiality`"
    )]
    NotPermitted(io::Error),
    /// The kernel's own types cannot be read.
    #[error(
        "cannot read the kernel's type information at {path}: {reason}. memtrace needs a kernel built with CONFIG_DEBUG_INFO_BTF (`memtrace doctor` tells)"
    )]
    NoBtf {
        /// Where it was looked for.
        path: &'static str,
        /// Why it was not good.
        reason: String,
    },
    /// The object was not accepted.
    #[error("the kernel does not load memtrace's eBPF object: {0}")]
    Load(String),
    /// A probe could not be placed.
    #[error("cannot attach to {what}: {reason}")]
    Attach {
        /// What was to be probed.
        what: String,
        /// Why it failed.
        reason: String,
    },
    /// A map operation failed.
    #[error("cannot read the map {map}: {reason}")]
    Map {
        /// The map.
        map: &'static str,
        /// Why it failed.
        reason: String,
    },
    /// The self-test child did not do what it should.
    #[error("the self-test of return probes failed: {0}")]
    Canary(String),
}
