//! The files that a trace writes.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use tests::{Finished, memtrace, needs_tracing, run_memtrace, trace_of};

const FILES: [&str; 10] = [
    "report.html",
    "report.json",
    "live.folded",
    "live.svg",
    "leak.svg",
    "mappings.svg",
    "fragmentation.svg",
    "sockets.svg",
    "profile.pb.gz",
    "recording.memtrace",
];

/// `report.json` keeps to the published schema.
#[test]
fn report_matches_its_schema() {
    needs_tracing!();
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.schema.json");
    let schema = serde_json::from_slice(&fs::read(schema).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let report = serde_json::from_slice(&trace_of("functions").file("report.json")).unwrap();
    let wrong: Vec<String> = schema.iter_errors(&report).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// `memtrace report` makes the same files from the recording, byte for byte.
#[test]
fn recording_gives_the_same_outputs() {
    needs_tracing!();
    let traced = trace_of("functions");
    let recording = traced.path().join("recording.memtrace");
    let rendered = run_memtrace(&["report", recording.to_str().unwrap()]);
    assert!(rendered.status.success(), "{}", rendered.stderr);
    for name in FILES {
        assert!(traced.file(name) == rendered.file(name), "{name} differs");
    }
    assert_eq!(traced.stdout, rendered.stdout);
}

/// `--format` gives each of the files alone, to a pipe as to a file; a pipe that is
/// closed early is no error, and what fits no format is refused.
#[test]
fn one_format_at_a_time() {
    needs_tracing!();
    let traced = trace_of("functions");
    let recording = traced.path().join("recording.memtrace");
    let recording = recording.to_str().unwrap();
    for (name, options) in [
        ("live.folded", &["folded"][..]),
        ("report.json", &["json"]),
        ("report.html", &["html"]),
        ("profile.pb.gz", &["pprof"]),
        ("live.svg", &["svg"]),
        ("leak.svg", &["svg", "--which", "leak"]),
        ("mappings.svg", &["svg", "--which", "mappings"]),
        ("fragmentation.svg", &["svg", "--which", "fragmentation"]),
        ("sockets.svg", &["svg", "--which", "sockets"]),
    ] {
        let mut piped = memtrace();
        piped.args(["report", recording, "--format"]).args(options);
        let piped = piped.output().unwrap();
        assert!(piped.status.success() && piped.stderr.is_empty(), "{name}");
        assert!(piped.stdout == traced.file(name), "{name} differs");
        let path = traced.path().join("again");
        let mut command = memtrace();
        command.args(["report", recording, "-o"]).arg(&path);
        let status = command.arg("--format").args(options).output().unwrap();
        assert!(status.status.success());
        assert!(
            fs::read(&path).unwrap() == traced.file(name),
            "{name} differs"
        );
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut closed = memtrace();
    closed.args(["report", recording, "--format", "svg"]);
    let closed = closed.stdout(writer).stderr(std::process::Stdio::piped());
    let closed = closed.spawn().unwrap().wait_with_output().unwrap();
    assert!(closed.status.success() && closed.stderr.is_empty());
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = memtrace();
    command.args(["report", recording, "--format", "json"]);
    let refused = command.stdout(full).output().unwrap();
    assert!(!refused.status.success() && refused.stderr.starts_with(b"memtrace: error"));
    run_memtrace(&["report", recording, "--format", "json", "--which", "live"])
        .assert_refused(&["--which chooses among flame graphs"]);
}

/// A recording does not differ from itself; two of the same work are matched site by
/// site; what is no recording is refused by its name.
#[test]
fn difference_of_two_recordings() {
    needs_tracing!();
    let (one, two) = (trace_of("functions"), trace_of("functions"));
    let recording = |traced: &Finished| {
        let path = traced.path().join("recording.memtrace");
        path.to_str().unwrap().to_owned()
    };
    let difference = |before: &str, after: &str| {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let finished = run_memtrace(&["diff", before, after, "-o", out.to_str().unwrap()]);
        assert!(finished.status.success(), "{}", finished.stderr);
        let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&read("diff.json")).unwrap();
        assert!(read("diff.svg").ends_with("</svg>"));
        assert!(read("diff.html").ends_with("</html>"));
        (finished.stdout, read("diff.folded"), json)
    };
    let (text, folded, json) = difference(&recording(&one), &recording(&one));
    assert!(text.contains("live: no site differs"), "{text}");
    assert_eq!(json["sites"].as_array().unwrap().len(), 0);
    assert_eq!(json["live"]["difference_bytes"], 0);
    let same = |line: &str| {
        let mut columns = line.rsplit(' ');
        columns.next() == columns.next()
    };
    assert!(folded.lines().count() > 0 && folded.lines().all(same));
    let (_, _, json) = difference(&recording(&one), &recording(&two));
    let totals = [&one, &two].map(|it| it.report().totals.counts.live_bytes as i64);
    assert_eq!(json["live"]["difference_bytes"], totals[1] - totals[0]);
    let sum: i64 = (json["sites"].as_array().unwrap().iter())
        .filter(|site| site["place"] == "live")
        .map(|site| site["difference_bytes"].as_i64().unwrap())
        .sum();
    assert_eq!(sum, totals[1] - totals[0]);
    run_memtrace(&["diff", &recording(&one), "/etc/passwd"])
        .assert_refused(&["/etc/passwd", "not a memtrace recording"]);
}

/// The results are for their owner's eyes.
#[test]
fn files_are_private() {
    needs_tracing!();
    let traced = trace_of("midlife");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&traced.path()), 0o700);
    let mut names: Vec<String> = fs::read_dir(traced.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut expected = FILES.map(str::to_owned);
    expected.sort();
    assert_eq!(names, expected);
    for name in FILES {
        assert_eq!(mode(&traced.path().join(name)), 0o600, "{name}");
    }
}

/// The folded stacks add up to the live bytes, and the picture and the
/// terminal name the function that holds most.
#[test]
fn outputs_agree() {
    needs_tracing!();
    let traced = trace_of("functions");
    let report = traced.report();
    let folded = String::from_utf8(traced.file("live.folded")).unwrap();
    let sum: u64 = folded
        .lines()
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum();
    assert_eq!(sum, report.totals.counts.live_bytes);
    let largest = report.sites[0].frames[0].function.as_deref().unwrap();
    let svg = String::from_utf8(traced.file("live.svg")).unwrap();
    assert!(svg.contains(largest) && traced.stdout.contains(largest));
    assert!(report.totals.footprint_bytes >= report.totals.counts.live_bytes);
    let order: Vec<u64> = report
        .sites
        .iter()
        .map(|site| site.counts.live_bytes)
        .collect();
    assert!(order.is_sorted_by(|a, b| a >= b));
}

/// Two traces of the same work name its sites the same.
#[test]
fn site_ids_are_stable() {
    needs_tracing!();
    let ids = |finished: Finished| {
        let mut ids: Vec<String> = finished
            .report()
            .sites
            .into_iter()
            .map(|site| site.site_id)
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(trace_of("functions")), ids(trace_of("functions")));
}
