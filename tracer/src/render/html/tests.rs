use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::analyze::verdict::{judge, places};
use crate::model::{
    JAVASCRIPT,
    growth::{Growth, Resident},
    verdict::PlaceName,
};
use crate::render::sample;

fn page_of(report: &Report) -> String {
    let mut page = Vec::new();
    write(report, &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

/// Nothing of a target's can do anything, and nothing is fetched.
fn assert_harmless(page: &str) {
    sample::assert_harmless(page);
    assert!(!page.contains("src=\""));
    let count = |what: &str| page.matches(what).count();
    // Inferno's ground.
    assert_eq!(count("url("), count("url(#background)"));
    assert!(page.contains("default-src 'none'") || page.contains("default-src &#39;none&#39;"));
}

/// A report in which every name says this.
fn hostile(name: &str) -> Report {
    let mut report = sample::troubled();
    let text = || name.to_owned();
    for process in &mut report.processes {
        process.command = text();
        process.executable = text();
        process.allocator = text();
    }
    let frames = (report.sites.iter_mut()).flat_map(|it| &mut it.frames);
    for (number, frame) in frames.enumerate() {
        frame.function = Some(text());
        frame.module = if number % 2 == 0 {
            JAVASCRIPT.to_owned()
        } else {
            text()
        };
        frame.file = Some(text());
        frame.build_id = Some(text());
    }
    for site in &mut report.sites {
        site.pool = Some(text());
        site.site_id = text();
    }
    report.host.kernel = text();
    report.tool_version = text();
    report.window.start_utc = text();
    report.notes = vec![text()];
    report.not_covered = vec![text()];
    report.sampling.as_mut().unwrap().reason = text();
    let sockets = report.sockets.as_mut().unwrap();
    sockets.notes = vec![text()];
    sockets
        .unattributed
        .iter_mut()
        .for_each(|it| it.why = text());
    sockets
        .last
        .largest
        .iter_mut()
        .for_each(|it| it.command = text());
    sockets
        .sites
        .iter_mut()
        .flat_map(|it| &mut it.frames)
        .for_each(|it| it.function = Some(text()));
    for process in &mut report.heap.as_mut().unwrap().processes {
        process.not_walked = Some(text());
    }
    report.growth = vec![growth(1)];
    report.places = places(&report);
    report.verdicts = judge(&report);
    for verdict in &mut report.verdicts {
        verdict.summary = text();
        verdict.evidence = vec![text()];
        verdict.advice = vec![text()];
    }
    report
}

/// A process that grows from 10 to 30 MiB in as many seconds.
fn growth(process: u32) -> Growth {
    let moment = |second: u32| Resident {
        seconds: f64::from(second),
        anonymous_bytes: (10 + u64::from(second)) << 20,
        file_bytes: 5 << 20,
        live_bytes: u64::from(second) << 20,
        ..Resident::default()
    };
    Growth {
        process,
        timeline: (0..=30).map(moment).collect(),
        ..Growth::default()
    }
}

fn difference_of(before: &Report, after: &Report) -> String {
    let mut page = Vec::new();
    let difference = crate::analyze::diff::compare(before, after).unwrap();
    difference::write(&difference, &mut page).unwrap();
    String::from_utf8(page).unwrap()
}

/// The page of a difference tells its verdict, what grew and what shrank, and draws it.
#[test]
fn difference_is_told() {
    let before = sample::small();
    let mut after = sample::small();
    after.sites[0].counts = crate::model::Counts::new(300, 12_582_912, 0, 0);
    after.sites[1].counts = crate::model::Counts::default();
    let page = difference_of(&before, &after);
    assert_harmless(&page);
    let grown = after.sites[0].counts.live_bytes - before.sites[0].counts.live_bytes;
    let shrunk = before.sites[1].counts.live_bytes;
    assert!(
        page.contains(&format!("<data value=\"{grown}\"")),
        "{grown}"
    );
    assert!(
        page.contains(&format!("<data value=\"-{shrunk}\"")),
        "{shrunk}"
    );
    assert_eq!(page.matches("<iframe").count(), 1);
    let same = difference_of(&before, &before);
    assert!(same.contains("No site differs."));
}

/// Names that close elements, attributes, comments and scripts stay text wherever they
/// stand, in the page and in the documents of its frames.
#[test]
fn names_are_never_markup() {
    for name in [
        "</script><img src=x onerror=alert(1)>",
        "\"]]><img src=x>",
        "'><img src=x onerror='alert(1)",
        "\"><img src=\"x\">",
        "--><img src=x><!--",
        "</title></style></iframe><img>",
        "&lt;img src=x&gt;&#60;img&#62;",
        "a\u{1b}[2J\u{202e}b\u{200b}\0\r\n",
        "<![CDATA[<img>]]>",
    ] {
        assert_harmless(&difference_of(&sample::small(), &hostile(name)));
        let page = page_of(&hostile(name));
        assert_harmless(&page);
        // Nor does an escape that the name brought along become what it stands for.
        assert!(!page.contains("&lt;img src=x&gt;&#60;"), "{name}");
    }
}

/// Names of a megabyte, a hundred of them, make no page of a hundred megabytes.
#[test]
fn endless_names_are_cut() {
    let page = page_of(&hostile(&"<é".repeat(350_000)));
    assert_harmless(&page);
    assert!(page.len() < 2 << 20, "{}", page.len());
}

fn values(page: &str) -> BTreeSet<&str> {
    let elements = page.split("<data value=\"").skip(1);
    elements
        .filter_map(|it| it.split_once('"').map(|it| it.0))
        .collect()
}

/// The page's figures are the report's, to the byte.
#[test]
fn figures_are_those_of_the_report() {
    let mut report = sample::troubled();
    report.growth = vec![growth(1)];
    report.places = places(&report);
    report.verdicts = judge(&report);
    let page = page_of(&report);
    let values = values(&page);
    let counts = &report.totals.counts;
    let mut expected = vec![
        counts.live_bytes,
        counts.live_blocks,
        counts.allocated_bytes,
        counts.freed_blocks,
        report.totals.footprint_bytes,
        report.unmatched_frees,
    ];
    expected.extend(
        report
            .sites
            .iter()
            .map(|it| it.counts.live_bytes)
            .filter(|it| *it > 0),
    );
    expected.extend(
        report
            .verdicts
            .iter()
            .map(|it| it.bytes)
            .filter(|it| *it > 0),
    );
    expected.extend(report.loss.iter().map(|it| it.calls));
    expected.extend(report.loss.iter().filter_map(|it| it.bytes));
    let mappings = report.mappings.iter().flat_map(|it| &it.processes);
    expected.extend(mappings.map(|it| it.total.resident_bytes));
    let heaps = report.heap.iter().flat_map(|it| &it.processes);
    expected.extend(heaps.filter_map(|it| Some(it.timeline.last()?.split.resident_bytes)));
    let sockets = report.sockets.as_ref().unwrap();
    let last = sockets.timeline.last().unwrap();
    expected.extend([last.send_bytes, last.receive_bytes, last.orphan_bytes]);
    // Of other anonymous memory the JS heap is told apart where it is known.
    let places = report
        .places
        .iter()
        .filter(|it| it.name != PlaceName::OtherAnonymous);
    expected.extend(places.map(|it| it.end_bytes).filter(|it| *it > 0));
    for number in expected {
        assert!(
            values.contains(number.to_string().as_str()),
            "{number} is not in the page"
        );
    }
    for loss in &report.loss {
        assert!(page.contains(loss.cause.describe()));
    }
}

/// A trace in which nothing happened has a page that says so, without a picture.
#[test]
fn empty_report() {
    let page = page_of(&sample::empty());
    assert_harmless(&page);
    assert!(page.contains("Nothing allocated within the window was live at its end."));
    assert!(
        !page.contains("<iframe") && page.len() < 100_000,
        "{}",
        page.len()
    );
}

/// Of 60,000 stacks the page keeps what can be read; what it leaves out it counts. Processor
/// time, not the clock's: other tests run beside this one.
#[test]
fn a_large_report_makes_a_small_page() {
    let processor = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
    };
    let report = sample::node_sized(60_000);
    let began = processor();
    let page = page_of(&report);
    let seconds = processor() - began;
    assert!(page.len() < 4 << 20, "{}", page.len());
    assert!(page.contains("The 10 largest of 60,000 sites"));
    assert!(seconds < 60.0, "{seconds} s");
}

/// Each of many processes is told of or counted.
#[test]
fn many_processes() {
    let mut report = sample::empty();
    let process = report.processes[0].clone();
    let numbered = |id| crate::model::Process {
        id,
        pid: 1000 + id,
        ..process.clone()
    };
    report.processes = (1..=200).map(numbered).collect();
    report.growth = (1..=200).map(growth).collect();
    report.verdicts = judge(&report);
    let page = page_of(&report);
    assert_eq!(page.matches("<figure class=\"timeline\">").count(), 20);
    assert!(page.contains("and 180 other ones: see report.json"));
    assert!(page.len() < 2 << 20, "{}", page.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a trace ends in, or a recording says: a page, whole and harmless.
    #[test]
    fn any_report_has_a_page(report in sample::any_report()) {
        assert_harmless(&page_of(&report));
    }
}
