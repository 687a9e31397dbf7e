use opentelemetry_proto::tonic::{
    collector::profiles::v1development::ExportProfilesServiceRequest as Theirs,
    common::v1::{KeyValue as TheirKeyValue, any_value::Value},
    profiles::v1development::{Link, Mapping, ProfilesDictionary, Stack},
};
use prost::Message as _;

use super::*;
use crate::render::{metrics, pprof, sample};

/// Reads it with the messages that OpenTelemetry generates.
fn read(profile: &Pprof) -> Theirs {
    let request = request(profile, "web-1").unwrap();
    Theirs::decode(&*request.encode_to_vec()).unwrap()
}

fn attributes(attributes: &[TheirKeyValue]) -> Vec<(&str, String)> {
    let text = |it: &TheirKeyValue| match it.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    attributes.iter().map(|it| (&*it.key, text(it))).collect()
}

fn text(dictionary: &ProfilesDictionary, index: i32) -> &str {
    &dictionary.string_table[usize::try_from(index).unwrap()]
}

/// The functions of a stack, innermost first.
fn stack(dictionary: &ProfilesDictionary, index: i32) -> Vec<&str> {
    let stack = &dictionary.stack_table[index as usize];
    let locations = stack.location_indices.iter();
    let lines = locations.flat_map(|it| &dictionary.location_table[*it as usize].lines);
    lines
        .map(|it| {
            let function = &dictionary.function_table[it.function_index as usize];
            text(dictionary, function.name_strindex)
        })
        .collect()
}

/// OpenTelemetry's own messages read page faults as they were written: a resource for each
/// program, a profile for each type of value, the tables' first entries empty.
#[test]
fn page_faults_are_read_by_the_standard() {
    let intervals = metrics::sample::intervals(1 << 20);
    let read = read(&pprof::growth::profile(&intervals, None).unwrap());
    let dictionary = read.dictionary.as_ref().unwrap();
    assert_eq!(dictionary.mapping_table[0], Mapping::default());
    assert_eq!(dictionary.stack_table[0], Stack::default());
    assert_eq!(dictionary.string_table[0], "");
    let link = Link {
        trace_id: vec![0; 16],
        span_id: vec![0; 8],
    };
    assert_eq!(dictionary.link_table, [link]);
    assert_eq!(read.resource_profiles.len(), 2);
    let node = (read.resource_profiles.iter())
        .find(|it| {
            let attributes = attributes(&it.resource.as_ref().unwrap().attributes);
            attributes.contains(&("process.pid", "4242".to_owned()))
        })
        .unwrap();
    let expected = [
        ("host.name", "web-1"),
        ("service.name", "node"),
        ("process.executable.name", "node"),
        ("process.linux.cgroup", "/system.slice/web.service"),
        ("process.pid", "4242"),
        ("memtrace.line", "00000000000000ab"),
    ];
    let mut found = attributes(&node.resource.as_ref().unwrap().attributes);
    let mut expected = expected.map(|(key, value)| (key, value.to_owned()));
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let scope = &node.scope_profiles[0];
    let comments = attributes(&scope.scope.as_ref().unwrap().attributes);
    assert!(comments[0].1.contains("LOST: page faults: no room: 4"));
    let types = scope.profiles.iter().map(|it| {
        let kind = it.sample_type.as_ref().unwrap();
        (
            text(dictionary, kind.type_strindex),
            text(dictionary, kind.unit_strindex),
        )
    });
    let types: Vec<_> = types.collect();
    assert_eq!(
        types,
        [("faulted_space", "bytes"), ("fault_samples", "count")]
    );
    let space = &scope.profiles[0];
    assert_eq!(space.profile_id.len(), 16);
    assert_ne!(space.profile_id, scope.profiles[1].profile_id);
    assert_eq!(space.duration_nano, 20_000_000_000);
    assert_eq!(space.samples[0].values, [2 << 20]);
    let names = stack(dictionary, space.samples[0].stack_index);
    assert_eq!(names, ["leak_buffer", "main"]);
    let build_id = &dictionary.mapping_table[1].attribute_indices;
    let build_id = &dictionary.attribute_table[build_id[0] as usize];
    assert_eq!(
        text(dictionary, build_id.key_strindex),
        "process.executable.build_id.gnu"
    );
}

/// A closer look's profile has the sums of its report, and what allocated is an attribute of
/// the sample.
#[test]
fn a_closer_look_is_read_by_the_standard() {
    let report = sample::small();
    let read = read(&pprof::profile(&report).unwrap());
    let dictionary = read.dictionary.as_ref().unwrap();
    let profiles = &read.resource_profiles[0].scope_profiles[0].profiles;
    assert_eq!(profiles.len(), 4);
    let sum: i64 = profiles[1].samples.iter().flat_map(|it| &it.values).sum();
    assert_eq!(sum as u64, report.totals.counts.live_bytes);
    let source = profiles[1].samples[0].attribute_indices[0] as usize;
    let source = &dictionary.attribute_table[source];
    assert_eq!(text(dictionary, source.key_strindex), "source");
}
