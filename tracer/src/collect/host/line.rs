//! One line: a program through its restarts, and what is known of it.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::{identity::Identity, proc_files::Status};
use crate::{
    analyze::host::{Quantity, Recent, Spikes, Trend, thresholds as limit, trend},
    model::{
        growth::BYTES_MAX,
        host::{FaultedStack, Gauge, LineId, LineInterval, LookId, Peak, State},
        verdict::{PlaceName, Verdict, VerdictStack},
    },
};

/// One moment on the clocks that lines go by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Now {
    /// Since boot, ns: suspended time counts, and it never jumps (`CLOCK_BOOTTIME`).
    pub boot_ns: u64,
    /// Since 1970, UTC, ms.
    pub utc_ms: u64,
}

impl Now {
    /// Since boot, s.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.boot_ns as f64 / 1e9
    }

    /// When something began that began so many ns after boot, UTC, ms.
    #[must_use]
    pub const fn utc_of(&self, boot_ns: u64) -> u64 {
        let ago = self.boot_ns.saturating_sub(boot_ns) / 1_000_000;
        self.utc_ms.saturating_sub(ago)
    }
}

/// A process's sockets at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketMemory {
    /// All buffers of TCP, UDP and Unix sockets.
    pub bytes: u64,
    /// TCP connections.
    pub connections: u64,
    /// In send queues.
    pub send_bytes: u64,
    /// Received and not read.
    pub receive_bytes: u64,
    /// Connections whose peers do not read.
    pub stalled: u64,
    /// Buffers of those.
    pub stalled_bytes: u64,
}

/// What was gathered for the interval that is under way.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// Resident set.
    pub resident: Gauge,
    /// By place.
    pub places: BTreeMap<PlaceName, Gauge>,
    /// Swapped out.
    pub swapped: Gauge,
    /// TCP connections.
    pub connections: Gauge,
    /// Processes that began.
    pub starts: u32,
    /// And ended.
    pub ends: u32,
    /// By stack of page faults.
    pub faulted: Vec<FaultedStack>,
}

/// What closer looks have said.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// The last one's verdicts.
    pub verdicts: Vec<Verdict>,
    /// When that was.
    pub at_ms: Option<u64>,
    /// Recordings that are kept, newest first.
    pub looks: Vec<LookId>,
    /// Made from what sockets hold, without a closer look.
    pub from_history: Vec<Verdict>,
    /// Length of the next look; 0: of the first.
    pub window_ms: u64,
    /// Not before then, s since boot.
    pub not_before: f64,
    /// How long the last pause was.
    pub pause_ms: u64,
    /// One is under way.
    pub is_looking: bool,
    /// Looks since it grew last.
    pub calm_looks: u32,
}

/// A program through its restarts.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name for good.
    pub id: LineId,
    /// What it runs, and where.
    pub who: Identity,
    /// Its process.
    pub pid: u32,
    /// When that began, ns since boot.
    pub start_time: u64,
    /// When it was there last, ns since boot.
    pub last_seen: u64,
    /// Its process has ended.
    pub has_ended: bool,
    /// How often it began again.
    pub restarts: u32,
    /// At the last look.
    pub status: Status,
    /// At the last look at sockets.
    pub sockets: Option<SocketMemory>,
    /// The one before: what is told of sockets is so at two looks.
    pub sockets_before: Option<SocketMemory>,
    /// For the interval.
    pub gathered: Gathered,
    /// Resident and socket memory.
    pub memory: Recent,
    /// Socket memory alone.
    pub socket_bytes: Recent,
    /// TCP connections.
    pub connections: Recent,
    /// Whether it is at a spike.
    pub spikes: Spikes,
    /// The highest.
    pub peak: Option<Peak>,
    /// Who brought it to the last new highest mark.
    pub peak_stacks: Vec<VerdictStack>,
    /// So many looks more it is looked at faster.
    pub fast_looks: u32,
    /// Its troughs rise.
    pub trend: Option<(Quantity, Trend)>,
    /// What closer looks said.
    pub judged: Judged,
}

/// A line's name: a hash of the boot and of its first process, which JSON keeps exact.
#[must_use]
pub fn line_id(boot: &str, pid: u32, start_time: u64) -> LineId {
    let hash = Sha256::new()
        .chain_update(boot.as_bytes())
        .chain_update(pid.to_le_bytes())
        .chain_update(start_time.to_le_bytes())
        .finalize();
    let bytes = hash.first_chunk().copied().unwrap_or_default();
    LineId(u64::from_le_bytes(bytes) & BYTES_MAX)
}

impl Line {
    /// One whose process was seen for the first time.
    #[must_use]
    pub fn new(id: LineId, who: Identity, pid: u32, start_time: u64) -> Self {
        Self {
            id,
            who,
            pid,
            start_time,
            last_seen: 0,
            has_ended: false,
            restarts: 0,
            status: Status::default(),
            sockets: None,
            sockets_before: None,
            gathered: Gathered::default(),
            memory: Recent::default(),
            socket_bytes: Recent::default(),
            connections: Recent::default(),
            spikes: Spikes::default(),
            peak: None,
            peak_stacks: Vec::new(),
            fast_looks: 0,
            trend: None,
            judged: Judged::default(),
        }
    }

    /// Another process of it, or another program in the same: what was known of the
    /// growth of the one before is not of this one.
    pub fn begin_again(&mut self, pid: u32, start_time: u64) {
        self.pid = pid;
        self.start_time = start_time;
        self.has_ended = false;
        self.restarts = self.restarts.saturating_add(1);
        self.gathered.starts = self.gathered.starts.saturating_add(1);
        self.sockets = None;
        self.sockets_before = None;
        self.memory = Recent::default();
        self.socket_bytes = Recent::default();
        self.connections = Recent::default();
        self.spikes = Spikes::default();
        self.trend = None;
        self.judged.from_history.clear();
    }

    /// Takes in a whole look. `is_young`: what a program does when it starts says
    /// nothing about how it goes on.
    pub fn look(&mut self, status: &Status, now: Now, is_young: bool) {
        self.status.clone_from(status);
        self.last_seen = now.boot_ns;
        let gathered = &mut self.gathered;
        gathered.resident.add(&Gauge::of(status.resident));
        gathered.swapped.add(&Gauge::of(status.swapped));
        let places = [
            (PlaceName::OtherAnonymous, status.anonymous),
            (PlaceName::Files, status.files),
            (PlaceName::Shared, status.shared),
        ];
        for (place, bytes) in places {
            let gauge = gathered.places.entry(place).or_default();
            gauge.add(&Gauge::of(bytes));
        }
        if !is_young {
            self.memory.add(now.seconds(), self.memory_bytes());
            let quantities = [Quantity::Memory, Quantity::Sockets, Quantity::Connections];
            let grows = |what: Quantity| {
                let series = match what {
                    Quantity::Memory => &self.memory,
                    Quantity::Sockets => &self.socket_bytes,
                    Quantity::Connections => &self.connections,
                };
                trend(series, what, status.resident).map(|trend| (what, trend))
            };
            self.trend = quantities.into_iter().find_map(grows);
        }
        self.judged.calm_looks = match self.trend {
            Some(_) => 0,
            None => self.judged.calm_looks.saturating_add(1),
        };
        if self.judged.calm_looks > limit::VERDICT_LOOKS {
            self.judged.verdicts.clear();
        }
    }

    /// Takes up what a daemon before saw of its process. `seconds`: since boot.
    pub fn take_up(&mut self, seen: &LineInterval, seconds: f64) {
        let sockets = seen.places.get(&PlaceName::Sockets);
        let bytes = sockets.map_or(0, |it| it.last);
        let memory = seen.resident.last.saturating_add(bytes);
        self.memory.add(seconds, memory);
        if sockets.is_some() {
            self.socket_bytes.add(seconds, bytes);
            self.connections.add(seconds, seen.connections.last);
        }
    }

    /// Takes in a look at its sockets.
    pub fn look_at_sockets(&mut self, found: SocketMemory, now: Now) {
        self.sockets_before = self.sockets.replace(found);
        let gathered = &mut self.gathered;
        let gauge = gathered.places.entry(PlaceName::Sockets).or_default();
        gauge.add(&Gauge::of(found.bytes));
        gathered.connections.add(&Gauge::of(found.connections));
        self.socket_bytes.add(now.seconds(), found.bytes);
        self.connections.add(now.seconds(), found.connections);
    }

    /// Resident, and in its sockets.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let sockets = self.sockets.map_or(0, |it| it.bytes);
        self.status.resident.saturating_add(sockets)
    }

    /// Whether it is larger than usual, by a quarter.
    #[must_use]
    pub fn is_high(&self) -> bool {
        let resident = self.status.resident;
        (self.memory.usual()).is_some_and(|usual| resident > usual.saturating_add(usual / 4))
    }

    /// How it stands with it.
    #[must_use]
    pub fn state(&self) -> State {
        if self.judged.is_looking {
            State::Looking
        } else if self.verdicts().first().is_some_and(|it| it.kind.accuses()) {
            State::Judged
        } else if self.trend.is_some() {
            State::Grows
        } else if self.memory.looks() < limit::POINTS_LEAST as u32 {
            State::New
        } else {
            State::Healthy
        }
    }

    /// What is said of it: what a closer look found, else what its sockets say.
    #[must_use]
    pub fn verdicts(&self) -> &[Verdict] {
        let accuses = self.judged.verdicts.iter().any(|it| it.kind.accuses());
        if accuses || self.judged.from_history.is_empty() {
            &self.judged.verdicts
        } else {
            &self.judged.from_history
        }
    }

    /// What the history keeps of the interval that is over.
    #[must_use]
    pub fn interval(&mut self) -> LineInterval {
        let gathered = std::mem::take(&mut self.gathered);
        LineInterval {
            line: self.id,
            name: self.who.name.clone(),
            group: self.who.group.clone(),
            pid: self.pid,
            start_time: self.start_time,
            resident: gathered.resident,
            places: gathered.places,
            swapped: gathered.swapped,
            peak_bytes: self.status.peak,
            connections: gathered.connections,
            starts: gathered.starts,
            ends: gathered.ends,
            faulted: gathered.faulted,
        }
    }
}
