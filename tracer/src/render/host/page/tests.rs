use proptest::prelude::*;

use super::*;
use crate::model::{
    Frame, Level,
    host::{
        CloserLook, Event, FaultedStack, Gauge, GroupView, Happening, Interval, LineId,
        LineInterval, LineView, LookId, Peak, State, View,
    },
    verdict::{Confidence, Kind, PlaceName, Verdict, VerdictStack},
};
use crate::render::sample;

const LINE: LineId = LineId(u64::MAX);

/// Nothing of a target's can do anything, and no page is shown within another.
fn assert_harmless(page: &Page) {
    sample::assert_harmless(&page.html);
    assert!(
        page.policy
            .starts_with("default-src 'none'; script-src 'sha256-")
    );
    assert!(page.policy.contains("frame-ancestors 'none'"));
    assert!(!page.policy.contains("unsafe-eval") && page.policy.is_ascii());
}

fn frames(name: &str) -> Vec<Frame> {
    let frame = Frame {
        function: Some(name.to_owned()),
        module: name.to_owned(),
        file: Some(name.to_owned()),
        line: Some(1),
        ..Frame::default()
    };
    vec![frame; 3]
}

fn verdict(name: &str) -> Verdict {
    let mut verdict = Verdict::new(Kind::Leak, 1, Confidence::High, 1 << 20, name.to_owned());
    verdict.evidence = vec![name.to_owned()];
    verdict.advice = vec![name.to_owned()];
    verdict.stacks = vec![VerdictStack {
        share: f64::NAN,
        frames: frames(name),
    }];
    verdict
}

/// Everything that may stand on the page, each name this.
fn view(name: &str, number: u64, rate: f64) -> View {
    let line = |state| LineView {
        line: LINE,
        name: name.to_owned(),
        group: name.to_owned(),
        pid: 7,
        since_ms: number,
        restarts: 3,
        resident_bytes: number,
        swapped_bytes: number,
        places: [(PlaceName::Sockets, number)].into(),
        recent: vec![number, 0, number / 2],
        bytes_per_second: rate,
        state,
        verdicts: vec![verdict(name)],
        verdict_ms: Some(number),
        looks: vec![LookId(name.to_owned())],
        peak: Some(Peak {
            at_ms: number,
            bytes: number,
            usual_bytes: 1,
            stacks: verdict(name).stacks,
        }),
        ..LineView::default()
    };
    let event = |what| Event {
        at_ms: number,
        line: Some(LINE),
        what,
    };
    View {
        at_ms: number,
        host_name: name.to_owned(),
        lines: [
            State::New,
            State::Healthy,
            State::Grows,
            State::Looking,
            State::Judged,
        ]
        .map(line)
        .into(),
        groups: vec![GroupView {
            group: name.to_owned(),
            container: Some(name.to_owned()),
            memory_bytes: Some(number),
            limit_bytes: Some(0),
            socket_bytes: number,
            oom_kills: number,
        }],
        events: vec![
            event(Happening::Restarted {
                old_pid: 1,
                new_pid: 2,
                resident_bytes: number,
            }),
            event(Happening::OutOfMemory {
                pid: 1,
                name: name.to_owned(),
                resident_bytes: number,
            }),
            event(Happening::Spike {
                peak_bytes: number,
                usual_bytes: number,
            }),
            event(Happening::Grows {
                bytes_per_second: rate,
            }),
            event(Happening::LookBegan),
            event(Happening::LookEnded {
                look: Some(LookId(name.to_owned())),
                summary: name.to_owned(),
            }),
            event(Happening::Gap {
                ms: number,
                why: name.to_owned(),
            }),
        ],
        gaps: vec![name.to_owned()],
        losses: [(name.to_owned(), number)].into(),
        ..View::default()
    }
}

fn interval(name: &str, start_ms: u64, bytes: u64) -> Interval {
    Interval {
        start_ms,
        end_ms: start_ms + 10_000,
        lines: vec![LineInterval {
            line: LINE,
            name: name.to_owned(),
            group: name.to_owned(),
            resident: Gauge::of(bytes),
            places: [(PlaceName::OtherAnonymous, Gauge::of(bytes))].into(),
            swapped: Gauge::of(bytes),
            connections: Gauge::of(bytes),
            faulted: vec![FaultedStack {
                stack: 1,
                bytes,
                samples: bytes,
            }],
            starts: 1,
            ..LineInterval::default()
        }],
        stacks: [(1, frames(name))].into(),
        events: vec![Event {
            at_ms: start_ms,
            line: Some(LINE),
            what: Happening::LookEnded {
                look: None,
                summary: name.to_owned(),
            },
        }],
        ..Interval::default()
    }
}

fn closer_look(name: &str) -> CloserLook {
    CloserLook {
        id: LookId(name.to_owned()),
        line: LINE,
        pid: 7,
        name: name.to_owned(),
        start_ms: 0,
        end_ms: 60_000,
        reason: name.to_owned(),
        level: Level::Exact,
        verdicts: vec![verdict(name)],
        cost: 0.01,
    }
}

fn line_page(name: &str, number: u64, rate: f64) -> Page {
    let view = view(name, number, rate);
    let intervals = [
        interval(name, 0, number),
        interval(name, 30_000, number / 2),
    ];
    let looks = [closer_look(name)];
    let range = Range {
        from_ms: 0,
        to_ms: 60_000,
    };
    line(&LineSources {
        view: &view,
        line: LINE,
        range,
        goes_on: true,
        intervals: &intervals,
        before: Some((range, &intervals[..1])),
        looks: &looks,
        report: Some(&sample::troubled()),
        troubles: &[name.to_owned()],
    })
    .unwrap()
}

/// Names that are markup, that end an attribute, a comment or a script, or that hide stand on
/// every page as text.
#[test]
fn hostile_names_are_text() {
    for name in [
        "<img src=x onerror=alert(1)>",
        "\"><script>alert(1)</script>",
        "'></iframe><script>alert(1)</script>",
        "</title></style></script><base href=//evil>",
        "--><!--",
        "\u{1b}[31m\u{202e}\u{200b}\n\0",
        "]]>&lt;script&gt;",
    ] {
        let own = view(name, 1 << 40, 5e6);
        assert_harmless(&glance(&own, 1 << 40));
        assert_harmless(&line_page(name, 1 << 40, 5e6));
        assert_harmless(&message(name, name));
        let look = look(&closer_look(name), &sample::small());
        assert_eq!(look.html.matches("<img").count(), 0);
        assert_eq!(
            look.html.matches("<script").count(),
            look.html.matches("</script>").count()
        );
    }
}

/// An empty host, and one that has just begun, are told of as such.
#[test]
fn beginnings_are_told() {
    let page = glance(&View::default(), 5);
    assert_harmless(&page);
    assert!(page.html.contains("memtrace has just begun"));
    let begun = View {
        at_ms: 1000,
        ..View::default()
    };
    assert!(
        glance(&begun, 2000)
            .html
            .contains("Nothing grows: 0 programs watched.")
    );
    let old = glance(&begun, 301_000).html;
    assert!(old.contains("These figures are old") && old.contains("5 min 00 s ago"));
}

/// The first line counts who needs attention, by what is known of them.
#[test]
fn headline_counts() {
    use State::{Grows, Healthy, Judged, Looking, New};
    let text = |states: &[State], kind| {
        let lines = states.iter().map(|state| LineView {
            state: *state,
            verdicts: match state {
                Judged => vec![Verdict::new(kind, 1, Confidence::High, 1, String::new())],
                _ => Vec::new(),
            },
            ..LineView::default()
        });
        let view = View {
            at_ms: 1,
            lines: lines.collect(),
            ..View::default()
        };
        headline::headline(&view).text
    };
    for (states, kind, wanted) in [
        (
            &[Healthy, Judged][..],
            Kind::Healthy,
            "Nothing grows: 2 programs watched.",
        ),
        (
            &[New],
            Kind::Leak,
            "Nothing grows: 1 program watched. 1 is not watched for long enough to tell.",
        ),
        (
            &[Grows, Healthy],
            Kind::Leak,
            "1 of 2 programs needs attention: 1 grows.",
        ),
        (
            &[Judged, Judged, Looking, Healthy],
            Kind::Leak,
            "3 of 4 programs need attention: 2 have a verdict, 1 grows.",
        ),
    ] {
        assert_eq!(text(states, kind), wanted);
    }
}

/// A program of which nothing is known, now or then, has no page.
#[test]
fn unknown_programs_have_no_page() {
    let sources = LineSources {
        view: &View::default(),
        line: LINE,
        range: Range {
            from_ms: 0,
            to_ms: 1,
        },
        goes_on: false,
        intervals: &[],
        before: None,
        looks: &[],
        report: None,
        troubles: &[],
    };
    assert!(line(&sources).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever the names and figures, pages are made and are harmless.
    #[test]
    fn any_view_has_a_page(name in "\\PC{0,60}", number: u64, rate: f64) {
        assert_harmless(&glance(&view(&name, number, rate), number));
        assert_harmless(&line_page(&name, number, rate));
    }
}
