use proptest::prelude::*;

use super::*;
use crate::{
    model::{
        Loss, LossCause,
        verdict::{Confidence, VerdictStack},
    },
    render::sample,
};

const MIB: u64 = 1 << 20;

/// The sample's process with a verdict, and memory that rises by so much in 30 s.
fn report(kind: Kind, rise: u64) -> Report {
    let mut report = sample::small();
    report.verdicts = vec![Verdict {
        stacks: vec![VerdictStack {
            share: 1.0,
            frames: report.sites[0].frames.clone(),
        }],
        ..Verdict::new(kind, 1, Confidence::High, 8 * MIB, String::new())
    }];
    let moment = |second: u32| Resident {
        seconds: f64::from(second),
        anonymous_bytes: 100 * MIB + rise * u64::from(second) / 30,
        file_bytes: u64::from(second) * MIB,
        ..Resident::default()
    };
    report.growth = vec![Growth {
        process: 1,
        timeline: (0..=30).map(moment).collect(),
        ..Growth::default()
    }];
    report
}

fn gate(kinds: &[Kind], max_growth: Option<u64>) -> Gate {
    Gate {
        kinds: kinds.to_vec(),
        max_growth,
        asked_seconds: None,
    }
}

/// Only what is asked for fails, with the program's own function; nothing else is said
/// of a trace that saw everything.
#[test]
fn fails_on_what_is_asked() {
    let report = report(Kind::Leak, 0);
    let failed = gate(&[Kind::Leak, Kind::Backlog], None).check(&report);
    let [
        Failure::Verdict {
            verdict,
            function,
            others: 0,
        },
    ] = &failed.failures[..]
    else {
        panic!("{failed:?}");
    };
    assert_eq!(verdict.bytes, 8 * MIB);
    assert_eq!(function.unwrap().function.as_deref(), Some("leak_buffer"));
    assert_eq!(failed.doubts, []);
    let passed = gate(&[Kind::Retention], None).check(&report);
    assert_eq!(passed, Checked::default());
    assert_eq!(gate(&[], None).check(&report), Checked::default());
}

/// Memory that rises by more fails whatever the verdict; pages of files do not count.
#[test]
fn fails_on_what_rises() {
    let report = report(Kind::Healthy, 12 * MIB);
    let failed = gate(&[], Some(10 * MIB)).check(&report);
    let [
        Failure::Growth {
            process: 1,
            bytes,
            most,
            others: 0,
        },
    ] = failed.failures[..]
    else {
        panic!("{failed:?}");
    };
    assert_eq!((bytes, most), (12 * MIB, 10 * MIB));
    assert_eq!(gate(&[], Some(12 * MIB)).check(&report), Checked::default());
}

/// A gate that passes says what it did not see: too little, too short, lost.
#[test]
fn passes_with_its_doubts() {
    let mut report = report(Kind::NotEnoughData, 0);
    let too_little = gate(&[Kind::Leak], None).check(&report);
    assert_eq!(too_little.failures, []);
    assert!(matches!(
        too_little.doubts[..],
        [Doubt::NotEnoughData { others: 0, .. }]
    ));
    let asked = gate(&[Kind::NotEnoughData], None).check(&report);
    assert_eq!((asked.failures.len(), asked.doubts.len()), (1, 0));

    report.verdicts.clear();
    report.growth[0].timeline.truncate(4);
    report.window.seconds = 29.0;
    report.loss = vec![Loss {
        cause: LossCause::LedgerFull,
        calls: 3,
        bytes: None,
    }];
    report.level = Level::Sampled;
    report.not_covered = vec!["x".to_owned()];
    let mut gate = gate(&[Kind::Leak], Some(MIB));
    gate.asked_seconds = Some(60.0);
    let checked = gate.check(&report);
    assert_eq!(checked.failures, []);
    let expected = [
        Doubt::Short {
            seconds: 29.0,
            asked: Some(60.0),
        },
        Doubt::Brief { processes: 1 },
        Doubt::Lost(&report),
        Doubt::NotCovered(1),
        Doubt::Sampled,
        Doubt::NotKnown {
            option: "--fail-on",
            processes: 1,
        },
    ];
    assert_eq!(checked.doubts, expected);
    report.notes = vec![format!("{ENDED_EARLY}: it was too much.")];
    report.window.seconds = 60.0;
    let ended = gate.check(&report).doubts;
    assert!(matches!(ended[0], Doubt::Short { asked: None, .. }));
}

proptest! {
    /// What a gate fails on is in the report, and a gate for more fails whenever one for
    /// less does.
    #[test]
    fn any_report_is_checked(report in sample::any_report(), most in any::<u64>()) {
        let accusing: Vec<Kind> = Kind::ALL.into_iter().filter(|it| it.accuses()).collect();
        let all = gate(&accusing, Some(most)).check(&report);
        let is_accused = report.verdicts.iter().any(|it| it.kind.accuses());
        let rises = report.growth.iter().any(|it| rise(it) > most);
        prop_assert_eq!(all.failures.len(), usize::from(is_accused) + usize::from(rises));
        let less = gate(&accusing[..1], None).check(&report);
        prop_assert!(less.failures.len() <= all.failures.len());
    }
}
