//! What goes when there is too much: the oldest. Of closer looks the newest of each line
//! stays longest, unless these alone take half of the room.

use std::{collections::BTreeMap, time::Duration};

use crate::model::host::{LineId, LookId};

use super::{
    looks::{self, KeptLook},
    name::SegmentName,
    writer::Writer,
};

enum Oldest {
    Segment(SegmentName),
    Look(LookId),
}

impl Writer {
    /// Removes what is too old, and the oldest until so many more bytes have room.
    pub(super) fn bound(&mut self, more: u64) {
        while self.bytes().saturating_add(more) > self.bounds.bytes {
            if !self.remove_oldest() {
                break;
            }
        }
        while let Some((oldest, aged_ms)) = self.oldest(|_| true) {
            if Duration::from_millis(self.clock.age_of(aged_ms)) <= self.bounds.age {
                break;
            }
            if !self.remove(&oldest) {
                break;
            }
        }
    }

    /// False: there is nothing left that could go.
    pub(super) fn remove_oldest(&mut self) -> bool {
        let newest = newest(&self.looks);
        let looks = newest.values().filter_map(|id| self.looks.get(*id));
        let room: u64 = looks.map(|it| it.bytes).sum();
        let too_many = room > self.bounds.bytes / 2;
        let oldest = self
            .oldest(|id| too_many || !newest.values().any(|newest| *newest == id))
            .or_else(|| self.oldest(|_| true));
        if let Some((oldest, _)) = oldest {
            return self.remove(&oldest);
        }
        // Only what is being written is left.
        if self.abandon_job() {
            return true;
        }
        match self.live.take() {
            Some((name, file)) if file.summary.intervals > 0 => {
                self.counts.evicted += 1;
                self.directory.remove(&name.to_string()).is_ok()
            }
            live => {
                self.live = live;
                false
            }
        }
    }

    /// What is half compacted can be made again. False: nothing is.
    pub(super) fn abandon_job(&mut self) -> bool {
        let job = self.job.take();
        let is_some = job.is_some();
        if let Some(job) = job {
            job.abandon(&self.directory);
        }
        is_some
    }

    /// The oldest of complete segments and such looks, and the age clock then.
    fn oldest(&self, which: impl Fn(&LookId) -> bool) -> Option<(Oldest, u64)> {
        let segment = self.complete.iter().next();
        let segment = segment.map(|(name, it)| (Oldest::Segment(*name), it.summary.aged_ms));
        let looks = self.looks.iter().filter(|(id, _)| which(id));
        let look = looks.min_by_key(|(_, it)| it.aged_ms);
        let look = look.map(|(id, it)| (Oldest::Look(id.clone()), it.aged_ms));
        segment
            .into_iter()
            .chain(look)
            .min_by_key(|(_, aged_ms)| *aged_ms)
    }

    fn remove(&mut self, oldest: &Oldest) -> bool {
        let removed = match oldest {
            Oldest::Segment(name) => {
                // What it was to become part of counts without it.
                if let Some(job) = self.job.take_if(|job| job.inputs.contains(name)) {
                    job.abandon(&self.directory);
                }
                self.complete.remove(name);
                self.directory.remove(&name.to_string())
            }
            Oldest::Look(id) => {
                self.looks.remove(id);
                looks::remove(&self.directory, id)
            }
        };
        self.counts.evicted += 1;
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                self.counts.failed += 1;
                false
            }
            _ => true,
        }
    }
}

/// The newest look at each line.
fn newest(looks: &BTreeMap<LookId, KeptLook>) -> BTreeMap<LineId, &LookId> {
    let mut newest: BTreeMap<LineId, (u64, &LookId)> = BTreeMap::new();
    for (id, look) in looks {
        if let Some(line) = look.line {
            let it = newest.entry(line).or_insert((look.aged_ms, id));
            *it = (*it).max((look.aged_ms, id));
        }
    }
    newest
        .into_iter()
        .map(|(line, (_, id))| (line, id))
        .collect()
}
