//! The mappings of a process over time: events in, what is mapped out.

pub mod intervals;
mod measure;
pub mod residency;
mod watch;

use std::collections::HashMap;

use tracer_common::mapping::{BY_ALLOCATOR, MappingEvent, MappingKind as Event};

use self::{
    intervals::{About, Interval, Intervals, Origin},
    residency::PAGE,
};
use super::maps;
use crate::model::MappingKind;

pub(super) use measure::{Measured, measure, of};
pub(super) use watch::{Watch, compare};

const MAP_SHARED: u32 = 1;
const MAP_ANONYMOUS: u32 = 0x20;
const MAP_HUGETLB: u32 = 0x4_0000;
/// What an mremap took and has not put down: one a thread.
const TAKEN_MAX: usize = 4096;
/// `/proc/PID/maps` has a line for each of at most `vm.max_map_count` mappings.
const LINES_MAX: usize = 1 << 20;

/// The mappings of one address space.
#[derive(Debug, Default)]
pub struct Mapped {
    intervals: Intervals,
    /// Where the heap ends that `brk` moves.
    heap_end: Option<u64>,
    /// By thread, what its mremap moves.
    taken: HashMap<u32, Vec<Interval>>,
    /// What is known may be wrong until it is compared with what is there.
    pub is_unclear: bool,
}

impl Mapped {
    /// What is mapped, by address.
    pub fn intervals(&self) -> impl Iterator<Item = Interval> {
        self.intervals.iter()
    }

    /// Takes in one event. Events are to come in the order of their times.
    pub fn apply(&mut self, event: &MappingEvent) {
        let Some(kind) = Event::from_number(event.kind) else {
            return;
        };
        let start = event.start & !(PAGE - 1);
        let end = event.start.saturating_add(event.length);
        let end = end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        match kind {
            Event::Mapped => {
                let about = About {
                    kind: kind_of(event.flags),
                    usable: event.protection != 0,
                    origin: origin_of(event),
                };
                self.intervals.map(start, end, about);
                // Their pages are of another size.
                self.is_unclear |= event.flags & MAP_HUGETLB != 0;
            }
            Event::Unmapped => self.intervals.unmap(start, end),
            Event::Opened => {}
            Event::Protected => {
                let usable = event.protection != 0;
                self.intervals.protect(start, end, usable, origin_of(event));
            }
            Event::Break => self.move_heap_end(event.start, origin_of(event)),
            Event::Taken => {
                if self.taken.len() < TAKEN_MAX {
                    let pieces = self.intervals.within(start, end).collect();
                    self.taken.insert(event.thread, pieces);
                }
                self.intervals.unmap(start, end);
            }
            Event::Moved => {
                let pieces = self.taken.remove(&event.thread).unwrap_or_default();
                let was = pieces.first().map(|piece| piece.about);
                let about = About {
                    kind: was.map_or(MappingKind::Anonymous, |was| was.kind),
                    usable: was.is_none_or(|was| was.usable),
                    origin: origin_of(event),
                };
                self.intervals.map(start, end, about);
            }
            Event::Unclear => {
                for Interval { start, end, about } in
                    self.taken.remove(&event.thread).unwrap_or_default()
                {
                    self.intervals.map(start, end, about);
                }
                self.is_unclear = true;
            }
        }
    }

    fn move_heap_end(&mut self, to: u64, origin: Origin) {
        let to = to.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
        let from = self.heap_end.replace(to).unwrap_or(to);
        let about = About {
            kind: MappingKind::Anonymous,
            usable: true,
            origin,
        };
        self.intervals.map(from, to, about);
        self.intervals.unmap(to, from);
    }

    /// Compares with `/proc/PID/maps`: the bytes that nobody had seen mapped.
    /// What comes up now is `origin`'s.
    pub fn compare(&mut self, text: &[u8], origin: Origin) -> u64 {
        let mut truth = Vec::new();
        for line in maps::lines(text).take(LINES_MAX) {
            if line.path == b"[heap]" {
                self.heap_end = Some(line.end);
            }
            // In the kernel's half of the addresses, for all processes.
            if line.path == b"[vsyscall]" {
                continue;
            }
            truth.push(Interval {
                start: line.start,
                end: line.end,
                about: About {
                    kind: kind_of_line(&line),
                    usable: line.usable,
                    origin: if is_of_kernel(line.path) {
                        Origin::Before
                    } else {
                        origin
                    },
                },
            });
        }
        self.is_unclear = false;
        self.intervals.reconcile(&truth).0
    }
}

/// What the kernel maps itself: stacks that grow, its own code and data, and
/// the page that return probes need.
fn is_of_kernel(path: &[u8]) -> bool {
    [&b"[stack"[..], b"[v", b"[uprobes]"]
        .iter()
        .any(|beginning| path.starts_with(beginning))
}

fn origin_of(event: &MappingEvent) -> Origin {
    match event.site {
        _ if event.flags & BY_ALLOCATOR != 0 => Origin::Allocator,
        0 => Origin::Unseen,
        site => Origin::Site(site),
    }
}

fn kind_of(flags: u32) -> MappingKind {
    match (flags & (MAP_ANONYMOUS | MAP_HUGETLB), flags & MAP_SHARED) {
        (MAP_ANONYMOUS, 0) => MappingKind::Anonymous,
        (MAP_ANONYMOUS, _) => MappingKind::Shared,
        _ => MappingKind::File,
    }
}

/// Shared memory without a name is a file of the kernel's (`shmem_zero_setup`, mm/shmem.c).
fn kind_of_line(line: &maps::Line<'_>) -> MappingKind {
    if line.inode == 0 {
        MappingKind::Anonymous
    } else if line.shared && line.path == b"/dev/zero (deleted)" {
        MappingKind::Shared
    } else {
        MappingKind::File
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: Event, start: u64, length: u64, thread: u32) -> MappingEvent {
        MappingEvent {
            start,
            length,
            kind: kind as u32,
            thread,
            flags: MAP_ANONYMOUS | 2,
            protection: 3,
            site: 7,
            ..MappingEvent::default()
        }
    }

    fn ranges(mapped: &Mapped) -> Vec<(u64, u64)> {
        mapped.intervals().map(|it| (it.start, it.end)).collect()
    }

    /// The heap's end moves up and down; a remapped range is where it went,
    /// and back where it was if the call failed; lengths are rounded up.
    #[test]
    fn follows_each_call() {
        let mut mapped = Mapped::default();
        let heap = b"1000-3000 rw-p 00000000 00:00 0    [heap]\n";
        assert_eq!(mapped.compare(heap, Origin::Before), 0);
        mapped.apply(&event(Event::Break, 0x4001, 0, 1));
        assert_eq!(ranges(&mapped), [(0x1000, 0x3000), (0x3000, 0x5000)]);
        mapped.apply(&event(Event::Break, 0x2000, 0, 1));
        assert_eq!(ranges(&mapped), [(0x1000, 0x2000)]);
        mapped.apply(&event(Event::Mapped, 0x10000, 0x1800, 1));
        mapped.apply(&event(Event::Taken, 0x10000, 0x1800, 1));
        assert_eq!(ranges(&mapped), [(0x1000, 0x2000)]);
        mapped.apply(&event(Event::Mapped, 0x10000, 0x1000, 2));
        mapped.apply(&event(Event::Moved, 0x20000, 0x3000, 1));
        assert_eq!(
            ranges(&mapped),
            [(0x1000, 0x2000), (0x10000, 0x11000), (0x20000, 0x23000)]
        );
        mapped.apply(&event(Event::Taken, 0x20000, 0x1000, 1));
        mapped.apply(&event(Event::Unclear, 0x20000, 0x1000, 1));
        assert_eq!(ranges(&mapped)[2], (0x20000, 0x23000));
        assert!(mapped.is_unclear);
        mapped.apply(&event(Event::Unmapped, 0, u64::MAX, 1));
        assert_eq!(ranges(&mapped), []);
    }

    /// What nobody saw mapped is told, but stacks, which the kernel makes grow.
    #[test]
    fn compares() {
        let mut mapped = Mapped::default();
        let before =
            b"1000-3000 rw-p 00000000 00:00 0 \n8000-9000 rw-p 00000000 00:00 0    [stack]\n";
        assert_eq!(mapped.compare(before, Origin::Before), 0);
        let now = b"1000-5000 ---p 00000000 00:00 0 \n6000-9000 rw-p 00000000 00:00 0    [stack]\n";
        assert_eq!(mapped.compare(now, Origin::Unseen), 0x2000);
        assert_eq!(ranges(&mapped).first(), Some(&(0x1000, 0x3000)));
        assert_eq!(ranges(&mapped).last(), Some(&(0x6000, 0x9000)));
    }
}
