use proptest::prelude::*;

use super::*;
use crate::{
    model::{
        growth::{AGES, Growth, Resident, SiteGrowth},
        heap::Split,
        trace_heap::{Heaps, Moment, ProcessHeap},
    },
    render::sample,
};

mod slices;

const MIB: u64 = 1 << 20;

/// A report on one process of 100 MiB over 30 s, its first site's survivors by age.
fn report(survivors: [u64; AGES]) -> Report {
    let mut report = sample::small();
    let live: u64 = survivors.iter().sum();
    let timeline = (0..30_u32).map(|second| Resident {
        seconds: f64::from(second),
        anonymous_bytes: 100 * MIB,
        live_bytes: live * u64::from(second) / 30,
        ..Resident::default()
    });
    report.growth = vec![Growth {
        process: 1,
        timeline: timeline.collect(),
        sites: vec![SiteGrowth {
            site_id: report.sites[0].site_id.clone(),
            first_trough_bytes: 0,
            middle_trough_bytes: survivors[..2].iter().sum(),
            last_trough_bytes: survivors[..5].iter().sum(),
            bytes_per_second: live as f64 / 30.0,
            error_bytes_per_second: live as f64 / 3000.0,
            survivors,
        }],
        ..Growth::default()
    }];
    report
}

fn kinds(report: &Report) -> Vec<Kind> {
    judge(report).iter().map(|verdict| verdict.kind).collect()
}

/// Steady survivors of a size are a leak, with all their bytes and their stack; fewer
/// ask for a longer trace; none are healthy.
#[test]
fn a_leak_by_size() {
    let leak = judge(&report([MIB; AGES]));
    assert_eq!(leak[0].kind, Kind::Leak);
    assert_eq!(
        (leak[0].bytes, leak[0].confidence),
        (8 * MIB, Confidence::High)
    );
    assert_eq!(
        leak[0].stacks[0].frames[0].function.as_deref(),
        Some("leak_buffer")
    );
    assert_eq!(kinds(&report([8 << 10; AGES])), [Kind::NotEnoughData]);
    assert_eq!(kinds(&report([0; AGES])), [Kind::Healthy]);
}

/// What fills up, evicts, or is only young accuses nobody, however large it is.
#[test]
fn look_alikes_are_healthy() {
    for survivors in [
        [40 * MIB, 20 * MIB, 4 * MIB, MIB, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, MIB, 20 * MIB, 40 * MIB],
        [0, 0, 0, 0, 0, 0, 0, 80 * MIB],
        [0, 0, 80 * MIB, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(kinds(&report(survivors)), [Kind::Healthy], "{survivors:?}");
    }
}

/// A walk that found less than the ledger knows to be live has missed the heap: what it took for
/// other memory is no mapping that grows.
#[test]
fn a_walk_that_misses_the_heap_is_not_believed() {
    let mut report = report([8 * MIB; AGES]);
    report.processes[0].allocator = "glibc 2.36".to_owned();
    for (second, moment) in report.growth[0].timeline.iter_mut().enumerate() {
        moment.anonymous_bytes = (40 + 2 * second as u64) * MIB;
    }
    let moment = |second: u32| Moment {
        seconds: f64::from(second),
        split: Split {
            live_bytes: 10 * MIB,
            other_bytes: (30 + 2 * u64::from(second)) * MIB,
            ..Split::default()
        },
        ..Moment::default()
    };
    report.heap = Some(Heaps {
        processes: vec![ProcessHeap {
            process: 1,
            timeline: (0..30).step_by(5).map(moment).collect(),
            ..ProcessHeap::default()
        }],
    });
    let told = judge(&report);
    assert_eq!(told[0].kind, Kind::Leak, "{told:?}");
    assert_eq!(told[0].bytes, 64 * MIB);
    assert!(told.iter().all(|it| it.kind != Kind::Mapping), "{told:?}");
}

/// A window of two seconds clears nobody and accuses nobody.
#[test]
fn a_short_window_is_no_verdict() {
    let mut report = report([MIB; AGES]);
    report.window.seconds = 2.0;
    assert_eq!(kinds(&report), [Kind::NotEnoughData]);
}

/// A cache that has filled up within the window and changes its entries by chance has some
/// of every age, and does not grow any more.
#[test]
fn a_full_cache_of_all_ages_is_no_leak() {
    let mut report = report([MIB; AGES]);
    let site = &mut report.growth[0].sites[0];
    (site.middle_trough_bytes, site.last_trough_bytes) = (7 * MIB, 8 * MIB);
    site.error_bytes_per_second = site.bytes_per_second / 6.0;
    assert_eq!(kinds(&report), [Kind::Healthy]);
}

/// A heap that was looked at once, as its process came late, says nothing of growth: the
/// ledger does.
#[test]
fn one_look_clears_nobody() {
    let mut report = report([MIB; AGES]);
    report.heap = sample::troubled().heap.map(|mut heap| {
        heap.processes[0].timeline.truncate(1);
        heap.processes[0].timeline[0].seconds = 29.0;
        heap
    });
    let verdicts = judge(&report);
    assert_eq!((verdicts[0].kind, verdicts[0].bytes), (Kind::Leak, 8 * MIB));
}

/// What a program maps as it starts is a step; as much in a line is growth.
#[test]
fn a_step_is_no_growth() {
    for (at, expected) in [(20, vec![Kind::Healthy]), (0, vec![Kind::Mapping])] {
        let mut report = report([0; AGES]);
        let files = |second: u64| match at {
            0 => second * 2 * MIB,
            at => u64::from(second > at) * 40 * MIB,
        };
        for (second, moment) in (0..).zip(&mut report.growth[0].timeline) {
            moment.file_bytes = files(second);
        }
        assert_eq!(kinds(&report), expected);
    }
}

/// Where all live blocks together stand still in the second half, one site's growth is what another
/// gives back; a look at the heap that seems to rise while the whole does not is one at a tooth's top.
#[test]
fn what_the_whole_does_not_show_is_no_growth() {
    let mut level = report([MIB; AGES]);
    for moment in &mut level.growth[0].timeline {
        moment.live_bytes = moment.live_bytes.min(4 * MIB);
    }
    assert_eq!(kinds(&level), [Kind::Healthy]);
    let mut saw = sample::with_javascript();
    let resident = |second: u32| Resident {
        seconds: f64::from(second),
        anonymous_bytes: (100 + u64::from(second % 5) * 20) * MIB,
        ..Resident::default()
    };
    saw.growth = vec![Growth {
        process: saw.processes[0].id,
        runtime: Some("V8".to_owned()),
        timeline: (0..30).map(resident).collect(),
        ..Growth::default()
    }];
    assert_eq!(kinds(&saw), [Kind::Healthy]);
}

/// Where those who allocate are threads of the runtime, the script's function that grows
/// beside them is among the stacks.
#[test]
fn the_script_is_told_beside_threads() {
    let mut report = report([MIB; AGES]);
    report.growth[0].runtime = Some("V8".to_owned());
    let site = report.sites[0].clone();
    let grown = report.growth[0].sites[0].clone();
    for number in 0..7 {
        let mut site = site.clone();
        let mut grown = grown.clone();
        site.site_id = format!("more {number}");
        grown.site_id = site.site_id.clone();
        site.frames.truncate(1);
        if number == 6 {
            let frame = &mut site.frames[0];
            frame.module = crate::model::JAVASCRIPT.to_owned();
            frame.file = Some("/srv/app.js".to_owned());
            frame.function = Some("compress".to_owned());
            grown.survivors = [MIB / 2; AGES];
        }
        report.sites.push(site);
        report.growth[0].sites.push(grown);
    }
    for moment in &mut report.growth[0].timeline {
        moment.live_bytes *= 8;
    }
    let verdicts = judge(&report);
    let told = verdicts[0].stacks.iter().flat_map(|stack| &stack.frames);
    let functions: Vec<_> = told.filter_map(|it| it.function.as_deref()).collect();
    assert_eq!(verdicts[0].stacks.len(), 5);
    assert_eq!(functions.last(), Some(&"compress"));
}

proptest! {
    /// Whatever a report says, every process whose growth is known has a verdict, no
    /// process is both healthy and not, and no share is more than the whole.
    #[test]
    fn every_process_has_a_verdict(report in sample::any_report()) {
        let verdicts = judge(&report);
        for process in &report.processes {
            let is_known = report.growth.iter().any(|it| it.process == process.id);
            let own: Vec<_> = verdicts.iter().filter(|it| it.process == process.id).collect();
            prop_assert_eq!(is_known, !own.is_empty());
            let is_healthy = own.iter().any(|it| it.kind == Kind::Healthy);
            let same: usize = report.processes.iter().filter(|it| it.id == process.id).count();
            prop_assert!(!is_healthy || own.len() == same);
        }
        for verdict in &verdicts {
            prop_assert!(verdict.bytes_per_second.is_finite());
            let shares: f64 = verdict.stacks.iter().map(|it| it.share).sum();
            prop_assert!(shares <= 1.01, "{}", shares);
        }
    }
}

/// A JS heap that grows is told by V8's own pages, with the program's own functions by
/// what they allocate, however they came to V8's allocator.
#[test]
fn a_javascript_heap_that_grows() {
    let mut report = sample::with_javascript();
    let process = report.processes[0].id;
    report.growth = vec![Growth {
        process,
        runtime: Some("V8".to_owned()),
        ..Growth::default()
    }];
    let verdict = &judge(&report)[0];
    assert_eq!(verdict.kind, Kind::JsHeap);
    assert!(
        (60 * MIB..=90 * MIB).contains(&verdict.bytes),
        "{}",
        verdict.bytes
    );
    let stacks: Vec<(&str, u32)> = (verdict.stacks.iter())
        .filter_map(|it| Some((it.frames[0].function.as_deref()?, (it.share * 100.0) as u32)))
        .collect();
    assert_eq!(stacks, [("keep", 66), ("format", 33)]);
    // The same of a few samples only says nothing of shares.
    if let Some(heaps) = &mut report.javascript {
        heaps.processes[0].samples = 10;
    }
    assert_eq!(judge(&report)[0].stacks, []);
}

/// Of a heap that stays as it is nothing is said, however much is allocated in it.
#[test]
fn a_javascript_heap_that_only_churns() {
    let mut report = sample::with_javascript();
    if let Some(heaps) = &mut report.javascript {
        for moment in &mut heaps.processes[0].timeline {
            moment.old_bytes = 20 * MIB;
        }
    }
    report.growth = vec![Growth {
        process: report.processes[0].id,
        runtime: Some("V8".to_owned()),
        ..Growth::default()
    }];
    assert_eq!(kinds(&report), [Kind::Healthy]);
}

/// What V8 allocates for the pages of a heap that grows does not hide that; what node
/// allocates does not step back.
#[test]
fn records_of_pages_are_no_leak_of_their_own() {
    for (allocator, first) in [
        (
            "v8::internal::MemoryAllocator::AllocatePage()",
            Kind::JsHeap,
        ),
        ("node::NodeArrayBufferAllocator::Allocate()", Kind::Leak),
    ] {
        let mut report = report([MIB; AGES]);
        report.javascript = sample::with_javascript().javascript;
        report.growth[0].runtime = Some("V8".to_owned());
        for (second, moment) in (0..).zip(&mut report.growth[0].timeline) {
            moment.anonymous_bytes += second * 3 * MIB;
        }
        for frame in &mut report.sites[0].frames {
            frame.function = Some("operator new(unsigned long)".to_owned());
        }
        report.sites[0].frames.truncate(2);
        report.sites[0].frames[1].function = Some(allocator.to_owned());
        assert_eq!(kinds(&report)[0], first);
    }
}
