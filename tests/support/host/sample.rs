//! What the made-up host is: its programs, what each did in each interval, and its present.

use tracer::model::{
    Frame, JAVASCRIPT,
    host::{
        Event, FaultedStack, Gauge, GroupInterval, GroupView, Happening, HostMemory, Interval,
        LineId, LineInterval, LineView, OwnCost, Peak, State, View,
    },
    verdict::{Confidence, Kind, PlaceName, Verdict, VerdictStack},
};

use super::{EVIL, GIB, HOSTILE, LEAKING, STEP_MS};

const MIB: u64 = 1 << 20;

fn frame(function: &str, module: &str, file: &str, line: u32) -> Frame {
    Frame {
        function: Some(function.to_owned()),
        module: module.to_owned(),
        file: (!file.is_empty()).then(|| file.to_owned()),
        line: (line > 0).then_some(line),
        ..Frame::default()
    }
}

fn leaking_stack() -> Vec<Frame> {
    vec![
        frame(
            "__libc_malloc",
            "/usr/lib/x86_64-linux-gnu/libc.so.6",
            "",
            0,
        ),
        frame(
            "node::Buffer::New(v8::Isolate*, unsigned long)",
            "/usr/bin/node",
            "",
            0,
        ),
        frame("Builtins_CallApiCallback", "/usr/bin/node", "", 0),
        frame(
            "rememberSession",
            JAVASCRIPT,
            "/srv/shop/lib/sessions.js",
            118,
        ),
        frame("onCheckout", JAVASCRIPT, "/srv/shop/routes/checkout.js", 42),
        frame(
            "handle",
            JAVASCRIPT,
            "/srv/shop/node_modules/express/lib/router/layer.js",
            95,
        ),
        frame("node::Start(int, char**)", "/usr/bin/node", "", 0),
    ]
}

fn evil_stack() -> Vec<Frame> {
    vec![
        frame(HOSTILE, HOSTILE, HOSTILE, 1),
        frame("main", "/srv/evil", "", 0),
    ]
}

fn verdict(kind: Kind, bytes: u64, rate: f64, summary: &str, frames: Vec<Frame>) -> Verdict {
    let mut verdict = Verdict::new(kind, 1, Confidence::High, bytes, summary.to_owned());
    verdict.bytes_per_second = rate;
    verdict.evidence = vec!["Troughs rose in every third of the window.".to_owned()];
    verdict.advice =
        vec!["Look at what rememberSession keeps: nothing takes it out again.".to_owned()];
    verdict.stacks = vec![VerdictStack {
        share: 0.93,
        frames,
    }];
    verdict
}

/// Resident bytes of a line at an interval.
fn resident(line: u64, number: u64) -> u64 {
    match line {
        0 => 180 * MIB + number * MIB / 2 + (number % 30) * MIB,
        1 => 96 * MIB + number * 40_000,
        2 if (400..412).contains(&number) => 2 * GIB,
        other => (20 + other * 13) * MIB + (number * 7919 % 11) * MIB / 4,
    }
}

fn id(line: u64) -> LineId {
    if line == 0 { LEAKING } else { LineId(line) }
}

fn name(line: u64) -> String {
    let names = [
        "node",
        "python3",
        "java",
        "postgres",
        "nginx",
        "redis-server",
        "envoy",
    ];
    match line {
        7 => HOSTILE.to_owned(),
        _ => names[line as usize % names.len()].to_owned(),
    }
}

fn group(line: u64) -> String {
    match line {
        0 => "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1f0e.slice/cri-containerd-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08.scope".to_owned(),
        7 => format!("/system.slice/{HOSTILE}"),
        _ => format!("/system.slice/{}.service", name(line)),
    }
}

pub(super) fn interval(start_ms: u64, number: u64) -> Interval {
    let line = |line: u64| {
        let bytes = resident(line, number);
        let sockets = if line == 4 {
            number * 20_000
        } else {
            line * 4096
        };
        LineInterval {
            line: id(line),
            name: name(line),
            group: group(line),
            pid: 4000 + line as u32,
            resident: Gauge::of(bytes),
            places: [
                (PlaceName::OtherAnonymous, Gauge::of(bytes - 12 * MIB)),
                (PlaceName::Files, Gauge::of(11 * MIB)),
                (PlaceName::Shared, Gauge::of(MIB)),
                (PlaceName::Sockets, Gauge::of(sockets)),
            ]
            .into(),
            connections: Gauge::of(line * 3),
            peak_bytes: bytes,
            faulted: match line {
                0 => vec![
                    FaultedStack {
                        stack: 1,
                        bytes: MIB / 2,
                        samples: 2,
                    },
                    FaultedStack {
                        stack: 2,
                        bytes: 30_000 * (1 + number / 500),
                        samples: 1,
                    },
                ],
                7 => vec![FaultedStack {
                    stack: 3,
                    bytes: 4096,
                    samples: 1,
                }],
                _ => Vec::new(),
            },
            ..LineInterval::default()
        }
    };
    let mut events = Vec::new();
    if number == 500 {
        events.push(Event {
            at_ms: start_ms,
            line: Some(LEAKING),
            what: Happening::Grows {
                bytes_per_second: 52_000.0,
            },
        });
        events.push(Event {
            at_ms: start_ms + 5000,
            line: Some(LEAKING),
            what: Happening::LookBegan,
        });
    }
    if number == 300 {
        events.push(Event {
            at_ms: start_ms,
            line: Some(LEAKING),
            what: Happening::Restarted {
                old_pid: 3999,
                new_pid: 4000,
                resident_bytes: GIB,
            },
        });
    }
    Interval {
        start_ms,
        end_ms: start_ms + STEP_MS,
        lines: (0..10).map(line).collect(),
        groups: vec![GroupInterval {
            group: group(0),
            memory: Gauge::of(resident(0, number)),
            ..GroupInterval::default()
        }],
        stacks: [
            (1, leaking_stack()),
            (
                2,
                vec![
                    frame(
                        "parse",
                        JAVASCRIPT,
                        "/srv/shop/node_modules/body-parser/index.js",
                        9,
                    ),
                    frame("node::Start(int, char**)", "/usr/bin/node", "", 0),
                ],
            ),
            (3, evil_stack()),
        ]
        .into(),
        events,
        ..Interval::default()
    }
}

/// The present.
#[must_use]
pub fn view(now_ms: u64) -> View {
    View {
        at_ms: now_ms,
        host_name: "shop-7.example.com".to_owned(),
        host: HostMemory {
            total_bytes: 16 * GIB,
            available: Gauge::of(GIB),
            anonymous: Gauge::of(11 * GIB),
            slab: Gauge::of(700 * MIB),
            swapped: Gauge::of(120 * MIB),
            sockets: Gauge::of(48 * MIB),
            stalled_us: 340_000,
            oom_kills: 1,
        },
        lines: (0..31).map(|it| line_view(it, now_ms)).collect(),
        other_processes: 214,
        other_bytes: 900 * MIB,
        groups: (0..8)
            .map(|it| GroupView {
                group: group(it),
                container: (it == 0).then(|| "shop".to_owned()),
                memory_bytes: (it != 3).then(|| resident(it, 1080) + 40 * MIB),
                limit_bytes: (it == 0).then_some(800 * MIB),
                socket_bytes: it * 70_000,
                oom_kills: u64::from(it == 0),
            })
            .collect(),
        events: vec![
            Event { at_ms: now_ms - 1_200_000, line: Some(LEAKING), what: Happening::OutOfMemory { pid: 3999, name: "node".to_owned(), resident_bytes: 795 * MIB } },
            Event { at_ms: now_ms - 1_210_000, line: Some(LEAKING), what: Happening::LookEnded { look: None, summary: HOSTILE.to_owned() } },
            Event { at_ms: now_ms - 2_000_000, line: Some(EVIL), what: Happening::Spike { peak_bytes: 2 * GIB, usual_bytes: 40 * MIB } },
            Event { at_ms: now_ms - 4_800_000, line: None, what: Happening::Gap { ms: 600_000, why: "memtrace did not run".to_owned() } },
        ],
        own: OwnCost { cpu: 0.0041, probes: 0.0003, resident_bytes: 71 * MIB, map_bytes: 24 * MIB, history_bytes: 310 * MIB },
        gaps: vec!["Page faults of kernel threads are not sampled: this kernel has no exceptions:page_fault_kernel.".to_owned()],
        losses: [("stacks that found no room".to_owned(), 12)].into(),
    }
}

fn line_view(line: u64, now_ms: u64) -> LineView {
    let recent: Vec<u64> = (1020..1080).map(|it| resident(line, it)).collect();
    let mut view = LineView {
        line: id(line),
        name: name(line),
        group: group(line),
        pid: 4000 + line as u32,
        since_ms: now_ms - 7_000_000,
        resident_bytes: resident(line, 1080),
        peak_bytes: resident(line, 1080) + MIB,
        places: [(PlaceName::Sockets, line * 4096)].into(),
        connections: line * 3,
        recent,
        state: State::Healthy,
        ..LineView::default()
    };
    match line {
        0 => {
            view.state = State::Judged;
            view.bytes_per_second = 52_428.0;
            view.restarts = 3;
            view.verdict_ms = Some(now_ms - 400_000);
            let summary = "node leaks 51.2 KiB/s: rememberSession in /srv/shop/lib/sessions.js keeps a Buffer for every checkout.";
            view.verdicts = vec![verdict(
                Kind::Leak,
                410 * MIB,
                52_428.0,
                summary,
                leaking_stack(),
            )];
        }
        1 => {
            view.state = State::Looking;
            view.bytes_per_second = 4_000.0;
        }
        2 => {
            view.peak = Some(Peak {
                at_ms: now_ms - 6_800_000,
                bytes: 2 * GIB,
                usual_bytes: 46 * MIB,
                stacks: vec![VerdictStack {
                    share: 0.8,
                    frames: vec![frame("com.example.Report.render", "[jit]", "", 0)],
                }],
            });
        }
        7 => {
            view.state = State::Judged;
            view.verdicts = vec![verdict(
                Kind::Retention,
                20 * MIB,
                0.0,
                HOSTILE,
                evil_stack(),
            )];
        }
        9 => view.state = State::New,
        _ => {}
    }
    view
}
