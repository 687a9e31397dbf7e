//! Whose doing it is that a place grew between two recordings: stacks and their bytes.

use super::{Compared, Row};
use crate::{
    analyze::leak_weight::{Origin, weigh},
    model::{
        Frame, Report,
        trace_heap::{ProcessHeap, Shares},
        trace_sockets::Queue,
        verdict::{Kind, PlaceName, VerdictStack},
    },
};

/// Stacks that a verdict tells of.
const STACKS: usize = 5;

impl<'r> Compared<'_, 'r> {
    /// Whose blocks they are: bytes, and frames.
    pub(super) fn blocks(&self) -> Vec<(u64, &'r [Frame])> {
        let own = |id: u32| self.group.after.iter().any(|it| it.id == id);
        if self.is_from_start() {
            return self.rows(&self.difference.live.rows);
        }
        // Each counts its own window: what kept growing in the second says whose it is.
        let weights = weigh(self.difference.after);
        let grown = weights
            .sites
            .iter()
            .filter(|it| it.origin == Origin::Malloc && own(it.process));
        let grown: Vec<_> = grown
            .filter_map(|it| Some((it.bytes, it.frames?)))
            .collect();
        if grown.is_empty() {
            return self.rows(&self.difference.live.rows);
        }
        grown
    }

    pub(super) fn is_from_start(&self) -> bool {
        let (before, after) = (
            &self.difference.before.window,
            &self.difference.after.window,
        );
        before.from_start && after.from_start
    }

    /// Rows of the group that grew; of windows of their own what the second kept.
    fn rows(&self, rows: &[Row<'r>]) -> Vec<(u64, &'r [Frame])> {
        let more = |row: &Row<'_>| match self.is_from_start() {
            true => u64::try_from(row.change.bytes()).unwrap_or(0),
            false => row.change.after.bytes,
        };
        let own = rows.iter().filter(|row| row.group == self.index);
        let mut own: Vec<_> = own
            .map(|row| (more(row), row.frames))
            .filter(|it| it.0 > 0)
            .collect();
        own.sort_by_key(|it| std::cmp::Reverse(it.0));
        own
    }

    pub(super) fn stacks(&self, place: PlaceName, kind: Kind) -> Vec<VerdictStack> {
        let held = match place {
            PlaceName::AllocatorLive => self.blocks(),
            PlaceName::OtherAnonymous if matches!(kind, Kind::Leak | Kind::Backlog) => {
                self.blocks()
            }
            PlaceName::Retained => self.shares(|it| it.retained.as_ref()),
            PlaceName::Pinned => self.shares(|it| it.pinned.as_ref()),
            PlaceName::OtherAnonymous | PlaceName::Files | PlaceName::Shared => {
                let mapped = self.difference.mapped.as_ref();
                mapped.map(|it| self.rows(&it.rows)).unwrap_or_default()
            }
            PlaceName::Sockets => self.queues(),
        };
        let whole = held.iter().map(|it| it.0).fold(0, u64::saturating_add);
        let stacks = held.into_iter().filter(|it| !it.1.is_empty()).take(STACKS);
        stacks
            .map(|(bytes, frames)| VerdictStack {
                share: bytes as f64 / whole.max(1) as f64,
                frames: frames.to_vec(),
            })
            .collect()
    }

    fn shares(&self, of: fn(&ProcessHeap) -> Option<&Shares>) -> Vec<(u64, &'r [Frame])> {
        let after: &'r Report = self.difference.after;
        let own = |id: u32| self.group.after.iter().any(|it| it.id == id);
        let heaps = after.heap.iter().flat_map(|it| &it.processes);
        let heaps = heaps.filter(|it| own(it.process));
        let mut held: Vec<(u64, &'r [Frame])> = heaps
            .filter_map(|heap| Some((heap.process, of(heap)?)))
            .flat_map(|(process, shares)| {
                let frames = move |id: &str| {
                    let mut sites = after.sites.iter();
                    sites.find(|it| it.process == process && it.site_id == id)
                };
                let sites = shares.sites.iter();
                sites.filter_map(move |it| Some((it.bytes, frames(&it.site_id)?.frames.as_slice())))
            })
            .collect();
        held.sort_by_key(|it| std::cmp::Reverse(it.0));
        held
    }

    fn queues(&self) -> Vec<(u64, &'r [Frame])> {
        let after: &'r Report = self.difference.after;
        let own = |id: u32| self.group.after.iter().any(|it| it.id == id);
        let sites = after.sockets.iter().flat_map(|it| &it.sites);
        let sites = sites.filter(|it| own(it.process));
        let mut held: Vec<_> = sites.map(|it| (it.bytes, it.frames.as_slice())).collect();
        held.sort_by_key(|it| std::cmp::Reverse(it.0));
        held
    }

    pub(super) fn fullest_queue(&self) -> Option<Queue> {
        let look = &self.difference.after.sockets.as_ref()?.last;
        let own = |pid| self.group.after.iter().any(|it| Some(it.pid) == pid);
        let sums = look
            .processes
            .iter()
            .filter(|it| own(it.pid))
            .map(|it| &it.sums);
        let queues = sums.flat_map(|it| {
            [
                (it.send_bytes, Queue::Send),
                (it.receive_bytes, Queue::Receive),
                (it.accept_queue_bytes, Queue::Accept),
                (it.orphan_bytes, Queue::Orphan),
            ]
        });
        queues.max_by_key(|it| it.0).map(|it| it.1)
    }
}
