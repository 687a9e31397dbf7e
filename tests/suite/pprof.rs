//! `profile.pb.gz`, read by Google's own decoder with pprof's own definition of the
//! format (Debian: `protobuf-compiler`, `golang-github-google-pprof-dev`).

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    process::Command,
};

use tests::{Memtrace, Program, needs_program, needs_tracing};

/// Where Debian keeps the definition.
const DEFINITION: &str = "/usr/share/gocode/src/github.com/google/pprof/proto";

/// A message as `protoc --decode` prints it.
#[derive(Default)]
struct Message {
    fields: Vec<(String, String)>,
    messages: Vec<(String, Message)>,
}

impl Message {
    fn of<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Self {
        let mut message = Self::default();
        while let Some(line) = lines.next().map(str::trim).filter(|line| *line != "}") {
            if let Some(name) = line.strip_suffix(" {") {
                message.messages.push((name.to_owned(), Self::of(lines)));
            } else {
                let (name, value) = line.split_once(": ").unwrap();
                message.fields.push((name.to_owned(), value.to_owned()));
            }
        }
        message
    }

    fn all(&self, wanted: &str) -> impl Iterator<Item = &Self> {
        let messages = self.messages.iter();
        messages.filter_map(move |(name, message)| (name == wanted).then_some(message))
    }

    fn values(&self, wanted: &str) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter();
        fields.filter_map(move |(name, value)| (name == wanted).then_some(value.as_str()))
    }

    /// A number; what is not printed is 0.
    fn number(&self, wanted: &str) -> usize {
        self.values(wanted)
            .next()
            .map_or(0, |it| it.parse().unwrap())
    }

    /// The text that a number stands for, in this profile's table.
    fn text(&self, profile: &Self, wanted: &str) -> String {
        let text = profile
            .values("string_table")
            .nth(self.number(wanted))
            .unwrap();
        text.trim_matches('"').to_owned()
    }
}

/// The messages of a profile, nothing of it unknown to the definition.
fn decode(profile: &Path) -> Message {
    let script =
        r#"gzip -dc "$1" | protoc --decode=perftools.profiles.Profile -I "$2" profile.proto"#;
    let decoded = Command::new("bash")
        .args(["-o", "pipefail", "-c", script, "-"])
        .arg(profile)
        .arg(DEFINITION)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&decoded.stderr);
    assert!(decoded.status.success(), "{errors}");
    let text = String::from_utf8(decoded.stdout).unwrap();
    let profile = Message::of(&mut text.lines());
    for known in ["sample_type", "sample", "location", "function", "mapping"] {
        assert!(profile.all(known).count() > 0, "no {known}");
    }
    // Fields that it does not know protoc prints by their numbers.
    let is_number = |(name, _): &(String, _)| name.parse::<u32>().is_ok();
    assert!(!profile.fields.iter().any(is_number));
    profile
}

/// A trace's profile is what pprof's definition says, its sums are the report's totals
/// to the byte, and the function that holds most is the innermost of the largest sample.
#[test]
fn sums_are_the_reports_totals() {
    needs_tracing!();
    needs_program!("protoc");
    assert!(
        Path::new(DEFINITION).is_dir(),
        "install golang-github-google-pprof-dev"
    );
    let mut program = Program::ready("functions", &[]);
    let memtrace = Memtrace::attach(program.pid(), &[]);
    program.work();
    let traced = memtrace.end();
    assert!(program.end().success());
    let report = traced.report();
    let profile = decode(&traced.path().join("profile.pb.gz"));

    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (place, kind) in profile.all("sample_type").enumerate() {
        let values = profile.all("sample").map(|sample| {
            assert_eq!(sample.values("value").count(), 4);
            sample
                .values("value")
                .nth(place)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        });
        sums.insert(kind.text(&profile, "type"), values.sum());
    }
    let counts = report.totals.counts;
    let expected = [
        ("inuse_objects", counts.live_blocks),
        ("inuse_space", counts.live_bytes),
        ("alloc_objects", counts.allocated_blocks),
        ("alloc_space", counts.allocated_bytes),
    ];
    assert!(counts.live_bytes > 0 && counts.allocated_bytes > counts.live_bytes);
    assert_eq!(
        sums,
        expected.map(|(kind, sum)| (kind.to_owned(), sum)).into()
    );

    let largest = profile.all("sample").next().unwrap();
    let by_id =
        |kind: &'static str, id: usize| profile.all(kind).find(|it| it.number("id") == id).unwrap();
    let innermost = by_id("location", largest.number("location_id"));
    let line = innermost.all("line").next().unwrap();
    let function = by_id("function", line.number("function_id")).text(&profile, "name");
    assert_eq!(Some(&function), report.sites[0].frames[0].function.as_ref());
    let mapping = by_id("mapping", innermost.number("mapping_id"));
    let module = &report.sites[0].frames[0].module;
    assert_eq!(mapping.text(&profile, "filename"), *module);

    let sources: HashSet<String> = (profile.all("sample"))
        .flat_map(|sample| sample.all("label"))
        .filter(|label| label.text(&profile, "key") == "source")
        .map(|label| label.text(&profile, "str"))
        .collect();
    let expected = report
        .sites
        .iter()
        .map(|site| site.source.name().to_owned());
    assert_eq!(sources, expected.collect());
}
