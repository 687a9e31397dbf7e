use std::{collections::HashSet, io::Read as _};

use flate2::read::GzDecoder;
use proptest::prelude::*;

use super::message::Location;
use super::*;
use crate::model::{Counts, Source};
use crate::render::sample;

fn read(report: &Report) -> Profile {
    let mut packed = Vec::new();
    write(report, &mut packed).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(packed.as_slice())
        .read_to_end(&mut bytes)
        .unwrap();
    Profile::decode(bytes.as_slice()).unwrap()
}

fn text(profile: &Profile, id: i64) -> &str {
    &profile.string_table[usize::try_from(id).unwrap()]
}

/// Each line of a place as `function file:line`.
fn lines(profile: &Profile, location: &Location) -> Vec<String> {
    let line = |line: &message::Line| {
        let function = &profile.function[line.function_id as usize - 1];
        let [name, file] = [function.name, function.filename].map(|id| text(profile, id));
        format!("{name} {file}:{}", line.line)
    };
    location.line.iter().map(line).collect()
}

fn stack(profile: &Profile, sample: usize) -> Vec<Vec<String>> {
    let places = profile.sample[sample].location_id.iter();
    places
        .map(|id| lines(profile, &profile.location[*id as usize - 1]))
        .collect()
}

fn labels(profile: &Profile, sample: usize) -> Vec<(&str, &str, i64)> {
    let labels = profile.sample[sample].label.iter();
    labels
        .map(|label| {
            (
                text(profile, label.key),
                text(profile, label.str),
                label.num,
            )
        })
        .collect()
}

fn comments(profile: &Profile) -> Vec<&str> {
    profile
        .comment
        .iter()
        .map(|id| text(profile, *id))
        .collect()
}

/// The head tells what the values are, when they were taken, and what is shown first.
#[test]
fn tells_what_it_holds() {
    let profile = read(&sample::small());
    let types: Vec<_> = (profile.sample_type.iter())
        .map(|it| (text(&profile, it.r#type), text(&profile, it.unit)))
        .collect();
    let expected = [
        ("inuse_objects", "count"),
        ("inuse_space", "bytes"),
        ("alloc_objects", "count"),
        ("alloc_space", "bytes"),
    ];
    assert_eq!(types, expected);
    assert_eq!(text(&profile, profile.default_sample_type), "inuse_space");
    let period = profile.period_type.unwrap();
    let period_type = [period.r#type, period.unit].map(|id| text(&profile, id));
    assert_eq!((period_type, profile.period), (["space", "bytes"], 1));
    // `date -u -d 2026-11-20T19:58:07Z +%s`
    assert_eq!(profile.time_nanos, 1_795_204_687_000_000_000);
    assert_eq!(profile.duration_nanos, 30_000_000_000);
}

/// Stacks are innermost first, without the allocator's function; what stands beside
/// them tells it, and whose they are.
#[test]
fn a_sample_is_a_site() {
    let mut report = sample::small();
    report.sites[1].pool = Some("pymalloc".to_owned());
    let profile = read(&report);
    assert_eq!(profile.sample.len(), 4);
    assert_eq!(profile.sample[0].value, [128, 8_388_608, 200, 13_107_200]);
    let names: Vec<String> = stack(&profile, 0).concat();
    let expected = [
        "leak_buffer src/addon.cc:42",
        "keep<[u8; 8]> :0",
        "JS:~onRequest /srv/app.js:7:1 :0",
        "v8::Run(int) :0",
        "main :0",
    ];
    assert_eq!(names, expected);
    let whose = [("process", "node", 0), ("pid", "", 4242)];
    assert_eq!(
        labels(&profile, 0),
        [&[("source", "malloc", 0)][..], &whose].concat()
    );
    let pool = [("source", "calloc", 0), ("pool", "pymalloc", 0)];
    assert_eq!(labels(&profile, 1), [&pool[..], &whose].concat());
    assert_eq!(stack(&profile, 2).concat(), ["[stack lost] :0"]);
}

/// Functions that were put into another are lines of its place, and the place is in the
/// file that it was read from, with its build id; the program comes first.
#[test]
fn places_are_whole() {
    let mut report = sample::small();
    let frames = &mut report.sites[0].frames;
    frames[0].inlined = true;
    frames[1].inlined = false;
    for frame in &mut frames[..2] {
        frame.build_id = Some("00ff".to_owned());
    }
    let profile = read(&report);
    let stack = stack(&profile, 0);
    assert_eq!(stack.len(), 4);
    assert_eq!(
        stack[0],
        ["leak_buffer src/addon.cc:42", "keep<[u8; 8]> :0"]
    );
    let place = &profile.location[profile.sample[0].location_id[0] as usize - 1];
    let mapping = &profile.mapping[place.mapping_id as usize - 1];
    let [file, build_id] = [mapping.filename, mapping.build_id].map(|id| text(&profile, id));
    assert_eq!(
        (file, build_id, place.address),
        ("/srv/addon.node", "00ff", 0x11d0)
    );
    assert!(mapping.has_functions && mapping.has_line_numbers && mapping.has_inline_frames);
    assert_eq!(
        text(&profile, profile.mapping[0].filename),
        "/usr/local/bin/node"
    );
}

/// Loss, sampling and what is missing are in the comments, and a sample claims no period.
#[test]
fn loss_is_told() {
    let profile = read(&sample::troubled());
    let comments = comments(&profile);
    for words in [
        "node (4242), 30.0 s from 2026-11-20 19:58:07 UTC",
        "level: sampled: figures are estimates.",
        "LOST: 1,200 calls, 5.6 MiB: not recorded: the ledger is full",
        "LOST: 34 calls: not recorded: the allocator call never returned",
        "NOT COVERED: jemalloc, by its constants",
        "2 stacks do not reach the thread's first function, or were lost: 1.0 MiB inuse.",
        "Some frames may be wrong",
        "note: The process was killed after 30.0 s",
        "what the process held before is not counted",
    ] {
        assert!(
            comments.iter().any(|it| it.contains(words)),
            "{words}: {comments:?}"
        );
    }
    assert_eq!(profile.period, 0);
}

/// Endless names, stacks and notes are cut, and what cannot be shown is replaced.
#[test]
fn hostile_texts_are_harmless() {
    let mut report = sample::small();
    report.sites.truncate(1);
    let mut frame = report.sites[0].frames[0].clone();
    frame.function = Some("\u{1b}[2Jé".repeat(1 << 12));
    frame.module = "m".repeat(1 << 12);
    frame.file = Some("\n".repeat(1 << 12));
    report.sites[0].frames = vec![frame; FRAMES_MAX + 5];
    report.processes[0].command = "c\0".repeat(1 << 12);
    report.notes = vec!["n".repeat(1 << 12); 2000];
    let profile = read(&report);
    assert!(
        profile
            .string_table
            .iter()
            .all(|text| text.chars().count() < 1100)
    );
    assert!(
        !profile
            .string_table
            .iter()
            .any(|text| text.contains(char::is_control))
    );
    assert_eq!(profile.sample[0].location_id.len(), FRAMES_MAX + 1);
    assert_eq!(stack(&profile, 0)[FRAMES_MAX], ["[5 more frames] :0"]);
    assert!(comments(&profile).contains(&"note: 1900 more in report.json"));
}

/// Figures that the format cannot hold are refused, not wrapped.
#[test]
fn refuses_impossible_sums() {
    let mut report = sample::small();
    report.sites[0].counts = Counts::new(1, 1 << 62, 0, 0);
    assert!(write(&report, Vec::new()).is_ok());
    report.sites[1].counts = Counts::new(1, 1 << 62, 0, 0);
    report.sites[1].source = Source::Malloc;
    let error = write(&report, Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

/// Each text, function and place stands in the profile once, however many sites share
/// it, and the same report gives the same bytes.
#[test]
fn what_sites_share_is_there_once() {
    let report = sample::node_sized(2000);
    let frames = || report.sites.iter().flat_map(|site| &site.frames);
    let functions: HashSet<_> = frames().map(|frame| &frame.function).collect();
    let places: HashSet<_> = frames().collect();
    let profile = read(&report);
    assert_eq!(profile.function.len(), functions.len());
    assert_eq!(profile.location.len(), places.len());
    assert_eq!(profile.mapping.len(), 1);
    let texts: HashSet<_> = profile.string_table.iter().collect();
    assert_eq!(texts.len(), profile.string_table.len());
    assert!(profile == read(&report));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the names, the sums of each value are the report's totals, every
    /// reference leads to what it names, and every frame is a line.
    #[test]
    fn sums_are_the_totals(report in sample::any_report()) {
        let totals = report.totals.counts;
        let expected = [totals.live_blocks, totals.live_bytes, totals.allocated_blocks, totals.allocated_bytes];
        if expected.iter().any(|sum| i64::try_from(*sum).is_err()) {
            prop_assert!(write(&report, Vec::new()).is_err());
            return Ok(());
        }
        let profile = read(&report);
        let mut sums = [0_u64; 4];
        for (number, site) in report.sites.iter().enumerate() {
            let sample = &profile.sample[number];
            for (sum, value) in sums.iter_mut().zip(&sample.value) {
                *sum += u64::try_from(*value).unwrap();
            }
            prop_assert_eq!(stack(&profile, number).concat().len(), site.frames.len().max(1));
            labels(&profile, number);
        }
        prop_assert_eq!(sums, expected);
        for (index, location) in profile.location.iter().enumerate() {
            prop_assert_eq!(location.id, index as u64 + 1);
            prop_assert!(location.mapping_id as usize <= profile.mapping.len());
            let outside = |mapping: &message::Mapping| location.address > mapping.memory_limit;
            prop_assert!(!profile.mapping.get((location.mapping_id as usize).wrapping_sub(1)).is_some_and(outside));
        }
        prop_assert_eq!(text(&profile, 0), "");
    }
}
