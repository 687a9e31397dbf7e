//! Who pins the pages of a heap, and who freed what is free on whole ones.

use std::{collections::HashMap, ops::Range};

use crate::model::{
    heap::PartlyUsed,
    trace_heap::{Share, Shares},
};

/// Bytes of a page: x86-64's.
const PAGE: u64 = 4096;
/// Parts of a byte that shares are counted in.
const PARTS: u128 = 1 << 20;
/// Blocks of so many bytes would be mappings with `MALLOC_MMAP_THRESHOLD_=65536`.
pub const MAPPED_FROM: u64 = 64 << 10;

/// Shares the free bytes of pinned pages out to those whose blocks are on them:
/// of each page as much of what is free as a site has of what is in use.
pub struct Pinned {
    /// Number of a page, and bytes in use on it; by number.
    pages: Vec<(u64, u16)>,
    /// In [`PARTS`] of a byte.
    by_site: HashMap<u64, u128>,
    total_bytes: u64,
    left_out_bytes: u64,
}

impl Pinned {
    /// Of these pages; `all_bytes` are pinned, those on pages that are not among
    /// them too.
    #[must_use]
    pub fn new(pages: &PartlyUsed, all_bytes: u64) -> Self {
        let pages: Vec<_> = pages.iter().filter(|(_, used)| *used > 0).collect();
        let free = |used: u16| PAGE.saturating_sub(u64::from(used));
        let total_bytes = (pages.iter()).map(|(_, used)| free(*used)).sum();
        Self {
            pages,
            by_site: HashMap::new(),
            total_bytes,
            left_out_bytes: all_bytes.saturating_sub(total_bytes),
        }
    }

    /// A live block: the bytes that it takes, the site, and how many blocks it
    /// stands for.
    pub fn add(&mut self, bytes: Range<u64>, site: u64, weight: u64) {
        let Range { start, end } = bytes;
        let (first, last) = (start / PAGE, end.saturating_sub(1) / PAGE);
        let from = self.pages.partition_point(|(page, _)| *page < first);
        let pages = self.pages.iter().skip(from);
        for &(page, used) in pages.take_while(|(page, _)| *page <= last) {
            let within = start.max(page * PAGE)..end.min((page + 1) * PAGE);
            let bytes = within.end.saturating_sub(within.start);
            let used = u128::from(used);
            let free = u128::from(PAGE).saturating_sub(used);
            let share = free * PARTS * u128::from(bytes).min(used) / used;
            *self.by_site.entry(site).or_default() += share * u128::from(weight);
        }
    }

    /// The shares by site; `name` gives those a name that are one in the report.
    #[must_use]
    pub fn shares(self, name: impl Fn(u64) -> Option<String>) -> Shares {
        let parts = self.by_site.into_iter();
        let bytes = parts.map(|(site, parts)| (site, (parts / PARTS) as u64));
        let mut shares = named(bytes, name);
        let seen: u64 = shares.sites.iter().map(|share| share.bytes).sum();
        shares.unseen_bytes = self.total_bytes.saturating_sub(seen);
        shares.left_out_bytes = self.left_out_bytes;
        shares
    }
}

/// What a site freed within the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freed {
    /// The site.
    pub site: u64,
    /// Bytes of its blocks that were freed.
    pub freed_bytes: u64,
    /// By how much less is live than the most that was seen to be.
    pub fallen_bytes: u64,
    /// The blocks' mean size, of all that it allocated.
    pub mean_bytes: u64,
}

/// Shares what is free on whole pages out to those whose live bytes have fallen:
/// who only frees what it has just allocated, however much, keeps no page. What
/// is more than was freed within the window was freed before. Also how much of it
/// is of blocks of [`MAPPED_FROM`] and more.
#[must_use]
pub fn retained(
    retained_bytes: u64,
    freed: &[Freed],
    name: impl Fn(u64) -> Option<String>,
) -> (Shares, u64) {
    let sum = |of: fn(&Freed) -> u64| freed.iter().map(|it| u128::from(of(it))).sum::<u128>();
    let shared = u128::from(retained_bytes).min(sum(|it| it.freed_bytes));
    // Between two looks everything may have come and gone.
    let weight: fn(&Freed) -> u64 = match sum(|it| it.fallen_bytes) {
        0 => |it| it.freed_bytes,
        _ => |it| it.fallen_bytes,
    };
    let all = sum(weight).max(1);
    let share = |it: &Freed| (u128::from(weight(it)) * shared / all) as u64;
    let mappable = freed.iter().filter(|it| it.mean_bytes >= MAPPED_FROM);
    let mappable = mappable.map(share).sum();
    let mut shares = named(freed.iter().map(|it| (it.site, share(it))), name);
    let seen: u64 = shares.sites.iter().map(|share| share.bytes).sum();
    shares.unseen_bytes = retained_bytes.saturating_sub(seen);
    (shares, mappable)
}

/// Sites of the kernel's that are one site of the report are one.
fn named(bytes: impl Iterator<Item = (u64, u64)>, name: impl Fn(u64) -> Option<String>) -> Shares {
    let mut by_name: HashMap<String, u64> = HashMap::new();
    for (site, bytes) in bytes {
        if let Some(name) = name(site).filter(|_| bytes > 0) {
            *by_name.entry(name).or_default() += bytes;
        }
    }
    let sites = by_name.into_iter();
    let mut sites: Vec<_> = sites
        .map(|(site_id, bytes)| Share { site_id, bytes })
        .collect();
    sites.sort_unstable_by(|a, b| (b.bytes, &a.site_id).cmp(&(a.bytes, &b.site_id)));
    Shares {
        sites,
        ..Shares::default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn pages(pages: &[(u64, u16)]) -> PartlyUsed {
        let mut all = PartlyUsed::default();
        for (page, used) in pages {
            assert!(all.push(*page, *used));
        }
        all
    }

    fn block(start: u64, bytes: u64) -> Range<u64> {
        start..start + bytes
    }

    fn name(site: u64) -> Option<String> {
        (site != 0).then(|| format!("{site:x}"))
    }

    fn share(site: u64, bytes: u64) -> Share {
        Share {
            site_id: name(site).unwrap(),
            bytes,
        }
    }

    /// Two sites have a page to themselves, a quarter and three quarters of what
    /// is in use; a third one's block reaches over two pages, of which on one
    /// nothing else of the trace's is.
    #[test]
    fn free_bytes_go_to_who_is_on_the_page() {
        let mut pinned = Pinned::new(&pages(&[(2, 96), (5, 2048), (6, 1024)]), 10_000);
        pinned.add(block(2 * PAGE, 24), 1, 1);
        pinned.add(block(2 * PAGE + 1000, 72), 2, 1);
        pinned.add(block(6 * PAGE - 512, 1024), 3, 1);
        // On no pinned page.
        pinned.add(block(3 * PAGE, 4096), 1, 1);
        let shares = pinned.shares(name);
        assert_eq!(
            shares.sites,
            [share(2, 3000), share(3, 512 + 1536), share(1, 1000)]
        );
        // Three quarters of one page's, half of another's.
        assert_eq!(shares.unseen_bytes, 1536 + 1536);
        assert_eq!(shares.left_out_bytes, 10_000 - 4000 - 2048 - 3072);
    }

    /// A block of a sample stands for others like it, elsewhere.
    #[test]
    fn sampled_blocks_stand_for_more() {
        let mut pinned = Pinned::new(&pages(&[(1, 64), (2, 64), (3, 64)]), 0);
        pinned.add(block(PAGE, 64), 1, 2);
        let shares = pinned.shares(name);
        assert_eq!(shares.sites, [share(1, 2 * 4032)]);
        assert_eq!(shares.unseen_bytes, 4032);
    }

    /// Who has churned through gigabytes and never held much has left no page free.
    #[test]
    fn churn_keeps_no_page() {
        let freed = [(1, 1 << 30, 0), (2, 3000, 3000), (3, 1000, 1000)].map(
            |(site, freed_bytes, fallen_bytes)| Freed {
                site,
                freed_bytes,
                fallen_bytes,
                mean_bytes: 1,
            },
        );
        let (shares, _) = retained(4000, &freed, name);
        assert_eq!(shares.sites, [share(2, 3000), share(3, 1000)]);
    }

    /// What was freed before the window is nobody's; what large blocks left is told.
    #[test]
    fn free_pages_go_to_who_freed() {
        let freed = [(1, 3000, 100), (2, 1000, MAPPED_FROM), (0, 1000, 1)].map(
            |(site, freed_bytes, mean_bytes)| Freed {
                site,
                freed_bytes,
                fallen_bytes: 0,
                mean_bytes,
            },
        );
        let (shares, mappable) = retained(500, &freed, name);
        assert_eq!(shares.sites, [share(1, 300), share(2, 100)]);
        assert_eq!((shares.unseen_bytes, mappable), (100, 100));
        let (shares, _) = retained(50_000, &freed, name);
        assert_eq!(shares.sites, [share(1, 3000), share(2, 1000)]);
        assert_eq!(shares.unseen_bytes, 46_000);
        assert_eq!(retained(7, &[], name).0.unseen_bytes, 7);
    }

    proptest! {
        /// Whatever blocks there are, also ones that contradict the walk, nothing
        /// overflows, and of exact traces that fit the walk the shares add up.
        #[test]
        fn shares_add_up(
            used in vec((1..200_u64, 1..4096_u16), 0..50),
            blocks in vec((any::<u64>(), any::<u64>(), 0..4_u64, 1..9_u64), 0..50),
        ) {
            let mut used: Vec<_> = used;
            used.sort_unstable();
            used.dedup_by_key(|(page, _)| *page);
            let mut pinned = Pinned::new(&pages(&used), 1 << 40);
            for (index, (page, used)) in used.iter().enumerate() {
                // As much as there is, in two blocks.
                let (half, rest) = (u64::from(used / 2), u64::from(used.div_ceil(2)));
                pinned.add(block(page * PAGE, half), index as u64 % 3 + 1, 1);
                pinned.add(block(page * PAGE + half, rest), 1, 1);
            }
            let total = pinned.total_bytes;
            let shares = pinned.shares(name);
            prop_assert!(shares.unseen_bytes <= 3, "{shares:?}");
            prop_assert_eq!(shares.total(), 1 << 40);
            prop_assert!(total < 1 << 40);
            let mut pinned = Pinned::new(&pages(&used), 0);
            for (address, bytes, site, weight) in blocks {
                pinned.add(address..bytes, site, weight);
            }
            let _shares = pinned.shares(name);
        }
    }
}
