//! The present, as page and metrics show it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Event, HostMemory, LineId, LookId};
use crate::model::verdict::{PlaceName, Verdict, VerdictStack};

/// The host at the last look, and what is made of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// When.
    pub at_ms: u64,
    /// Name of the host (`uname -n`).
    pub host_name: String,
    /// The host's memory.
    pub host: HostMemory,
    /// Those who grow or have a verdict first, then by size.
    pub lines: Vec<LineView>,
    /// Processes without a line, and what is resident of them.
    pub other_processes: u64,
    /// See there.
    pub other_bytes: u64,
    /// Largest first.
    pub groups: Vec<GroupView>,
    /// The newest first; bounded.
    pub events: Vec<Event>,
    /// What memtrace itself takes.
    pub own: OwnCost,
    /// What this kernel or these rights do not allow, as `doctor` says it.
    pub gaps: Vec<String>,
    /// What was not seen or kept since the start: what, and how often.
    pub losses: BTreeMap<String, u64>,
}

/// One program at present.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LineView {
    /// Which.
    pub line: LineId,
    /// Its program.
    pub name: String,
    /// Its cgroup.
    pub group: String,
    /// The process.
    pub pid: u32,
    /// When that began.
    pub since_ms: u64,
    /// How often it began again, since memtrace knows it.
    pub restarts: u32,
    /// Its resident set, and the most that it ever was (`VmHWM`).
    pub resident_bytes: u64,
    /// See there.
    pub peak_bytes: u64,
    /// Swapped out.
    pub swapped_bytes: u64,
    /// By place, sockets included.
    pub places: BTreeMap<PlaceName, u64>,
    /// TCP connections.
    pub connections: u64,
    /// Resident and socket memory at the last looks, oldest first; at most 60.
    pub recent: Vec<u64>,
    /// How fast its troughs rise; 0: they do not.
    pub bytes_per_second: f64,
    /// How it stands with it.
    pub state: State,
    /// The last closer look's, or made from the history alone; the first is the main one.
    pub verdicts: Vec<Verdict>,
    /// When that was.
    pub verdict_ms: Option<u64>,
    /// Closer looks at it whose recordings are kept, newest first.
    pub looks: Vec<LookId>,
    /// The highest spike.
    pub peak: Option<Peak>,
}

/// How it stands with a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not known long enough.
    #[default]
    New,
    /// Nothing is wrong.
    Healthy,
    /// Its troughs rise: a closer look is due.
    Grows,
    /// It is being looked at.
    Looking,
    /// It has a verdict that is not healthy.
    Judged,
}

/// When a line was at its largest, and by whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Peak {
    /// When.
    pub at_ms: u64,
    /// Resident then.
    pub bytes: u64,
    /// What is usual for it.
    pub usual_bytes: u64,
    /// Whose page faults brought it there, most first.
    pub stacks: Vec<VerdictStack>,
}

/// A cgroup at present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// Its path.
    pub group: String,
    /// The container's name or id, where the path tells it.
    pub container: Option<String>,
    /// `memory.current`; `None`: not known.
    pub memory_bytes: Option<u64>,
    /// `memory.max`.
    pub limit_bytes: Option<u64>,
    /// `sock` of `memory.stat`.
    pub socket_bytes: u64,
    /// Kills for want of memory since memtrace began.
    pub oom_kills: u64,
}

/// What memtrace itself takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OwnCost {
    /// Of one processor's time, 0 to 1, over the last minutes: the daemon with its children.
    pub cpu: f64,
    /// What its programs take of the traced, 0 to 1 of one processor.
    pub probes: f64,
    /// Resident, its children's too.
    pub resident_bytes: u64,
    /// BPF maps.
    pub map_bytes: u64,
    /// History on disk.
    pub history_bytes: u64,
}
