use super::*;
use crate::model::{Level, Sampling, Slices, verdict::Confidence};

/// A leak of 8 MiB by one site of `blocks` live blocks, recorded in slices of a tenth of the
/// time, of a process whose anonymous memory grew by so much.
fn sliced(blocks: u64, unresolved_bytes: u64, grown: u64) -> Report {
    let mut report = report([MIB; AGES]);
    report.level = Level::Sampled;
    report.sampling = Some(Sampling {
        reason: "a budget".to_owned(),
        since_seconds: 0.01,
        one_in: 10,
        always_bytes: u64::MAX,
        passed_over: 0,
        slices: Some(Slices {
            count: 40,
            seconds: report.window.seconds / 10.0,
            frees_seconds: report.window.seconds / 2.0,
            unresolved_blocks: unresolved_bytes / 1024,
            unresolved_bytes,
        }),
    });
    report.sites[0].counts.live_blocks = blocks;
    for (second, moment) in report.growth[0].timeline.iter_mut().enumerate() {
        moment.anonymous_bytes = 100 * MIB + grown * second as u64 / 29;
    }
    report
}

/// A leak that was recorded in slices is one, as far as memory grew; few blocks make it
/// less sure, and so do frees that went unseen.
#[test]
fn a_sample_is_as_sure_as_it_is_large() {
    for (blocks, unresolved, expected) in [
        (10_000, 0, Confidence::High),
        (10_000, 8 * MIB, Confidence::Medium),
        (500, 0, Confidence::Medium),
        (50, 0, Confidence::Low),
    ] {
        let verdicts = judge(&sliced(blocks, unresolved, 6 * MIB));
        assert_eq!(verdicts[0].kind, Kind::Leak);
        assert_eq!(verdicts[0].confidence, expected, "{blocks} {unresolved}");
        // Over the whole window, the last look a moment before its end.
        assert!(verdicts[0].bytes < 7 * MIB);
    }
}

/// Blocks that may have been freed unseen accuse nobody of more than memory grew, and where they
/// would explain several times that, of nothing.
#[test]
fn unresolved_blocks_are_no_leak() {
    for grown in [0, MIB, 2 * MIB] {
        let verdicts = judge(&sliced(10_000, 8 * MIB, grown));
        assert!(verdicts.iter().all(|it| it.kind != Kind::Leak), "{grown}");
    }
    let healthy = &judge(&sliced(10_000, 8 * MIB, 0))[0];
    assert_eq!(
        (healthy.kind, healthy.confidence),
        (Kind::Healthy, Confidence::Medium)
    );
}
