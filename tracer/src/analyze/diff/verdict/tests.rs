use proptest::prelude::*;

use super::*;
use crate::{
    analyze::{diff::compare, gate::Failure, gate::Gate},
    model::{
        Extent, MappingKind, MappingSite, Mappings, Process, ProcessMappings, Source,
        growth::{AGES, Growth, Resident, SiteGrowth},
        heap::Split,
        trace_heap::{Heaps, Moment, ProcessHeap},
    },
    render::sample,
};

const MIB: u64 = 1 << 20;

/// The sample's process, an hour old, traced for 30 s that end at this second, with so
/// much anonymous memory.
fn report(end: u64, anonymous_bytes: u64, runtime: Option<&str>) -> Report {
    let mut report = sample::small();
    report.window.start_monotonic_ns = (end - 30) * 1_000_000_000;
    report.window.end_monotonic_ns = end * 1_000_000_000;
    report.processes[0].start_time = 0;
    let moment = |second: u32| Resident {
        seconds: f64::from(second),
        anonymous_bytes,
        file_bytes: 20 * MIB,
        ..Resident::default()
    };
    report.growth = vec![Growth {
        process: 1,
        runtime: runtime.map(str::to_owned),
        timeline: (0..=30).map(moment).collect(),
        ..Growth::default()
    }];
    report
}

/// The same, its heap walked: live, retained, pinned.
fn walked(end: u64, [live_bytes, retained_bytes, pinned_bytes]: [u64; 3]) -> Report {
    let mut report = report(end, live_bytes + retained_bytes + pinned_bytes, None);
    let moment = |second: u32| Moment {
        seconds: f64::from(second),
        split: Split {
            live_bytes,
            retained_bytes,
            pinned_bytes,
            ..Split::default()
        },
        ..Moment::default()
    };
    report.heap = Some(Heaps {
        processes: vec![ProcessHeap {
            process: 1,
            timeline: (0..=30).map(moment).collect(),
            ..ProcessHeap::default()
        }],
    });
    report
}

fn verdicts(before: &Report, after: &Report) -> Vec<Verdict> {
    compare(before, after).unwrap().verdicts
}

fn kinds(before: &Report, after: &Report) -> Vec<Kind> {
    verdicts(before, after).iter().map(|it| it.kind).collect()
}

/// A place that grew between two recordings of one process is told with its bytes and
/// rate; surely where the second one saw it grow itself, hardly where it may warm up.
#[test]
fn one_process_grew() {
    let before = report(3600, 100 * MIB, Some("V8"));
    let mut after = report(3700, 164 * MIB, Some("V8"));
    let found = verdicts(&before, &after);
    assert_eq!(found.len(), 1);
    let one = &found[0];
    assert_eq!((one.kind, one.bytes), (Kind::JsHeap, 64 * MIB));
    assert!((one.bytes_per_second - 0.64 * MIB as f64).abs() < 1.0);
    assert_eq!(one.confidence, Confidence::Medium);
    assert!(
        one.summary
            .starts_with("The JS heap grew: 64.0 MiB more within 1 min 40 s")
    );
    after.verdicts = vec![Verdict {
        process: 1,
        ..one.clone()
    }];
    assert_eq!(verdicts(&before, &after)[0].confidence, Confidence::High);
    after.verdicts.clear();
    let young = |mut report: Report| {
        report.processes[0].start_time = 3_560_000_000_000;
        report
    };
    let found = verdicts(&young(before), &young(after));
    assert_eq!(found[0].confidence, Confidence::Low);
    assert!(found[0].would_change[0].starts_with("The process was 10.0 s old"));
}

/// Each place has its kind; what is noise has none.
#[test]
fn places_have_their_kinds() {
    let base = [100 * MIB, 20 * MIB, 20 * MIB];
    let after = |more: [u64; 3]| {
        let sums = [base[0] + more[0], base[1] + more[1], base[2] + more[2]];
        kinds(&walked(3600, base), &walked(3700, sums))
    };
    assert_eq!(after([40 * MIB, 0, 0]), [Kind::Leak]);
    assert_eq!(after([0, 40 * MIB, 0]), [Kind::Retention]);
    assert_eq!(after([0, 0, 40 * MIB]), [Kind::Fragmentation]);
    assert_eq!(
        after([40 * MIB, 30 * MIB, 0]),
        [Kind::Leak, Kind::Retention]
    );
    assert_eq!(after([10 * MIB; 3]), [Kind::Healthy]);
    let shrunk = kinds(&walked(3600, base), &walked(3700, [MIB; 3]));
    assert_eq!(shrunk, [Kind::Healthy]);
}

/// The code is that of the sites that kept growing in the second window.
#[test]
fn code_is_named() {
    let before = walked(3600, [100 * MIB, 0, 0]);
    let mut after = walked(3700, [200 * MIB, 0, 0]);
    let steady = [0, 8 * MIB / 3, 16 * MIB / 3];
    after.growth[0].sites = vec![SiteGrowth {
        site_id: after.sites[0].site_id.clone(),
        first_trough_bytes: steady[0],
        middle_trough_bytes: steady[1],
        last_trough_bytes: steady[2],
        bytes_per_second: 8.0 * MIB as f64 / 30.0,
        error_bytes_per_second: 1.0,
        survivors: [MIB; AGES],
    }];
    let found = verdicts(&before, &after);
    let first = &found[0].stacks[0];
    assert_eq!(first.frames[0].function.as_deref(), Some("leak_buffer"));
    assert!((first.share - 1.0).abs() < 1e-9);
}

/// Mappings that grew are told by who mapped them, where no block explains them.
#[test]
fn mappings_are_told() {
    let before = report(3600, 100 * MIB, None);
    let mut after = report(3700, 200 * MIB, None);
    let map = |report: &mut Report, resident_bytes| {
        report.mappings = Some(Mappings {
            processes: vec![ProcessMappings {
                process: 1,
                sites: vec![MappingSite {
                    site_id: "7".to_owned(),
                    source: Source::Mmap,
                    kind: MappingKind::Anonymous,
                    extent: Extent {
                        resident_bytes,
                        ..Extent::default()
                    },
                    pool: None,
                    frames: report.sites[0].frames.clone(),
                }],
                ..ProcessMappings::default()
            }],
            ..Mappings::default()
        });
    };
    let mut mapped = before.clone();
    map(&mut mapped, MIB);
    map(&mut after, 80 * MIB);
    let found = verdicts(&mapped, &after);
    assert_eq!((found[0].kind, found[0].bytes), (Kind::Mapping, 100 * MIB));
    assert_eq!(found[0].stacks.len(), 1);
}

/// Two runs have to differ by more, and what they say is less sure; unlike ones least.
#[test]
fn two_runs_are_less_sure() {
    let before = report(3600, 200 * MIB, None);
    let run = |bytes| {
        let mut after = report(7200, bytes, None);
        after.host.boot_id = "another".to_owned();
        after
    };
    assert_eq!(kinds(&before, &run(220 * MIB)), [Kind::Healthy]);
    let found = verdicts(&before, &run(240 * MIB));
    assert_eq!((found[0].kind, found[0].bytes), (Kind::Mapping, 40 * MIB));
    assert_eq!(found[0].confidence, Confidence::Low);
    assert_eq!(found[0].bytes_per_second, 0.0);
    let mut unlike = run(240 * MIB);
    unlike.window.seconds = 300.0;
    let told = &verdicts(&before, &unlike)[0];
    assert!(told.would_change[0].contains("not seen for the same time"));
}

/// Of several processes the average one is compared, so that one more is no growth.
#[test]
fn one_more_process_is_no_growth() {
    let before = report(3600, 200 * MIB, None);
    let mut after = report(3700, 200 * MIB, None);
    let other = Process {
        id: 2,
        pid: 99,
        ..after.processes[0].clone()
    };
    after.processes.push(other);
    after.processes[0].pid = 98;
    let growth = Growth {
        process: 2,
        ..after.growth[0].clone()
    };
    after.growth.push(growth);
    assert_eq!(kinds(&before, &after), [Kind::Healthy]);
    after.processes[1].command = "other".to_owned();
    assert!(kinds(&before, &after).contains(&Kind::NotEnoughData));
}

/// Where there is nothing to compare this is said: the same recording twice, the wrong
/// way round, or one that tells nothing.
#[test]
fn nothing_to_compare_is_told() {
    let (one, two) = (report(3600, MIB, None), report(3700, 90 * MIB, None));
    for (before, after, words) in [
        (&one, &one, "end 0.0 s apart"),
        (&two, &one, "the other way round"),
        (&one, &sample::small(), "does not tell"),
    ] {
        let found = verdicts(before, after);
        assert_eq!(found[0].kind, Kind::NotEnoughData);
        assert!(found[0].summary.contains(words), "{}", found[0].summary);
    }
}

/// A gate goes by the verdicts on a difference, and by what the process itself holds.
#[test]
fn a_gate_goes_by_the_difference() {
    let before = report(3600, 100 * MIB, Some("V8"));
    let after = report(3700, 164 * MIB, Some("V8"));
    let difference = compare(&before, &after).unwrap();
    let gate = |kinds: &[Kind], max_growth| Gate {
        kinds: kinds.to_vec(),
        max_growth,
        asked_seconds: None,
    };
    let check = |gate: Gate| gate.check_difference(&difference).failures.len();
    assert_eq!(check(gate(&[Kind::JsHeap], None)), 1);
    assert_eq!(check(gate(&[Kind::Leak], Some(64 * MIB))), 0);
    let failed = gate(&[], Some(63 * MIB)).check_difference(&difference);
    let expected = Failure::Growth {
        process: 0,
        bytes: 64 * MIB,
        most: 63 * MIB,
        others: 0,
    };
    assert_eq!((failed.failures, failed.doubts), (vec![expected], vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of any two recordings every group has a verdict, and none says more than all.
    #[test]
    fn every_group_has_a_verdict(before in sample::any_report(), after in sample::any_report()) {
        let Ok(difference) = compare(&before, &after) else {
            return Ok(());
        };
        for (index, group) in (0_u32..).zip(&difference.groups) {
            let mut own = difference.verdicts.iter().filter(|it| it.process == index);
            prop_assert!(own.next().is_some(), "{group:?}");
        }
        for verdict in &difference.verdicts {
            prop_assert!(verdict.bytes_per_second.is_finite());
            let shares: f64 = verdict.stacks.iter().map(|it| it.share).sum();
            prop_assert!(shares <= 1.01, "{shares}");
        }
    }
}
