use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::{Exit, Source};
use crate::render::{invariants, sample};

fn text(report: &Report) -> String {
    let mut text = Vec::new();
    write(report, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn value(report: &Report) -> Value {
    serde_json::from_str(&text(report)).unwrap()
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../docs/report.schema.json")).unwrap()
}

/// The schema as a writer must keep it: nothing beyond what it documents.
fn closed(mut schema: Value) -> Value {
    fn close(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if fields.contains_key("properties") && fields.contains_key("type") {
                    fields.insert("additionalProperties".to_owned(), json!(false));
                }
                fields.values_mut().for_each(close);
            }
            Value::Array(items) => items.iter_mut().for_each(close),
            _ => {}
        }
    }
    close(&mut schema);
    schema
}

fn complaints(schema: &Value, report: &Value) -> Vec<String> {
    jsonschema::draft202012::new(schema)
        .unwrap()
        .iter_errors(report)
        .map(|error| format!("{}: {error}", error.instance_path))
        .collect()
}

/// The schema file is itself a schema of the draft it names.
#[test]
fn the_schema_is_a_schema() {
    assert!(jsonschema::draft202012::meta::is_valid(&schema()));
}

/// What memtrace writes fits the schema, and the schema documents every field of it.
#[test]
fn reports_fit_the_schema() {
    let closed = closed(schema());
    for report in [
        sample::small(),
        sample::troubled(),
        sample::empty(),
        sample::with_javascript(),
    ] {
        assert_eq!(complaints(&closed, &value(&report)), Vec::<String>::new());
    }
}

/// The schema is a contract: it refuses a report without a field, or with one of another shape.
#[test]
fn the_schema_refuses_what_is_no_report() {
    let schema = schema();
    let whole = value(&sample::troubled());
    let fields = whole.as_object().unwrap().keys();
    for field in fields.filter(|field| {
        ![
            "notes",
            "not_covered",
            "sampling",
            "mappings",
            "heap",
            "sockets",
        ]
        .contains(&field.as_str())
    }) {
        let mut report = whole.clone();
        report.as_object_mut().unwrap().remove(field);
        assert_ne!(
            complaints(&schema, &report),
            Vec::<String>::new(),
            "without {field}"
        );
    }
    for (pointer, wrong) in [
        ("/schema", json!(2)),
        ("/level", json!("rough")),
        ("/unmatched_frees", json!(-1)),
        ("/unmatched_frees", json!("12")),
        ("/unmatched_frees", json!(9_007_199_254_740_992_u64)),
        ("/window/seconds", json!(null)),
        ("/window/start_utc", json!("yesterday")),
        ("/totals/live_bytes", json!(1.5)),
        ("/sites/0/site_id", json!("12")),
        ("/sites/0/source", json!(1)),
        ("/sites/0/frames/0/offset", json!("0x10")),
        ("/sites/0/frames/0/build_id", json!("XY")),
        ("/loss/0/calls", json!(null)),
        ("/processes/0/exit", json!({"kind": "status"})),
        ("/processes/0/exit", json!("status")),
        ("/sockets/last/sums/send_bytes", json!(-1)),
        ("/sockets/last/largest/0/socket/tcp/not_sent", json!(null)),
        ("/sockets/sites/0/queue", json!(7)),
    ] {
        let mut report = whole.clone();
        *report.pointer_mut(pointer).unwrap() = wrong;
        assert_ne!(
            complaints(&schema, &report),
            Vec::<String>::new(),
            "{pointer}"
        );
    }
}

/// Within schema 1 fields and words are added; both schema and reader accept reports that have them.
#[test]
fn additions_are_accepted() {
    let mut report = value(&sample::troubled());
    report["new"] = json!({"a": [1]});
    report["sites"][0]["source"] = json!("sbrk");
    report["sites"][0]["frames"][0]["column"] = json!(7);
    report["loss"][0]["cause"] = json!("solar_wind");
    report["processes"][0]["exit"] = json!({"kind": "unknown", "why": "?"});
    assert_eq!(complaints(&schema(), &report), Vec::<String>::new());
    let read = read(report.to_string().as_bytes()).unwrap();
    assert_eq!(read.sites[0].source, Source::Unknown);
    assert_eq!(read.processes[0].exit, Some(Exit::Unknown));
    assert_eq!(read.sites[0].frames, sample::troubled().sites[0].frames);
}

/// Integers stay exact for JavaScript: numbers up to 2^53 − 1, text above.
#[test]
fn wide_integers_survive_javascript() {
    let mut report = sample::small();
    report.unmatched_frees = (1 << 53) - 1;
    assert_eq!(
        value(&report)["unmatched_frees"],
        json!(9_007_199_254_740_991_u64)
    );
    report.unmatched_frees = 1 << 53;
    assert_eq!(value(&report)["unmatched_frees"], json!("9007199254740992"));
    report.unmatched_frees = u64::MAX;
    assert_eq!(
        value(&report)["unmatched_frees"],
        json!("18446744073709551615")
    );
}

/// A quotient gone wrong upstream does not make the report unreadable.
#[test]
fn no_number_is_infinite() {
    let mut report = sample::troubled();
    report.window.seconds = f64::INFINITY;
    report.sites[0].oldest_seconds = f64::NAN;
    report.sampling.as_mut().unwrap().since_seconds = f64::NEG_INFINITY;
    assert_eq!(complaints(&schema(), &value(&report)), Vec::<String>::new());
    assert!(read(text(&report).as_bytes()).is_ok());
}

/// A newer schema asks for a newer memtrace, whatever else it changed; damage is called damage.
#[test]
fn tells_newer_from_damaged() {
    let newer = read(br#"{"schema": 2, "everything": "else"}"#).unwrap_err();
    assert!(matches!(newer, ReadError::Newer { schema: 2 }), "{newer:?}");
    assert!(newer.to_string().contains("use a newer memtrace"));
    let mut same_fields = sample::small();
    same_fields.schema = 3;
    let newer = read(text(&same_fields).as_bytes()).unwrap_err();
    assert!(matches!(newer, ReadError::Newer { schema: 3 }), "{newer:?}");
    for damaged in ["", "{", "[]", "{\"schema\": 1}", "\u{1b}"] {
        let error = read(damaged.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ReadError::NotAReport(_)),
            "{damaged}: {error:?}"
        );
    }
}

/// Each field and each site has a line of its own, and the text ends with one.
#[test]
fn the_text_has_a_line_a_site() {
    let text = text(&sample::small());
    assert!(text.starts_with("{\n \"schema\": 1,\n") && text.ends_with("\n}\n"));
    let sites = text
        .lines()
        .filter(|line| line.trim_start().starts_with('{') && line.contains("\"site_id\""));
    assert_eq!(sites.count(), sample::small().sites.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every report comes back as it was, keeps the invariants, and fits the schema.
    #[test]
    fn round_trip(report in sample::any_report()) {
        prop_assert_eq!(invariants::violations(&report), []);
        let text = text(&report);
        prop_assert_eq!(&read(text.as_bytes()).unwrap(), &report);
        let value: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(complaints(&closed(schema()), &value), Vec::<String>::new());
    }
}
