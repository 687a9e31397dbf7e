//! What is known of one process, as the rules want it.

use std::collections::{BTreeMap, HashSet};

use super::{
    places::{Series, series},
    thresholds as limit, words,
};
use crate::{
    analyze::growth::{first_age, grown, troughs},
    model::{
        Beginning, Frame, JAVASCRIPT, MappingSite, Process, Report, Site,
        growth::{BYTES_MAX, Growth},
        socket_look::ProcessSockets,
        trace_heap::{ProcessHeap, Shares},
        trace_sockets::Queue,
        verdict::{Confidence, Kind, PlaceName, Verdict, VerdictStack},
    },
};

/// Stacks that a verdict tells of.
pub const STACKS: usize = 5;

/// One process in a report.
pub struct Facts<'a> {
    pub report: &'a Report,
    pub process: &'a Process,
    pub growth: &'a Growth,
    pub heap: Option<&'a ProcessHeap>,
    pub places: BTreeMap<PlaceName, Series>,
    /// Length of the window, or for how long a process was seen that came within it.
    pub seconds: f64,
    /// The first eighth of the window in which it was there all the time.
    pub first_age: usize,
    /// Resident set at the end.
    pub resident: u64,
}

impl<'a> Facts<'a> {
    /// `None`: a report without growth, of an older memtrace.
    pub fn of(report: &'a Report, process: &'a Process) -> Option<Self> {
        let growth = report.growth.iter().find(|it| it.process == process.id)?;
        let heaps = report.heap.iter().flat_map(|heap| &heap.processes);
        let last = growth.timeline.last().copied().unwrap_or_default();
        let resident = [last.anonymous_bytes, last.file_bytes, last.shared_bytes];
        let (window, came) = (report.window.seconds, came_late(growth));
        Some(Self {
            report,
            process,
            growth,
            heap: heaps.into_iter().find(|heap| heap.process == process.id),
            places: series(report, process),
            seconds: came.map_or(window, |came| (window - came).max(0.0)),
            first_age: came.map_or(0, |came| first_age(came, window)),
            resident: resident.into_iter().fold(0, u64::saturating_add),
        })
    }

    pub fn series(&self, place: PlaceName) -> &[(f64, u64)] {
        self.places.get(&place).map_or(&[], Vec::as_slice)
    }

    /// The troughs of a place: in the first third of the window and in the last.
    pub fn troughs(&self, place: PlaceName) -> (u64, u64) {
        troughs(self.series(place))
    }

    /// Whether the heap was walked all the time, and is the only one: allocator and other memory are
    /// apart then.
    pub fn is_walked(&self) -> bool {
        let allocator = &self.process.allocator;
        let is_alone = allocator.starts_with("glibc") && !allocator.contains('+');
        is_alone && self.places.contains_key(&PlaceName::AllocatorLive)
    }

    /// Of what new blocks hold that which is growth: not all that is asked for is touched,
    /// and what replaces blocks from before the trace is none.
    pub fn growth_part(&self, requested: u64) -> u64 {
        if self.is_walked() {
            return grown(&self.live_since_birth(), self.seconds).min(requested);
        }
        if let Some(measured) = self.measured_growth() {
            return measured.min(requested);
        }
        let own = |site: &&Site| site.process == self.process.id;
        let blocks = self
            .report
            .sites
            .iter()
            .filter(own)
            .map(|it| it.counts.live_blocks);
        let blocks = blocks.fold(0, u64::saturating_add);
        let replaced = self.report.unmatched_frees as f64 / blocks.max(1) as f64;
        if replaced > limit::REPLACED {
            0
        } else {
            requested
        }
    }

    /// What the allocator's live bytes were. A new program had none at first, long before its heap may
    /// have been walked; of one whose live bytes fall that says nothing about growth.
    fn live_since_birth(&self) -> Series {
        let walked = self.series(PlaceName::AllocatorLive);
        let followed = self.process.followed.as_ref();
        let is_new = followed.is_some_and(|it| it.since == Beginning::Exec);
        let never_falls = walked.is_sorted_by_key(|it| it.1);
        let first = self.growth.timeline.first();
        let birth = first.filter(|_| is_new && never_falls);
        let birth = birth.map(|it| (it.seconds, 0));
        birth.into_iter().chain(walked.iter().copied()).collect()
    }

    pub fn has_runtime(&self, name: &str) -> bool {
        self.growth.runtime.as_deref() == Some(name)
    }

    /// Its sockets at the last look.
    pub fn sockets(&self) -> Option<&'a ProcessSockets> {
        let look = &self.report.sockets.as_ref()?.last;
        (look.processes.iter()).find(|it| it.pid == Some(self.process.pid))
    }

    pub fn verdict(
        &self,
        kind: Kind,
        confidence: Confidence,
        bytes: u64,
        summary: String,
    ) -> Verdict {
        Verdict::new(
            kind,
            self.process.id,
            confidence,
            bytes.min(BYTES_MAX),
            summary,
        )
    }

    /// That `what` holds more than at the start: `more` of it, or just so.
    pub fn rises(&self, kind: Kind, what: &str, more: &str, rise: u64) -> Verdict {
        let rate = rise as f64 / self.seconds.max(0.1);
        let summary = format!(
            "{what}: {} more{more}, {}.",
            words::bytes(rise),
            words::rate(rate)
        );
        let mut verdict = self.verdict(kind, Confidence::Medium, rise, summary);
        verdict.bytes_per_second = rate;
        verdict.evidence = self.drifts();
        verdict
    }

    /// What each place did, as evidence.
    pub fn drifts(&self) -> Vec<String> {
        let name = |place: &PlaceName| match place {
            PlaceName::AllocatorLive => "allocator, live",
            PlaceName::Retained => "allocator, free on whole pages",
            PlaceName::Pinned => "allocator, free on pinned pages",
            PlaceName::OtherAnonymous => "other anonymous memory",
            PlaceName::Files => "files",
            PlaceName::Shared => "shared memory",
            PlaceName::Sockets => "kernel socket buffers",
        };
        let of = |(place, series): (&PlaceName, &Series)| {
            let (first, last) = troughs(series);
            let (least, most) = series.iter().fold((u64::MAX, 0), |(least, most), it| {
                (it.1.min(least), it.1.max(most))
            });
            (most > 1 << 20).then(|| {
                let change = i64::try_from(i128::from(last) - i128::from(first)).unwrap_or(0);
                format!(
                    "{}: {} to {}, troughs {}",
                    name(place),
                    words::bytes(least),
                    words::bytes(most),
                    words::growth(change)
                )
            })
        };
        self.places.iter().filter_map(of).collect()
    }

    /// The stack of a site.
    pub fn frames_of(&self, site_id: &str) -> Option<&'a [Frame]> {
        self.site(site_id).map(|site| site.frames.as_slice())
    }

    /// What of a site's blocks was freed.
    pub fn freed_of(&self, site_id: &str) -> u64 {
        self.site(site_id).map_or(0, |site| site.counts.freed_bytes)
    }

    fn site(&self, site_id: &str) -> Option<&'a Site> {
        let is_it = |site: &&Site| site.site_id == site_id && site.process == self.process.id;
        self.report.sites.iter().find(is_it)
    }

    /// The program's own functions that have filled its send queues.
    pub fn senders(&self) -> HashSet<&'a str> {
        let sites = self.report.sockets.iter().flat_map(|it| &it.sites);
        let own = sites.filter(|it| it.process == self.process.id && it.queue == Queue::Send);
        own.flat_map(|it| &it.frames)
            .filter_map(own_function)
            .collect()
    }

    /// Stacks of sites by id, with their bytes; most first.
    pub fn stacks_of(&self, sites: &[(&str, u64)], whole: u64) -> Vec<VerdictStack> {
        let stacks = sites.iter().filter_map(|(id, bytes)| {
            let frames = self.frames_of(id).filter(|frames| !frames.is_empty())?;
            Some(stack(*bytes, whole, frames.to_vec()))
        });
        stacks.take(STACKS).collect()
    }

    /// The same of what a heap's pages are shared out to.
    pub fn stacks_of_shares(&self, shares: Option<&Shares>) -> Vec<VerdictStack> {
        let Some(shares) = shares else {
            return Vec::new();
        };
        let sites: Vec<(&str, u64)> = (shares.sites.iter())
            .map(|it| (it.site_id.as_str(), it.bytes))
            .collect();
        self.stacks_of(&sites, shares.total())
    }

    /// What it mapped, that was kept by `wanted`, most resident first.
    pub fn mapped(&self, wanted: impl Fn(&MappingSite) -> bool) -> Vec<&'a MappingSite> {
        let processes = self.report.mappings.iter().flat_map(|it| &it.processes);
        let own = processes.filter(|it| it.process == self.process.id);
        own.flat_map(|it| &it.sites)
            .filter(|site| wanted(site))
            .collect()
    }

    pub fn stacks_of_mapped(&self, sites: &[&MappingSite]) -> Vec<VerdictStack> {
        let whole = sites
            .iter()
            .map(|it| it.extent.resident_bytes)
            .fold(0, u64::saturating_add);
        let stacks = sites.iter().filter(|it| !it.frames.is_empty());
        stacks
            .take(STACKS)
            .map(|it| stack(it.extent.resident_bytes, whole, it.frames.clone()))
            .collect()
    }

    /// Stacks of those whose bytes stand in a queue.
    pub fn stacks_of_queue(&self, queue: Queue) -> Vec<VerdictStack> {
        let sites = self.report.sockets.iter().flat_map(|it| &it.sites);
        let mut own: Vec<_> = sites
            .filter(|it| it.process == self.process.id && it.queue == queue)
            .collect();
        own.sort_by_key(|it| std::cmp::Reverse(it.bytes));
        let whole = own.iter().map(|it| it.bytes).fold(0, u64::saturating_add);
        let stacks = own.iter().filter(|it| !it.frames.is_empty());
        stacks
            .take(STACKS)
            .map(|it| stack(it.bytes, whole, it.frames.clone()))
            .collect()
    }
}

/// When a process came, if that was within the window.
fn came_late(growth: &Growth) -> Option<f64> {
    let came = growth.timeline.first()?.seconds;
    (came > limit::CAME_LATE_SECONDS).then_some(came)
}

fn stack(bytes: u64, whole: u64, frames: Vec<Frame>) -> VerdictStack {
    VerdictStack {
        share: bytes as f64 / whole.max(1) as f64,
        frames,
    }
}

/// The name of a function that is the program's own: not of a runtime, and not where
/// every thread begins.
pub fn own_function(frame: &Frame) -> Option<&str> {
    const ROOTS: [&str; 5] = ["main", "_start", "start_thread", "clone", "clone3"];
    const RUNTIMES: [&str; 3] = ["node::", "v8::", "Builtins_"];
    let name = frame.function.as_deref()?;
    if frame.module == JAVASCRIPT {
        let file = frame.file.as_deref().unwrap_or("node:");
        return (!file.starts_with("node:")).then_some(name);
    }
    let is_root = ROOTS.contains(&name)
        || ["__libc_start", "uv_"]
            .iter()
            .any(|root| name.starts_with(root));
    let is_runtime = RUNTIMES.iter().any(|runtime| name.contains(runtime));
    (!is_root && !is_runtime).then_some(name)
}
