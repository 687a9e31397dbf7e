use proptest::prelude::*;

use super::*;
use crate::model::{Counts, Level, Process};
use crate::render::sample;

fn bytes(account: &Account<'_>) -> Vec<(String, u64, u64, i64)> {
    let row = |row: &Row<'_>| {
        let change = row.change;
        let id = row.site_id.trim_start_matches('0').to_owned();
        (id, change.before.bytes, change.after.bytes, change.bytes())
    };
    account.rows.iter().map(row).collect()
}

fn process(id: u32, pid: u32, command: &str) -> Process {
    Process {
        id,
        pid,
        command: command.to_owned(),
        start_time: u64::from(pid),
        ..Process::default()
    }
}

/// A recording with itself: every site is matched, and nothing differs or needs telling.
#[test]
fn the_same_twice_is_zero() {
    let report = sample::small();
    let difference = compare(&report, &report).unwrap();
    assert_eq!(difference.live.rows.len(), report.sites.len());
    assert!(difference.live.rows.iter().all(|row| row.change.is_none()));
    assert_eq!(difference.live.total.bytes(), 0);
    assert_eq!(difference.caveats, []);
}

/// Sites that grew come first, what is new counts from zero, what is gone down to it.
#[test]
fn sites_are_matched() {
    let before = sample::small();
    let mut after = sample::small();
    after.sites[0].counts = Counts::new(300, 20_000_000, 0, 0);
    after.sites[1].site_id = format!("{:016x}", 9);
    let difference = compare(&before, &after).unwrap();
    let expected = [
        ("1", 8_388_608, 20_000_000, 11_611_392),
        ("9", 0, 1_048_576, 1_048_576),
        ("3", 512, 512, 0),
        ("4", 0, 0, 0),
        ("2", 1_048_576, 0, -1_048_576),
    ];
    let expected = expected.map(|(id, before, after, more)| (id.to_owned(), before, after, more));
    assert_eq!(bytes(&difference.live), expected);
    assert_eq!(difference.live.total.bytes(), 11_611_392);
    let told = Caveat::Unmatched {
        before: 1_048_576,
        after: 1_048_576,
    };
    assert_eq!(difference.caveats, [told]);
}

/// The same process is compared with itself, others by their program, summed; one
/// process each are compared whatever they run.
#[test]
fn processes_are_matched() {
    let mut before = sample::small();
    let mut after = sample::small();
    before.processes = vec![process(1, 10, "node"), process(2, 20, "/usr/bin/node")];
    before.sites[1] = before.sites[0].clone();
    before.sites[1].process = 2;
    after.processes = vec![
        process(1, 10, "node"),
        process(2, 30, "node"),
        process(3, 31, "node"),
    ];
    after.sites[1] = after.sites[0].clone();
    after.sites[2] = after.sites[0].clone();
    after.sites[1].process = 2;
    after.sites[2].process = 3;
    before.sites.truncate(2);
    after.sites.truncate(3);
    let difference = compare(&before, &after).unwrap();
    let pids = |processes: &[&Process]| processes.iter().map(|it| it.pid).collect::<Vec<_>>();
    let groups: Vec<_> = (difference.groups.iter())
        .map(|group| (pids(&group.before), pids(&group.after)))
        .collect();
    assert_eq!(groups, [(vec![10], vec![10]), (vec![20], vec![30, 31])]);
    let of = |group| {
        let mut rows = difference.live.rows.iter();
        let row = rows.find(|row| row.group == group).unwrap();
        (row.change.before.bytes, row.change.after.bytes)
    };
    assert_eq!(
        (of(0), of(1)),
        ((8_388_608, 8_388_608), (8_388_608, 16_777_216))
    );

    let (mut before, mut after) = (sample::small(), sample::small());
    before.processes = vec![process(1, 10, "one")];
    after.processes = vec![process(1, 20, "other")];
    let difference = compare(&before, &after).unwrap();
    assert_eq!(difference.groups.len(), 1);
    let told = Caveat::OtherProgram("one".to_owned(), "other".to_owned());
    assert_eq!(difference.caveats, [told]);
}

/// What makes the two unlike is told, each for its side.
#[test]
fn unlike_recordings_are_told() {
    let before = sample::small();
    let mut after = sample::troubled();
    after.window.start_utc = "2026-11-20T19:58:00Z".to_owned();
    after.window.start_monotonic_ns -= 7;
    after.window.seconds = 60.0;
    after.window.from_start = true;
    after.sites[0].frames[0].build_id = Some("01".to_owned());
    let mut old = before.clone();
    old.sites[0].frames[0].build_id = Some("02".to_owned());
    let difference = compare(&old, &after).unwrap();
    let expected = [
        Caveat::Reversed,
        Caveat::Overlap,
        Caveat::Lengths {
            before: 30.0,
            after: 60.0,
        },
        Caveat::FromStart(Side::After),
        Caveat::Sampled(Side::After),
        Caveat::Lost {
            side: Side::After,
            calls: 1234,
            bytes: 5_872_026,
        },
        Caveat::NotCovered(Side::After, 1),
        Caveat::Notes(Side::After, 1),
        Caveat::OtherBuilds(vec!["/srv/addon.node".to_owned()]),
        Caveat::MappingsOf(Side::After),
    ];
    assert_eq!(difference.caveats, expected);
    assert_eq!(after.level, Level::Sampled);
    assert!(difference.mapped.is_none());
}

/// Of windows from the first allocation the distance divides, of others each window.
#[test]
fn paces_are_what_the_windows_allow() {
    let mut before = sample::small().window;
    let mut after = before.clone();
    after.seconds = 60.0;
    let mut change = Change::default();
    (change.before.bytes, change.after.bytes) = (300, 900);
    let per_second = |before: &_, after: &_| Pace::of(before, after).bytes_per_second(&change);
    assert_eq!(per_second(&before, &after), Some(5.0));
    (before.from_start, after.from_start) = (true, true);
    assert_eq!(per_second(&before, &after), Some(20.0));
    assert_eq!(per_second(&before, &before), None);
    after.seconds = 0.0;
    assert_eq!(per_second(&before, &after), None);
}

/// Figures that no memory can hold are refused.
#[test]
fn refuses_impossible_sums() {
    let mut report = sample::small();
    report.sites[0].counts.live_bytes = i64::MAX as u64;
    assert_eq!(compare(&report, &report).unwrap_err(), Damaged);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every byte and block of both is in one row: differences add up to that of the
    /// totals; and what grew one way shrank the other.
    #[test]
    fn differences_add_up(before in sample::any_report(), after in sample::any_report()) {
        let Ok(difference) = compare(&before, &after) else {
            return Ok(());
        };
        let (old, new) = (before.totals.counts, after.totals.counts);
        let rows = &difference.live.rows;
        let sum: i64 = rows.iter().map(|row| row.change.bytes()).sum();
        prop_assert_eq!(sum, new.live_bytes as i64 - old.live_bytes as i64);
        prop_assert_eq!(sum, difference.live.total.bytes());
        let blocks = |of: fn(&Change) -> u64| rows.iter().map(|row| of(&row.change)).sum::<u64>();
        prop_assert_eq!(blocks(|it| it.before.blocks), old.live_blocks);
        prop_assert_eq!(blocks(|it| it.after.blocks), new.live_blocks);
        prop_assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row.change.bytes())));
        prop_assert!(rows.iter().all(|row| row.group < difference.groups.len()));
        let back = compare(&after, &before).unwrap();
        prop_assert_eq!(back.live.total.bytes(), -sum);
    }
}
