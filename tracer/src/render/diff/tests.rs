use proptest::prelude::*;
use roxmltree::{Document, ParsingOptions};
use serde_json::Value;

use super::*;
use crate::analyze::diff::compare;
use crate::model::{Counts, Frame, Report};
use crate::render::{sample, text::Page};

const PAGE: Page = Page {
    columns: 100,
    colour: false,
};

fn folded(before: &Report, after: &Report) -> String {
    let mut text = Vec::new();
    picture::write_folded(&compare(before, after).unwrap(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn svg(before: &Report, after: &Report) -> String {
    let mut svg = Vec::new();
    picture::write_svg(&compare(before, after).unwrap(), &mut svg).unwrap();
    String::from_utf8(svg).unwrap()
}

fn json(before: &Report, after: &Report) -> Value {
    let mut text = Vec::new();
    json::write(&compare(before, after).unwrap(), &mut text).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The second site is gone, the first grew.
fn grown() -> Report {
    let mut report = sample::small();
    report.sites[0].counts = Counts::new(300, 12_582_912, 0, 0);
    report.sites.remove(1);
    report
}

/// Frames as their title and colour.
fn drawn(svg: &str) -> Vec<(String, String)> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(svg, options).unwrap();
    let frames = document
        .descendants()
        .filter(|node| node.has_tag_name("title"));
    let colour = |node: roxmltree::Node<'_, '_>| {
        let mut siblings = node.parent().unwrap().children();
        let rect = siblings.find(|it| it.has_tag_name("rect")).unwrap();
        rect.attribute("fill").unwrap().to_owned()
    };
    frames
        .map(|node| (node.text().unwrap().to_owned(), colour(node)))
        .collect()
}

/// The stacks have the form that differential flame graph tools read.
#[test]
fn writes_two_columns() {
    assert_eq!(
        folded(&sample::small(), &grown()),
        "node (4242);[stack lost];realloc 512 512\n\
         node (4242);libuv.so.1+0x1f0;calloc 1048576 0\n\
         node (4242);main;v8::Run(int);JS:~onRequest /srv/app.js:7:1_[j];\
         keep<[u8: 8]>_[i];leak_buffer;malloc 8388608 12582912\n"
    );
}

/// What grew is red, what shrank blue, the rest white; what is gone is told.
#[test]
fn colours_tell_the_sign() {
    let find = |svg: &str, name: &str| {
        let frames = drawn(svg);
        frames
            .into_iter()
            .find(|(title, _)| title.starts_with(name))
            .unwrap()
    };
    let picture = svg(&sample::small(), &grown());
    let (title, colour) = find(&picture, "leak_buffer");
    assert_eq!(title, "leak_buffer (12,582,912 bytes, 100.00%; +33.33%)");
    assert_eq!(colour, "rgb(255,100,100)");
    assert_eq!(find(&picture, "main").1, "rgb(250,250,250)");
    assert!(picture.contains("gone, not drawn: 1 stack of 1.0 MiB"));
    assert!(picture.contains("memtrace: live memory grew by +3.0 MiB: 9.0 MiB → 12.0 MiB"));
    let picture = svg(&grown(), &sample::small());
    assert_eq!(find(&picture, "leak_buffer").1, "rgb(100,100,255)");
}

/// The table tells growth first, then what shrank, and nothing of what stayed.
#[test]
fn the_table_tells_what_differs() {
    let (before, after) = (sample::small(), grown());
    let text = text::render(&compare(&before, &after).unwrap(), PAGE);
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(row("live "), "live 9.0 MiB 12.0 MiB +3.0 MiB +102.4 KiB/s");
    assert!(row("leak_buffer").ends_with("8.0 MiB 12.0 MiB +4.0 MiB +136.5 KiB/s"));
    assert!(row("libuv.so.1").ends_with("1.0 MiB 0 B -1.0 MiB -34.1 KiB/s"));
    assert!(text.contains("live: 1 site grew\n") && text.contains("live: 1 site shrank\n"));
    assert!(!text.contains("[stack lost]"), "{text}");
    let same = text::render(&compare(&before, &before).unwrap(), PAGE);
    assert!(same.contains("live: no site differs"), "{same}");
}

/// Whatever makes the two unlike is said in all outputs.
#[test]
fn caveats_are_everywhere() {
    let (before, after) = (sample::small(), sample::troubled());
    let text = text::render(&compare(&before, &after).unwrap(), PAGE);
    for words in [
        "second recording are estimates",
        "LOST in the second recording: 1,234 calls",
    ] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{text}");
        assert!(json(&before, &after)["caveats"].to_string().contains(words));
    }
    assert!(svg(&before, &after).contains("caveats: Figures of the second recording"));
}

/// A difference keeps to its published schema, also of a recording with itself.
#[test]
fn keeps_to_its_schema() {
    let schema = include_str!("../../../../docs/diff.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let reports = [
        sample::small(),
        grown(),
        sample::troubled(),
        sample::empty(),
    ];
    for before in &reports {
        for after in &reports {
            let found = json(before, after);
            let wrong: Vec<String> = schema
                .iter_errors(&found)
                .map(|it| it.to_string())
                .collect();
            assert!(wrong.is_empty(), "{wrong:?}");
        }
    }
    let same = json(&reports[0], &reports[0]);
    assert_eq!(same["sites"], Value::Array(Vec::new()));
    assert_eq!(same["live"]["difference_bytes"], 0);
    assert_eq!(
        json(&reports[0], &reports[1])["live"]["difference_bytes"],
        3_145_728
    );
}

/// Names that other names begin with do not tear a frame in two.
#[test]
fn frames_stay_whole() {
    let named = |name: &str| Frame {
        function: Some(name.to_owned()),
        ..Frame::default()
    };
    let mut report = sample::small();
    report.sites.truncate(3);
    report.sites[0].frames = vec![named("f")];
    report.sites[1].frames = vec![named("f!g")];
    report.sites[2].frames = vec![named("h"), named("f")];
    let picture = svg(&report, &report);
    let titles = drawn(&picture);
    let frames = titles.iter().filter(|(title, _)| title.starts_with("f ("));
    assert_eq!(frames.count(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any two recordings make outputs whose sums are theirs, or are refused as damaged.
    #[test]
    fn any_two_have_outputs(before in sample::any_report(), after in sample::any_report()) {
        let Ok(difference) = compare(&before, &after) else {
            return Ok(());
        };
        let folded = folded(&before, &after);
        let mut sums = [0_u64; 2];
        for line in folded.split_terminator('\n') {
            let mut columns = line.rsplitn(3, ' ');
            for sum in sums.iter_mut().rev() {
                *sum += columns.next().unwrap().parse::<u64>().unwrap();
            }
        }
        let counts = [before.totals.counts.live_bytes, after.totals.counts.live_bytes];
        prop_assert_eq!(sums, counts);
        let mut svg = Vec::new();
        match picture::write_svg(&difference, &mut svg) {
            Ok(()) => { drawn(&String::from_utf8(svg).unwrap()); }
            Err(_) => prop_assert!(counts.iter().max() > Some(&(1 << 55))),
        }
        json(&before, &after);
        let text = text::render(&difference, PAGE);
        let wide = text.lines().find(|line| crate::render::layout::width(line) > PAGE.columns);
        prop_assert_eq!(wide, None);
    }
}
