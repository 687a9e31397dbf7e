//! Profiles as OTLP's signal `profiles` takes them
//! (<https://github.com/open-telemetry/opentelemetry-proto>, 1.10 and 1.11,
//! `profiles/v1development`, status alpha): made from a pprof profile, whose tables it shares.
//!
//! One `ResourceProfiles` for each program; in it one `Profile` for each type of value, since
//! OTLP's profiles have one type each. A profile's id is a hash of what it tells, so that one
//! that is sent twice can be told apart from two.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};

mod dictionary;
pub mod message;

use dictionary::Dictionary;
use message::{
    AnyValue, ExportProfilesServiceRequest, InstrumentationScope, KeyValue, Profile, Resource,
    ResourceProfiles, Sample, ScopeProfiles, ValueType,
};

use super::pprof::message::{Label, Profile as Pprof, Sample as PprofSample};

/// Labels that tell of a program are its resource's attributes, by their names in
/// OpenTelemetry's semantic conventions; a program has several.
const RESOURCE: [(&str, &[&str]); 5] = [
    ("program", &["service.name", "process.executable.name"]),
    ("process", &["service.name", "process.executable.name"]),
    ("group", &["process.linux.cgroup"]),
    ("pid", &["process.pid"]),
    ("line", &["memtrace.line"]),
];

/// The request for a collector's `/v1development/profiles`. `None` for a profile that is
/// larger than indices of 32 bits reach.
#[must_use]
pub fn request(profile: &Pprof, host_name: &str) -> Option<ExportProfilesServiceRequest> {
    let mut dictionary = Dictionary::of(profile)?;
    let mut programs: BTreeMap<Vec<(usize, i64, i64)>, Vec<&PprofSample>> = BTreeMap::new();
    for sample in &profile.sample {
        let (resource, _) = sort_labels(profile, &sample.label);
        programs.entry(resource).or_default().push(sample);
    }
    // The format has no comments, and what was lost must be told.
    let comments = profile.comment.iter().map(|index| texts(profile, *index));
    let comments = comments.collect::<Vec<_>>().join("\n");
    let mut resource_profiles = Vec::new();
    for (labels, samples) in programs {
        let mut attributes = vec![text_attribute("host.name", host_name)];
        for (kind, text, num) in labels {
            let names = RESOURCE.get(kind).map_or(&[][..], |(_, names)| names);
            let value = match num {
                0 => AnyValue::text(texts(profile, text)),
                _ => AnyValue::int(num),
            };
            attributes.extend(names.iter().map(|name| KeyValue::new(name, value.clone())));
        }
        let profiles = profiles(profile, &samples, &mut dictionary)?;
        resource_profiles.push(ResourceProfiles {
            resource: Some(Resource { attributes }),
            scope_profiles: vec![ScopeProfiles {
                scope: Some(InstrumentationScope {
                    name: "memtrace".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    attributes: vec![KeyValue::new("memtrace.comment", AnyValue::text(&comments))],
                }),
                profiles,
            }],
        });
    }
    Some(ExportProfilesServiceRequest {
        resource_profiles,
        dictionary: Some(dictionary.finish()),
    })
}

/// Labels of the program, by their place in [`RESOURCE`], and the sample's own.
fn sort_labels<'a>(
    profile: &Pprof,
    labels: &'a [Label],
) -> (Vec<(usize, i64, i64)>, Vec<&'a Label>) {
    let (mut resource, mut own) = (Vec::new(), Vec::new());
    for label in labels {
        let key = texts(profile, label.key);
        match RESOURCE.iter().position(|(name, _)| *name == key) {
            Some(kind) => resource.push((kind, label.str, label.num)),
            None => own.push(label),
        }
    }
    (resource, own)
}

/// One for each type of value.
fn profiles(
    profile: &Pprof,
    samples: &[&PprofSample],
    dictionary: &mut Dictionary,
) -> Option<Vec<Profile>> {
    let mut profiles = Vec::new();
    for (number, kind) in profile.sample_type.iter().enumerate() {
        // One sample for each stack and set of attributes, as the format asks for.
        let mut order = Vec::new();
        let mut sums: HashMap<(i32, Vec<i32>), i64> = HashMap::new();
        for sample in samples {
            let value = sample.value.get(number).copied().unwrap_or_default();
            let (_, own) = sort_labels(profile, &sample.label);
            let stack = dictionary.stack(&sample.location_id)?;
            let mut attributes = Vec::new();
            for label in own {
                attributes.push(dictionary.label(label)?);
            }
            let key = (stack, attributes);
            if let Some(sum) = sums.get_mut(&key) {
                *sum = sum.saturating_add(value);
            } else {
                order.push(key.clone());
                sums.insert(key, value);
            }
        }
        let samples = order.into_iter().map(|key| {
            let value = sums.get(&key).copied().unwrap_or_default();
            Sample {
                stack_index: key.0,
                attribute_indices: key.1,
                values: vec![value],
            }
        });
        let mut made = Profile {
            sample_type: Some(ValueType {
                type_strindex: kind.r#type.try_into().ok()?,
                unit_strindex: kind.unit.try_into().ok()?,
            }),
            samples: samples.collect(),
            time_unix_nano: profile.time_nanos.try_into().unwrap_or(0),
            duration_nano: profile.duration_nanos.try_into().unwrap_or(0),
            profile_id: Vec::new(),
        };
        made.profile_id = id(&made);
        profiles.push(made);
    }
    Some(profiles)
}

fn id(profile: &Profile) -> Vec<u8> {
    let hash = Sha256::digest(prost::Message::encode_to_vec(profile));
    hash.iter().take(16).copied().collect()
}

fn text_attribute(key: &str, text: &str) -> KeyValue {
    KeyValue::new(key, AnyValue::text(&super::names::sanitize(text)))
}

fn texts(profile: &Pprof, index: i64) -> &str {
    let index = usize::try_from(index).ok();
    let text = index.and_then(|index| profile.string_table.get(index));
    text.map_or("", String::as_str)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
