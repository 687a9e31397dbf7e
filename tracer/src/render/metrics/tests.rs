use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::{sample, *};
use crate::model::host::{GroupView, LineId};

/// A series: its metric and labels, as they are after the format's escapes.
type Series = (String, BTreeMap<String, String>);

/// Reads the text format strictly, as its description says; what it may not have fails.
fn read(text: &str) -> BTreeMap<Series, String> {
    let mut all = BTreeMap::new();
    let (mut described, mut typed) = (HashSet::new(), HashSet::new());
    for line in text.strip_suffix('\n').unwrap().split('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(described.insert(rest.split(' ').next().unwrap()), "{line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(described.contains(name) && typed.insert(name), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            continue;
        }
        let end = line.find(['{', ' ']).unwrap();
        let (name, mut rest) = line.split_at(end);
        assert!(typed.contains(name), "{line}");
        let mut labels = BTreeMap::new();
        if let Some(within) = rest.strip_prefix('{') {
            rest = within;
            loop {
                let (label, after) = rest.split_once("=\"").unwrap();
                let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
                assert!(label.chars().all(is_name), "{line}");
                let (value, after) = unescape(after);
                assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
                match after.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => break rest = after.strip_prefix('}').unwrap(),
                }
            }
        }
        let value = rest.strip_prefix(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let series = (name.to_owned(), labels);
        assert!(
            all.insert(series, value.to_owned()).is_none(),
            "twice: {line}"
        );
    }
    all
}

fn unescape(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.push(match chars.next().unwrap().1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                c => panic!("\\{c}"),
            }),
            c => value.push(c),
        }
    }
    panic!("no end: {text}");
}

fn value(all: &BTreeMap<Series, String>, name: &str, labels: &[(&str, &str)]) -> String {
    let labels = labels
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let series = (name.to_owned(), labels.collect());
    let value = all.get(&series);
    value.unwrap_or_else(|| panic!("no {series:?}")).clone()
}

fn text(view: &View) -> String {
    render(view, &Counts::default(), Format::Text)
}

/// Each figure of a view is the metric that its name promises, in base units.
#[test]
fn tells_the_view() {
    let mut counts = Counts::default();
    counts.events.insert("out_of_memory", 2);
    counts.pushes.push(PushCount {
        destination: "otlp",
        sent: 5,
        dropped: 1,
        dropped_bytes: 900,
        ..PushCount::default()
    });
    let all = read(&render(&sample::view(), &counts, Format::Text));
    let leaking = [
        ("line", "00000000000000ab"),
        ("program", "node"),
        ("group", "/system.slice/web.service"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [&leaking[..], more].concat();
    for (name, labels, expected) in [
        ("memtrace_host_available_bytes", vec![], "5368709120"),
        ("memtrace_line_resident_bytes", with(&[]), "314572800"),
        (
            "memtrace_line_place_bytes",
            with(&[("place", "sockets")]),
            "1048576",
        ),
        (
            "memtrace_line_growth_bytes_per_second",
            with(&[]),
            "17476.5",
        ),
        ("memtrace_line_restarts_total", with(&[]), "2"),
        ("memtrace_line_start_time_seconds", with(&[]), "1795336500"),
        ("memtrace_line_state", with(&[("state", "judged")]), "1"),
        ("memtrace_line_state", with(&[("state", "healthy")]), "0"),
        ("memtrace_line_spike_bytes", with(&[]), "325058560"),
        (
            "memtrace_line_spike_function_info",
            with(&[("function", "leak_buffer"), ("place", "src/addon.cc:42")]),
            "1",
        ),
        (
            "memtrace_verdict",
            with(&[("kind", "leak"), ("confidence", "high")]),
            "1",
        ),
        (
            "memtrace_verdict_bytes",
            with(&[("kind", "leak")]),
            "9437184",
        ),
        (
            "memtrace_verdict_growth_bytes_per_second",
            with(&[("kind", "leak")]),
            "17000",
        ),
        (
            "memtrace_verdict_function_info",
            with(&[
                ("kind", "leak"),
                ("function", "leak_buffer"),
                ("place", "src/addon.cc:42"),
            ]),
            "1",
        ),
        (
            "memtrace_events_total",
            vec![("what", "out_of_memory")],
            "2",
        ),
        ("memtrace_events_total", vec![("what", "spike")], "0"),
        (
            "memtrace_group_oom_kills_total",
            vec![("group", "/system.slice/web.service"), ("container", "web")],
            "3",
        ),
        (
            "memtrace_losses_total",
            vec![("what", "stacks: no room")],
            "5",
        ),
        ("memtrace_gaps", vec![], "1"),
        ("memtrace_cpu_ratio", vec![], "0.004"),
        (
            "memtrace_push_dropped_bytes_total",
            vec![("destination", "otlp")],
            "900",
        ),
        ("memtrace_lines_left_out", vec![], "0"),
        ("memtrace_last_look_timestamp_seconds", vec![], "1795340100"),
    ] {
        assert_eq!(value(&all, name, &labels), expected, "{name}");
    }
}

/// OpenMetrics names a counter's family without `_total`, and ends in `# EOF`; the series are
/// the same.
#[test]
fn open_metrics_differs_where_it_must() {
    let view = sample::view();
    let open = render(&view, &Counts::default(), Format::OpenMetrics);
    assert!(open.ends_with("\n# EOF\n"));
    assert!(open.contains("\n# TYPE memtrace_losses counter\n"));
    let series = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(series(&open), series(&text(&view)));
}

/// Of more lines than the bound the sum is told, to the byte, and how many those are.
#[test]
fn many_lines_are_summed() {
    let mut view = sample::view();
    view.lines = (0..LINES_MAX as u64 + 30)
        .map(|id| sample::healthy(id, 1000 + id))
        .collect();
    let all = read(&text(&view));
    let other = [("line", "other"), ("program", "other"), ("group", "")];
    let expected: u64 = (100..130).map(|id| 1000 + id).sum();
    assert_eq!(
        value(&all, "memtrace_line_resident_bytes", &other),
        expected.to_string()
    );
    assert_eq!(value(&all, "memtrace_lines_left_out", &[]), "30");
    let files = [&other[..], &[("place", "files")]].concat();
    assert_eq!(value(&all, "memtrace_line_place_bytes", &files), "210");
}

/// However many lines, groups, gaps and losses with however long names: the answer stays of
/// a size that a scraper takes, and no series is there twice.
#[test]
fn cardinality_is_bounded() {
    let mut view = sample::view();
    let long = "é\u{1b}\"".repeat(1 << 10);
    view.lines = (0..5000).map(|id| sample::leaking(id / 2)).collect();
    for line in &mut view.lines {
        line.name.clone_from(&long);
        line.group.clone_from(&long);
        line.verdicts = vec![line.verdicts[0].clone(); 50];
    }
    view.groups = (0..5000)
        .map(|number| GroupView {
            group: format!("{number}{long}"),
            ..GroupView::default()
        })
        .collect();
    view.gaps = vec![long.clone(); 5000];
    view.losses = (0..5000).map(|it| (format!("{it}{long}"), 1)).collect();
    let text = text(&view);
    let all = read(&text);
    assert!(all.len() < 3500, "{}", all.len());
    assert!(text.len() < 8 << 20, "{}", text.len());
}

/// Before the first look there is an answer, and it says so.
#[test]
fn tells_that_nothing_was_looked_at() {
    let all = read(&text(&View::default()));
    assert_eq!(
        value(&all, "memtrace_last_look_timestamp_seconds", &[]),
        "0"
    );
    assert!(
        !all.keys()
            .any(|(name, _)| name.starts_with("memtrace_host_"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever programs and groups are called, what is read is what was written, cleaned: no
    /// name forges a label or a series.
    #[test]
    fn names_forge_nothing(name in any::<String>(), group in any::<String>(), rate in any::<f64>()) {
        let mut view = View::default();
        let mut line = sample::healthy(1, 5);
        line.name.clone_from(&name);
        line.group.clone_from(&group);
        line.line = LineId(u64::MAX);
        line.bytes_per_second = rate;
        view.lines = vec![line];
        let all = read(&text(&view));
        let [name, group] = [name, group].map(|it| exposition::clean(&it).into_owned());
        let labels = [("line", "ffffffffffffffff"), ("program", &*name), ("group", &*group)];
        prop_assert_eq!(value(&all, "memtrace_line_resident_bytes", &labels), "5");
    }
}
