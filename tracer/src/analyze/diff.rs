//! What grew between two recordings: their sites matched, and the difference of each.
//!
//! A site is matched by its id, which is the same in every run of the same binaries,
//! within processes that belong together ([`group`]). Every byte of both recordings is in
//! one row, so the rows' differences add up to the difference of the totals. What keeps
//! the two from being compared like with like is told as [`Caveat`]s.
//!
//! The verdict says which place of a process grew, whose doing it is, and how sure that is.

use std::collections::{HashMap, hash_map::Entry};

use crate::model::{Frame, MappingSite, Report, Source, verdict::Verdict};

mod caveat;
mod group;
mod levels;
mod pace;
mod verdict;

pub use caveat::{Caveat, Side};
pub use group::Group;
pub use pace::Pace;

use group::Groups;

/// Two recordings beside each other.
#[derive(Clone, Debug)]
pub struct Difference<'a> {
    /// The first.
    pub before: &'a Report,
    /// The second.
    pub after: &'a Report,
    /// What to know before the figures are read.
    pub caveats: Vec<Caveat>,
    /// By what time a difference is divided.
    pub pace: Pace,
    /// Processes that belong together.
    pub groups: Vec<Group<'a>>,
    /// Blocks of allocators that were live at the end.
    pub live: Account<'a>,
    /// What was mapped and resident at the end, where both recordings have it.
    pub mapped: Option<Account<'a>>,
    /// What kind of growth lies between the two. Each one's process is an index of
    /// [`Self::groups`].
    pub verdicts: Vec<Verdict>,
}

impl Difference<'_> {
    /// By how much the average process of a group holds more of what only it can give back:
    /// anonymous, shared and swapped memory, in the last thirds of the windows. `None`:
    /// not of both recordings.
    #[must_use]
    pub fn rise(&self, group: &Group<'_>) -> Option<u64> {
        let of = |report: &Report, processes: &[&crate::model::Process]| {
            let is_known = |id: u32| report.growth.iter().any(|it| it.process == id);
            let is_complete = processes.iter().all(|it| is_known(it.id));
            let levels = levels::levels(report, processes);
            (is_complete && !processes.is_empty()).then_some(levels.own)
        };
        let before = of(self.before, &group.before)?;
        Some(of(self.after, &group.after)?.saturating_sub(before))
    }
}

/// Rows that add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account<'a> {
    /// The largest growth first, what shrank most last.
    pub rows: Vec<Row<'a>>,
    /// The sum of the rows.
    pub total: Change,
}

impl Account<'_> {
    fn unmatched(&self) -> Option<Caveat> {
        let changes = || self.rows.iter().map(|row| row.change);
        let gone = changes().filter(|it| it.after == Amount::default());
        let new = changes().filter(|it| it.before == Amount::default());
        let before = gone.map(|it| it.before.bytes).sum();
        let after = new.map(|it| it.after.bytes).sum();
        (before > 0 || after > 0).then_some(Caveat::Unmatched { before, after })
    }
}

/// One site in both recordings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// As [`crate::model::Site::site_id`].
    pub site_id: &'a str,
    /// Whose, as an index of [`Difference::groups`].
    pub group: usize,
    /// The function that was called.
    pub source: Source,
    /// The pool above the allocator, where one grew.
    pub pool: Option<&'a str>,
    /// Innermost first; of the second recording, where it has the site.
    pub frames: &'a [Frame],
    /// How much.
    pub change: Change,
}

/// How much there was and is. Sums of it fit `i64`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// In the first recording.
    pub before: Amount,
    /// In the second.
    pub after: Amount,
}

/// Bytes, and blocks where there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Live, or resident.
    pub bytes: u64,
    /// Live; 0 of mappings.
    pub blocks: u64,
}

impl Change {
    /// How many bytes more there are.
    #[must_use]
    pub const fn bytes(&self) -> i64 {
        self.after.bytes as i64 - self.before.bytes as i64
    }

    /// Whether anything differs.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.before == self.after
    }

    fn side(&mut self, side: Side) -> &mut Amount {
        match side {
            Side::Before => &mut self.before,
            Side::After => &mut self.after,
        }
    }
}

/// The recordings' figures add up to 2^63 and more, which no memory can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the figures of a recording add up to more than there can be: it is damaged")]
pub struct Damaged;

/// Compares two recordings.
///
/// # Errors
/// [`Damaged`].
pub fn compare<'a>(before: &'a Report, after: &'a Report) -> Result<Difference<'a>, Damaged> {
    let mut groups = Groups::of(before, after);
    let mut live = Ledger::default();
    let mut mapped = Ledger::default();
    for (side, report) in [(Side::Before, before), (Side::After, after)] {
        for site in &report.sites {
            let amount = Amount {
                bytes: site.counts.live_bytes,
                blocks: site.counts.live_blocks,
            };
            let group = groups.of_process(side, site.process);
            let row = Row {
                site_id: &site.site_id,
                group,
                source: site.source,
                pool: site.pool.as_deref(),
                frames: &site.frames,
                change: Change::default(),
            };
            live.add(side, row, amount)?;
        }
        for (process, site) in mapping_sites(report) {
            let amount = Amount {
                bytes: site.extent.resident_bytes,
                blocks: 0,
            };
            let row = Row {
                site_id: &site.site_id,
                group: groups.of_process(side, process),
                source: site.source,
                pool: site.pool.as_deref(),
                frames: &site.frames,
                change: Change::default(),
            };
            mapped.add(side, row, amount)?;
        }
    }
    let both_mapped = before.mappings.is_some() && after.mappings.is_some();
    let live = live.account();
    let mut caveats = caveat::caveats(before, after);
    caveats.extend(live.unmatched());
    let mut difference = Difference {
        before,
        after,
        caveats,
        pace: Pace::of(&before.window, &after.window),
        live,
        mapped: both_mapped.then(|| mapped.account()),
        groups: groups.groups,
        verdicts: Vec::new(),
    };
    difference.verdicts = verdict::judge(&difference);
    Ok(difference)
}

fn mapping_sites(report: &Report) -> impl Iterator<Item = (u32, &MappingSite)> {
    let processes = report.mappings.iter().flat_map(|it| &it.processes);
    processes.flat_map(|it| it.sites.iter().map(|site| (it.process, site)))
}

/// Rows while they are collected.
#[derive(Default)]
struct Ledger<'a> {
    rows: HashMap<(usize, &'a str), Row<'a>>,
    total: Change,
}

impl<'a> Ledger<'a> {
    fn add(&mut self, side: Side, row: Row<'a>, amount: Amount) -> Result<(), Damaged> {
        // No row can hold more than the total.
        let total = self.total.side(side);
        total.bytes = sum(total.bytes, amount.bytes)?;
        total.blocks = sum(total.blocks, amount.blocks)?;
        let row = match self.rows.entry((row.group, row.site_id)) {
            Entry::Vacant(free) => free.insert(row),
            Entry::Occupied(found) => {
                let found = found.into_mut();
                found.frames = row.frames;
                found
            }
        };
        let own = row.change.side(side);
        own.bytes += amount.bytes;
        own.blocks += amount.blocks;
        Ok(())
    }

    fn account(self) -> Account<'a> {
        let mut rows: Vec<Row<'a>> = self.rows.into_values().collect();
        let order = |row: &Row<'a>| {
            (
                std::cmp::Reverse(row.change.bytes()),
                row.group,
                row.site_id,
            )
        };
        rows.sort_by(|a, b| order(a).cmp(&order(b)));
        Account {
            rows,
            total: self.total,
        }
    }
}

fn sum(a: u64, b: u64) -> Result<u64, Damaged> {
    let sum = a.checked_add(b).ok_or(Damaged)?;
    i64::try_from(sum).map(|_| sum).map_err(|_| Damaged)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
