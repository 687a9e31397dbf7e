//! A heap like that of a server whose sockets have left: mostly free, on whole pages.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::model::{
    heap::{Arena, Cell, Chunks, FreeRun, Mapped, Occupancy, Pages, Quality, Split, Walked},
    trace_heap::{Heaps, LastLook, Moment, ProcessHeap, Share, Shares, Traced},
};

const MIB: u64 = 1 << 20;

/// Of process 1 of the other samples, and of a second one that could not be walked.
pub fn heap() -> Heaps {
    let moment = |seconds, live: u64, retained: u64| Moment {
        seconds,
        split: Split {
            resident_bytes: live + retained + 55 * MIB + 4096,
            live_bytes: live,
            retained_bytes: retained,
            pinned_bytes: 2 * MIB,
            overhead_bytes: MIB,
            javascript_bytes: 9 * MIB,
            other_bytes: 2 * MIB,
            file_bytes: 41 * MIB,
            unexplained_bytes: 4096,
            swapped_bytes: 8192,
            ..Split::default()
        },
        trimmable_bytes: retained / 100 * 98,
        is_clean: true,
    };
    let share = |number: u64, bytes| Share {
        site_id: format!("{number:016x}"),
        bytes,
    };
    let shares = |sites, unseen_bytes| Shares {
        sites,
        unseen_bytes,
        left_out_bytes: 0,
    };
    Heaps {
        processes: vec![
            ProcessHeap {
                process: 1,
                timeline: vec![moment(0.0, 4 * MIB, MIB), moment(29.9, 14 * MIB, 198 * MIB)],
                last: Some(LastLook {
                    walked: walked(),
                    ..LastLook::default()
                }),
                pinned: Some(shares(vec![share(1, MIB), share(2, 300 << 10)], 748 << 10)),
                retained: Some(shares(vec![share(2, 150 * MIB)], 48 * MIB)),
                mappable_bytes: Some(120 * MIB),
                ..ProcessHeap::default()
            },
            ProcessHeap {
                process: 2,
                traced: Some(Traced {
                    resident_bytes: 12 * MIB,
                    live_bytes: 3 * MIB,
                    retained_bytes: 8 * MIB,
                    pinned_bytes: MIB,
                    is_upper_bound: true,
                }),
                not_walked: Some("glibc 2.99 is not known.".to_owned()),
                ..ProcessHeap::default()
            },
        ],
    }
}

fn walked() -> Walked {
    Walked {
        version: "2.36".to_owned(),
        arenas: vec![Arena {
            address: 0x7f00_1234_5c60,
            is_main: true,
            regions: 1,
            system_bytes: 215 * MIB,
            chunks: Chunks {
                live_count: 1952,
                live_bytes: 14 * MIB,
                ..Chunks::default()
            },
            pages: Pages::default(),
            trimmable_bytes: 194 * MIB,
        }],
        mapped: Mapped::default(),
        caches: 5,
        largest_free: vec![FreeRun {
            start: 0x5555_0000_1000,
            bytes: 9 * MIB,
            resident_bytes: 8 * MIB,
            is_top: true,
        }],
        occupancy: Occupancy {
            pages_per_cell: 16,
            regions: vec![(0x5555_0000_0000, 1)],
            cells: vec![Cell::default()],
        },
        quality: Quality {
            is_clean: true,
            ..Quality::default()
        },
        ..Walked::default()
    }
}

/// Heaps with any figures, of any process, and any reason.
pub fn any_heap(text: impl Strategy<Value = String>) -> impl Strategy<Value = Heaps> {
    let number = prop_oneof![0..1_u64 << 20, 0..1_u64 << 53];
    let shares = (vec((any::<u64>(), number.clone()), 0..4), number.clone());
    let shares = shares.prop_map(|(sites, unseen_bytes)| Shares {
        sites: (sites.into_iter())
            .map(|(site, bytes)| Share {
                site_id: format!("{site:016x}"),
                bytes,
            })
            .collect(),
        unseen_bytes,
        left_out_bytes: 0,
    });
    let moment = (0.0..1e9_f64, number.clone(), number).prop_map(|(seconds, live, other)| Moment {
        seconds,
        split: Split {
            resident_bytes: live,
            live_bytes: other,
            unexplained_bytes: (live as i64).wrapping_sub(other as i64),
            ..Split::default()
        },
        ..Moment::default()
    });
    let process = (
        0..4_u32,
        vec(moment, 0..3),
        of(shares.clone()),
        of(shares),
        of(text),
    );
    let process =
        process.prop_map(
            |(process, timeline, pinned, retained, not_walked)| ProcessHeap {
                process,
                timeline,
                pinned,
                retained,
                not_walked,
                ..ProcessHeap::default()
            },
        );
    vec(process, 0..3).prop_map(|processes| Heaps { processes })
}
