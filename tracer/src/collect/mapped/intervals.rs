//! An address space as intervals that know who made them. Pure: system calls
//! and `/proc` come in as arguments.

use std::collections::BTreeMap;

use crate::model::MappingKind;

/// More is an attack: the kernel itself allows 65,530 mappings
/// (`vm.max_map_count`), which can be split further only by who made them.
const INTERVALS_MAX: usize = 1 << 20;

/// Who made a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// It was there when the trace began, or the kernel made it.
    Before,
    /// An allocator, within one of its calls.
    Allocator,
    /// The stack with this key in the site map.
    Site(u64),
    /// Nobody saw it made.
    Unseen,
}

/// What an interval is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// What is mapped.
    pub kind: MappingKind,
    /// Whether the program may touch it; otherwise it is only reserved.
    pub usable: bool,
    /// Who made it, or made it usable.
    pub origin: Origin,
}

/// `[start, end)`, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// What it is.
    pub about: About,
}

/// Intervals that do not overlap; neighbours that are the same are one.
#[derive(Clone, Debug, Default)]
pub struct Intervals {
    by_start: BTreeMap<u64, (u64, About)>,
}

impl Intervals {
    /// All, by address.
    pub fn iter(&self) -> impl Iterator<Item = Interval> {
        self.by_start
            .iter()
            .map(|(&start, &(end, about))| Interval { start, end, about })
    }

    /// Those that reach into `[start, end)`, cut to it.
    pub fn within(&self, start: u64, end: u64) -> impl Iterator<Item = Interval> {
        let before = self.by_start.range(..=start).next_back();
        let first = before.map_or(start, |(&first, _)| first);
        let range = first..end.max(first);
        self.by_start
            .range(range)
            .filter_map(move |(&from, &(to, about))| {
                let (from, to) = (from.max(start), to.min(end));
                (from < to).then_some(Interval {
                    start: from,
                    end: to,
                    about,
                })
            })
    }

    /// Maps `[start, end)` anew, whatever stood there.
    pub fn map(&mut self, start: u64, end: u64, about: About) {
        if start >= end {
            return;
        }
        self.unmap(start, end);
        let (mut start, mut end) = (start, end);
        if let Some((&before, &(until, same))) = self.by_start.range(..start).next_back()
            && until == start
            && same == about
        {
            self.by_start.remove(&before);
            start = before;
        }
        if let Some(&(until, same)) = self.by_start.get(&end)
            && same == about
        {
            self.by_start.remove(&end);
            end = until;
        }
        if self.by_start.len() < INTERVALS_MAX {
            self.by_start.insert(start, (end, about));
        }
    }

    /// Takes `[start, end)` away, in the midst of intervals or across them.
    pub fn unmap(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        if let Some((&before, &(until, about))) = self.by_start.range(..start).next_back()
            && until > start
        {
            self.by_start.insert(before, (start, about));
            if until > end {
                self.by_start.insert(end, (until, about));
                return;
            }
        }
        while let Some((&inside, &(until, about))) = self.by_start.range(start..end).next() {
            self.by_start.remove(&inside);
            if until > end {
                self.by_start.insert(end, (until, about));
            }
        }
    }

    /// Protects `[start, end)`. What was only reserved is `origin`'s once it is
    /// usable, and so is what nobody had seen: a comparison can be ahead of the events.
    pub fn protect(&mut self, start: u64, end: u64, usable: bool, origin: Origin) {
        let changed: Vec<Interval> = self
            .within(start, end)
            .filter(|Interval { about, .. }| {
                about.usable != usable || (usable && about.origin == Origin::Unseen)
            })
            .collect();
        for Interval { start, end, about } in changed {
            let origin = if usable { origin } else { about.origin };
            let about = About {
                usable,
                origin,
                ..about
            };
            self.map(start, end, about);
        }
    }

    /// Makes the intervals what is truly mapped, and keeps what is known of it;
    /// the bytes that nobody had seen made, and those that were no longer mapped.
    pub fn reconcile(&mut self, truth: &[Interval]) -> (u64, u64) {
        let (mut unseen, mut kept) = (0, 0);
        let mut new = Self::default();
        for &Interval { start, end, about } in truth {
            let mut at = start;
            for known in self.within(start, end) {
                if known.about.kind != about.kind {
                    continue;
                }
                unseen += add_unknown(&mut new, at, known.start, about);
                let origin = if known.about.usable == about.usable || !about.usable {
                    known.about.origin
                } else {
                    about.origin
                };
                new.map(known.start, known.end, About { origin, ..about });
                kept += known.end - known.start;
                at = known.end;
            }
            unseen += add_unknown(&mut new, at, end, about);
        }
        let had: u64 = self.iter().map(|it| it.end - it.start).sum();
        *self = new;
        (unseen, had - kept)
    }
}

/// Adds what no interval was known of; the bytes of it that somebody must have made.
fn add_unknown(new: &mut Intervals, start: u64, end: u64, about: About) -> u64 {
    new.map(start, end, about);
    match about.origin {
        Origin::Unseen => end.saturating_sub(start),
        _ => 0,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGES: u64 = 48;

    #[derive(Clone, Debug)]
    enum Step {
        Map(u64, u64, About),
        Unmap(u64, u64),
        Protect(u64, u64, bool, Origin),
    }

    fn about() -> impl Strategy<Value = About> {
        (0..3u64, any::<bool>(), 0..2u8).prop_map(|(site, usable, kind)| About {
            kind: if kind == 0 {
                MappingKind::Anonymous
            } else {
                MappingKind::File
            },
            usable,
            origin: Origin::Site(site),
        })
    }

    fn step() -> impl Strategy<Value = Step> {
        let range = || (0..PAGES, 0..PAGES);
        prop_oneof![
            (range(), about()).prop_map(|((a, b), about)| Step::Map(a, b, about)),
            range().prop_map(|(a, b)| Step::Unmap(a, b)),
            (range(), any::<bool>(), 0..3u64).prop_map(|((a, b), usable, site)| Step::Protect(
                a,
                b,
                usable,
                Origin::Site(site)
            )),
        ]
    }

    /// One entry a page: what intervals must say.
    type Pages = [Option<About>; PAGES as usize];

    fn apply(step: &Step, intervals: &mut Intervals, pages: &mut Pages) {
        let range = |start: u64, end: u64| start.min(end) as usize..end as usize;
        match *step {
            Step::Map(start, end, about) => {
                intervals.map(start, end, about);
                pages[range(start, end)].fill(Some(about));
            }
            Step::Unmap(start, end) => {
                intervals.unmap(start, end);
                pages[range(start, end)].fill(None);
            }
            Step::Protect(start, end, usable, origin) => {
                intervals.protect(start, end, usable, origin);
                for page in pages[range(start, end)].iter_mut().flatten() {
                    if usable && !page.usable {
                        page.origin = origin;
                    }
                    page.usable = usable;
                }
            }
        }
    }

    fn pages_of(intervals: &Intervals) -> Pages {
        let mut pages: Pages = [None; PAGES as usize];
        for interval in intervals.iter() {
            for page in interval.start..interval.end {
                assert!(
                    pages[page as usize].replace(interval.about).is_none(),
                    "overlap"
                );
            }
        }
        pages
    }

    proptest! {
        /// Intervals say of every page what page by page is said of it.
        #[test]
        fn agree_with_pages(steps in prop::collection::vec(step(), 0..60)) {
            let mut intervals = Intervals::default();
            let mut pages: Pages = [None; PAGES as usize];
            for step in &steps {
                apply(step, &mut intervals, &mut pages);
                prop_assert_eq!(pages_of(&intervals), pages);
            }
            // No two neighbours are the same.
            let all: Vec<_> = intervals.iter().collect();
            for pair in all.windows(2) {
                prop_assert!(pair[0].end < pair[1].start || pair[0].about != pair[1].about);
            }
        }

        /// After reconciling, exactly what is mapped is left; what was right has
        /// kept who made it; and the bytes of both differences are told.
        #[test]
        fn reconciles(known in prop::collection::vec(step(), 0..30), lost in prop::collection::vec(step(), 0..10)) {
            let mut intervals = Intervals::default();
            let mut pages: Pages = [None; PAGES as usize];
            for step in &known {
                apply(step, &mut intervals, &mut pages);
            }
            let mut truth = intervals.clone();
            let mut true_pages = pages;
            for step in &lost {
                apply(step, &mut truth, &mut true_pages);
            }
            let unseen = |about: About| About { origin: Origin::Unseen, ..about };
            let lines: Vec<Interval> = truth
                .iter()
                .map(|it| Interval { about: unseen(it.about), ..it })
                .collect();
            let (came, went) = intervals.reconcile(&lines);
            let (mut expected, mut expect_came, mut expect_went) = (true_pages, 0, 0);
            for (page, expected) in expected.iter_mut().enumerate() {
                let same_kind = |(was, is): &(About, About)| was.kind == is.kind;
                match pages[page].zip(*expected).filter(same_kind) {
                    Some((was, is)) => {
                        let became_usable = is.usable && !was.usable;
                        let origin = if became_usable { Origin::Unseen } else { was.origin };
                        *expected = Some(About { origin, ..is });
                    }
                    None => {
                        expect_came += u64::from(expected.is_some());
                        expect_went += u64::from(pages[page].is_some());
                        *expected = expected.map(unseen);
                    }
                }
            }
            prop_assert_eq!(pages_of(&intervals), expected);
            prop_assert_eq!((came, went), (expect_came, expect_went));
        }
    }

    /// Ranges at the very ends of what there is.
    #[test]
    fn extreme_ranges() {
        let about = About {
            kind: MappingKind::Anonymous,
            usable: true,
            origin: Origin::Unseen,
        };
        let mut intervals = Intervals::default();
        intervals.map(0, u64::MAX, about);
        intervals.map(5, 5, about);
        intervals.map(9, 3, about);
        intervals.unmap(0, 0);
        intervals.unmap(u64::MAX, 0);
        intervals.protect(u64::MAX, 0, false, Origin::Before);
        assert_eq!(intervals.iter().count(), 1);
        intervals.unmap(1, u64::MAX);
        let left = intervals.iter().next().unwrap();
        assert_eq!((left.start, left.end), (0, 1));
    }
}
