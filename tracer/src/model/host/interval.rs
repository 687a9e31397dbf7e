//! A stretch of time as the history keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Event, Gauge};
use crate::model::{Frame, verdict::PlaceName};

/// Names a line: a hash of the boot, the pid and the start of its first process, so
/// that a daemon that starts again goes on with the same.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LineId(pub u64);

/// What the host did in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// When it begins.
    pub start_ms: u64,
    /// When it ends.
    pub end_ms: u64,
    /// The host as a whole.
    pub host: HostMemory,
    /// Programs of some size, largest last resident set first; each once.
    pub lines: Vec<LineInterval>,
    /// Processes that have no line: small ones, and those beyond the bound.
    pub others: Others,
    /// Groups with a line in them.
    pub groups: Vec<GroupInterval>,
    /// The stacks that lines speak of, by a hash of their frames, innermost first.
    pub stacks: BTreeMap<u64, Vec<Frame>>,
    /// What happened, in order of time.
    pub events: Vec<Event>,
    /// What was not seen or kept: what, and how often.
    pub losses: BTreeMap<String, u64>,
}

/// The host's memory: `/proc/meminfo`, `/proc/pressure/memory`, `/proc/vmstat`,
/// `/proc/net/sockstat`. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostMemory {
    /// `MemTotal`.
    pub total_bytes: u64,
    /// `MemAvailable`.
    pub available: Gauge,
    /// `AnonPages`.
    pub anonymous: Gauge,
    /// `Slab`.
    pub slab: Gauge,
    /// `SwapTotal` − `SwapFree`.
    pub swapped: Gauge,
    /// TCP's and UDP's memory as the kernel accounts it.
    pub sockets: Gauge,
    /// Time in which some task waited for memory, µs (`some total`), within the stretch.
    pub stalled_us: u64,
    /// Processes killed for want of memory (`oom_kill`) within the stretch.
    pub oom_kills: u64,
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LineInterval {
    /// Which.
    pub line: LineId,
    /// What it runs, such as `node` ([`crate::model::Process::program`]). Of a thread of its
    /// own name or arguments nothing is kept: they may hold secrets.
    pub name: String,
    /// Its cgroup, such as `/system.slice/web.service`.
    pub group: String,
    /// The process that it is now, or was last.
    pub pid: u32,
    /// When that began, ns since boot.
    pub start_time: u64,
    /// Its resident set: anonymous, files and shared together.
    pub resident: Gauge,
    /// By place; those that are not known are left out. At the pages level all anonymous memory
    /// is [`PlaceName::OtherAnonymous`].
    pub places: BTreeMap<PlaceName, Gauge>,
    /// Swapped out.
    pub swapped: Gauge,
    /// The most that was ever resident, of that process (`VmHWM`): above
    /// [`Self::resident`]'s `max` it tells of a spike between two looks.
    pub peak_bytes: u64,
    /// TCP connections.
    pub connections: Gauge,
    /// Processes of it that began within the stretch.
    pub starts: u32,
    /// And that ended.
    pub ends: u32,
    /// Who made it larger: by stack, largest first.
    pub faulted: Vec<FaultedStack>,
}

/// Memory that a process came to have at one stack, estimated from sampled page faults.
/// What it gave back is not taken off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultedStack {
    /// In [`Interval::stacks`]; 0: no stack could be taken.
    pub stack: u64,
    /// Estimated.
    pub bytes: u64,
    /// Samples that this is made from.
    pub samples: u64,
}

/// Processes without a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Others {
    /// How many.
    pub processes: Gauge,
    /// Their resident sets.
    pub resident: Gauge,
    /// Processes of any kind that began.
    pub starts: u64,
    /// And that ended.
    pub ends: u64,
}

/// A cgroup, as it accounts its memory itself (`memory.current`, `memory.stat`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInterval {
    /// Its path.
    pub group: String,
    /// The container's name or id, where the path tells it.
    pub container: Option<String>,
    /// `memory.current`; no looks: not known.
    pub memory: Gauge,
    /// `anon` of `memory.stat`.
    pub anonymous: Gauge,
    /// `file`.
    pub file: Gauge,
    /// `sock`: what its sockets hold.
    pub sockets: Gauge,
    /// `memory.max`; `None`: no limit.
    pub limit_bytes: Option<u64>,
    /// Killed in it for want of memory (`oom_kill` of `memory.events`), within the stretch.
    pub oom_kills: u64,
}
