use super::*;
use crate::{
    analyze::past::Past,
    model::{
        Frame,
        host::{Event, FaultedStack, Gauge, Happening, LineId, LineInterval},
        verdict::PlaceName,
    },
    render::text::Page,
};

fn interval(number: u64, name: &str) -> Interval {
    let frame = |function: &str| Frame {
        function: Some(function.to_owned()),
        module: "/srv/app".to_owned(),
        ..Frame::default()
    };
    Interval {
        start_ms: 1_794_999_600_000 + number * 10_000,
        end_ms: 1_794_999_610_000 + number * 10_000,
        lines: vec![LineInterval {
            line: LineId(0xab),
            name: name.to_owned(),
            group: "/system.slice/web.service".to_owned(),
            pid: 7,
            resident: Gauge::of((number + 1) << 20),
            places: [(PlaceName::Sockets, Gauge::of(4096))].into(),
            connections: Gauge::of(12),
            starts: 1,
            faulted: vec![FaultedStack {
                stack: 5,
                bytes: 1000,
                samples: 2,
            }],
            ..LineInterval::default()
        }],
        stacks: [(5, vec![frame("fill"), frame("main")])].into(),
        events: vec![Event {
            at_ms: 1_794_999_600_000 + number * 10_000,
            line: Some(LineId(0xab)),
            what: Happening::Grows {
                bytes_per_second: 1024.0,
            },
        }],
        ..Interval::default()
    }
}

fn past(name: &str, count: u64) -> Past {
    let mut past = Past::default();
    (0..count).for_each(|number| past.take(interval(number, name)));
    past
}

const PAGE: Page = Page {
    columns: 140,
    colour: false,
};

/// The table says who grew, from what to what, in whose code, and what happened.
#[test]
fn shows_what_grew() {
    let mut past = past("node", 3);
    past.losses.insert("samples".to_owned(), 4);
    assert_eq!(
        table(&past, 10, PAGE),
        "2026-11-18 11:00:00 UTC to 2026-11-18 11:00:30 UTC, 30.0 s\n\
         \n\
         program                 growth  first trough  last trough      now     peak  faulted in  sockets  tcp\n\
         node (7) web.service  +2.0 MiB       1.0 MiB      3.0 MiB  3.0 MiB  3.0 MiB    ~2.9 KiB  4.0 KiB   12\n\
         \n\
         node (7) faulted memory in at (sampled):\n    \
             ~2.9 KiB  fill < main\n\
         \n\
         what happened:\n  \
           2026-11-18 11:00:00 UTC  node (7): grows: +3.5 MiB/h\n  \
           2026-11-18 11:00:10 UTC  node (7): grows: +3.5 MiB/h\n  \
           2026-11-18 11:00:20 UTC  node (7): grows: +3.5 MiB/h\n\
         \n\
         not seen or kept: samples: 4\n"
    );
}

/// CSV has a row for each line of each interval under its heading, in bytes; what is not known
/// is empty.
#[test]
fn writes_csv_rows() {
    let mut text = Vec::new();
    write_csv_heading(&mut text).unwrap();
    write_csv(&interval(0, "=cmd|'/c calc'!A1,\"x\"\n"), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let rows: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0].split(',').count(), 24);
    assert_eq!(
        rows[1],
        "2026-11-18T11:00:00.000Z,2026-11-18T11:00:10.000Z,00000000000000ab,\
         \"'=cmd|'/c calc'!A1,\"\"x\"\"\u{fffd}\",7,/system.slice/web.service,\
         1048576,1048576,1048576,1048576,,,,,,,4096,,0,12,1,0,1000,2"
    );
}

/// Folded stacks add up what page faults brought in; their picture is whole.
#[test]
fn writes_stacks() {
    let past = past("node", 3);
    let mut text = Vec::new();
    write_folded(&past, &mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "node (7);main;fill 3000\n"
    );
    let mut svg = Vec::new();
    write_svg(&past, &mut svg).unwrap();
    let svg = String::from_utf8(svg).unwrap();
    roxmltree::Document::parse_with_options(
        &svg,
        roxmltree::ParsingOptions {
            allow_dtd: true,
            ..Default::default()
        },
    )
    .unwrap();
    assert!(svg.contains("about 2.9 KiB came in by page faults"));
}

/// Names of programs, groups, functions and losses cannot forge lines or move the cursor.
#[test]
fn hostile_names_stay_in_their_place() {
    let evil = "\u{1b}[2J\nfake 1\r;x\u{202e}";
    let mut interval = interval(0, evil);
    interval.lines[0].group = format!("/a/{evil}");
    interval.stacks.get_mut(&5).unwrap()[0].function = Some(evil.to_owned());
    interval.losses.insert(evil.to_owned(), 1);
    interval.events[0].what = Happening::LookEnded {
        look: None,
        summary: evil.to_owned(),
    };
    let mut csv = Vec::new();
    write_csv(&interval, &mut csv).unwrap();
    let mut json = Vec::new();
    write_json(&interval, &mut json).unwrap();
    let mut past = Past::default();
    past.take(interval);
    let mut folded = Vec::new();
    write_folded(&past, &mut folded).unwrap();
    for text in [csv, json, folded] {
        let text = String::from_utf8(text).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    }
    let text = table(&past, 10, PAGE);
    assert!(
        !text.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'),
        "{text:?}"
    );
    assert!(
        !text.lines().any(|line| line.starts_with("fake")),
        "{text:?}"
    );
}
