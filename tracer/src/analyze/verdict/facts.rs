//! What is known of one process, as the rules want it.

use std::collections::BTreeMap;

use super::{
    places::{Series, series},
    words,
};
use crate::{
    analyze::growth::troughs,
    model::{
        Frame, MappingSite, Process, Report,
        growth::Growth,
        socket_look::ProcessSockets,
        trace_heap::{ProcessHeap, Shares},
        trace_sockets::Queue,
        verdict::{Confidence, Kind, PlaceName, Verdict, VerdictStack},
    },
};

/// Stacks that a verdict tells of.
const STACKS: usize = 5;

/// One process in a report.
pub struct Facts<'a> {
    pub report: &'a Report,
    pub process: &'a Process,
    pub growth: &'a Growth,
    pub heap: Option<&'a ProcessHeap>,
    pub places: BTreeMap<PlaceName, Series>,
    /// Length of the window.
    pub seconds: f64,
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
        Some(Self {
            report,
            process,
            growth,
            heap: heaps.into_iter().find(|heap| heap.process == process.id),
            places: series(report, process),
            seconds: report.window.seconds,
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

    /// By how much its troughs rose.
    pub fn rise(&self, place: PlaceName) -> u64 {
        let (first, last) = self.troughs(place);
        last.saturating_sub(first)
    }

    /// Whether the heap was walked: allocator and other memory are apart then.
    pub fn is_walked(&self) -> bool {
        self.places.contains_key(&PlaceName::AllocatorLive)
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
        Verdict {
            kind,
            process: self.process.id,
            confidence,
            bytes,
            bytes_per_second: 0.0,
            summary,
            evidence: Vec::new(),
            would_change: Vec::new(),
            advice: Vec::new(),
            stacks: Vec::new(),
        }
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

    /// Stacks of sites by id, with their bytes; most first.
    pub fn stacks_of(&self, sites: &[(&str, u64)], whole: u64) -> Vec<VerdictStack> {
        let frames = |id: &str| {
            let own =
                |site: &&crate::model::Site| site.site_id == id && site.process == self.process.id;
            self.report
                .sites
                .iter()
                .find(own)
                .map(|site| site.frames.clone())
        };
        let stacks = sites.iter().filter_map(|(id, bytes)| {
            Some(stack(
                *bytes,
                whole,
                frames(id).filter(|frames| !frames.is_empty())?,
            ))
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

fn stack(bytes: u64, whole: u64, frames: Vec<Frame>) -> VerdictStack {
    VerdictStack {
        share: bytes as f64 / whole.max(1) as f64,
        frames,
    }
}
