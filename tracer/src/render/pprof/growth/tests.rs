use super::*;
use crate::render::metrics::sample;

fn text(profile: &Profile, index: i64) -> &str {
    &profile.string_table[usize::try_from(index).unwrap()]
}

/// Faults of the same program and stack are one sample, of whatever intervals; what is without
/// a stack is told as such, and the sums are those of the intervals.
#[test]
fn adds_up_intervals() {
    let intervals = sample::intervals(1 << 20);
    let profile = profile(&intervals, None).unwrap();
    let values: Vec<&[i64]> = profile.sample.iter().map(|it| &*it.value).collect();
    assert_eq!(values, [&[2 << 20, 4], &[16384, 2], &[8192, 2]]);
    let labels = |number: usize| -> Vec<(&str, &str, i64)> {
        let labels = profile.sample[number].label.iter();
        labels
            .map(|it| (text(&profile, it.key), text(&profile, it.str), it.num))
            .collect()
    };
    let node = [
        ("program", "node", 0),
        ("group", "/system.slice/web.service", 0),
        ("line", "00000000000000ab", 0),
        ("pid", "", 4242),
    ];
    assert_eq!(labels(0), node);
    assert_eq!(labels(1)[0], ("program", "nginx", 0));
    assert_eq!(profile.sample[0].location_id.len(), 2);
    let lost = &profile.location[profile.sample[2].location_id[0] as usize - 1];
    let function = &profile.function[lost.line[0].function_id as usize - 1];
    assert_eq!(text(&profile, function.name), names::STACK_LOST);
    assert_eq!(
        profile.time_nanos,
        (sample::NOW_MS as i64 - 20_000) * 1_000_000
    );
    assert_eq!(profile.duration_nanos, 20_000_000_000);
    let comments = profile.comment.iter().map(|it| text(&profile, *it));
    assert!(
        comments
            .into_iter()
            .any(|it| it == "LOST: page faults: no room: 4")
    );
}

/// Of one program only its own is told; of one that did nothing, an empty profile.
#[test]
fn one_program_alone() {
    let intervals = sample::intervals(1 << 20);
    let one = profile(&intervals, Some(LineId(0xcd))).unwrap();
    assert_eq!(one.sample.len(), 1);
    assert_eq!(one.sample[0].value, [16384, 2]);
    assert!(
        profile(&intervals, Some(LineId(1)))
            .unwrap()
            .sample
            .is_empty()
    );
    assert!(profile(&[], None).unwrap().sample.is_empty());
}

/// Figures that the format cannot hold are refused, not wrapped.
#[test]
fn refuses_impossible_sums() {
    let error = profile(&sample::intervals(1 << 62), None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
