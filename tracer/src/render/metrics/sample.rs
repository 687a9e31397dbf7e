//! A view and intervals of a host, made by hand, for tests.

use std::collections::BTreeMap;

use crate::model::{
    Frame,
    host::{
        Event, FaultedStack, Gauge, GroupView, Happening, HostMemory, Interval, LineId,
        LineInterval, LineView, OwnCost, Peak, State, View,
    },
    verdict::{Confidence, Kind, PlaceName, Verdict, VerdictStack},
};

/// 2026-11-22T09:35:00Z.
pub const NOW_MS: u64 = 1_795_340_100_000;

/// A frame of a program's script.
pub fn frame(function: &str) -> Frame {
    Frame {
        function: Some(function.to_owned()),
        module: "/srv/addon.node".to_owned(),
        build_id: Some("00ff".to_owned()),
        offset: 0x11d0,
        file: Some("src/addon.cc".to_owned()),
        line: Some(42),
        ..Frame::default()
    }
}

/// A line that leaks, judged.
pub fn leaking(id: u64) -> LineView {
    let stack = VerdictStack {
        share: 0.9,
        frames: vec![frame("leak_buffer")],
    };
    let summary = "It leaks 1 MiB a minute.".to_owned();
    LineView {
        line: LineId(id),
        name: "node".to_owned(),
        group: "/system.slice/web.service".to_owned(),
        pid: 4242,
        since_ms: NOW_MS - 3_600_000,
        restarts: 2,
        resident_bytes: 300 << 20,
        peak_bytes: 310 << 20,
        swapped_bytes: 4096,
        places: BTreeMap::from([
            (PlaceName::OtherAnonymous, 250 << 20),
            (PlaceName::Sockets, 1 << 20),
        ]),
        connections: 12,
        recent: vec![1, 2, 3],
        bytes_per_second: 17476.5,
        state: State::Judged,
        verdicts: vec![Verdict {
            bytes_per_second: 17000.0,
            stacks: vec![stack.clone()],
            ..Verdict::new(Kind::Leak, 1, Confidence::High, 9 << 20, summary)
        }],
        verdict_ms: Some(NOW_MS - 60_000),
        looks: Vec::new(),
        peak: Some(Peak {
            at_ms: NOW_MS - 1_800_000,
            bytes: 310 << 20,
            usual_bytes: 100 << 20,
            stacks: vec![stack],
        }),
    }
}

/// A line of which nothing is wrong.
pub fn healthy(id: u64, resident_bytes: u64) -> LineView {
    LineView {
        line: LineId(id),
        name: "nginx".to_owned(),
        group: "/system.slice/nginx.service".to_owned(),
        resident_bytes,
        places: BTreeMap::from([(PlaceName::Files, 7)]),
        connections: 1,
        state: State::Healthy,
        ..LineView::default()
    }
}

/// A host with both.
pub fn view() -> View {
    View {
        at_ms: NOW_MS,
        host_name: "web-1".to_owned(),
        host: HostMemory {
            total_bytes: 8 << 30,
            available: Gauge::of(5 << 30),
            anonymous: Gauge::of(2 << 30),
            ..HostMemory::default()
        },
        lines: vec![leaking(0xab), healthy(0xcd, 50 << 20)],
        other_processes: 17,
        other_bytes: 123_456,
        groups: vec![GroupView {
            group: "/system.slice/web.service".to_owned(),
            container: Some("web".to_owned()),
            memory_bytes: Some(301 << 20),
            limit_bytes: Some(512 << 20),
            socket_bytes: 1 << 20,
            oom_kills: 3,
        }],
        events: vec![out_of_memory(NOW_MS - 5_000)],
        own: OwnCost {
            cpu: 0.004,
            probes: 0.001,
            resident_bytes: 30 << 20,
            map_bytes: 10 << 20,
            history_bytes: 5 << 20,
        },
        gaps: vec!["fentry: the kernel has no BTF".to_owned()],
        losses: BTreeMap::from([("stacks: no room".to_owned(), 5)]),
    }
}

/// A kill.
pub fn out_of_memory(at_ms: u64) -> Event {
    Event {
        at_ms,
        line: Some(LineId(0xab)),
        what: Happening::OutOfMemory {
            pid: 4242,
            name: "node".to_owned(),
            resident_bytes: 1 << 30,
        },
    }
}

/// Two intervals of ten seconds, in which the line `0xab` came to have `bytes` more each.
pub fn intervals(bytes: u64) -> Vec<Interval> {
    let line = LineInterval {
        line: LineId(0xab),
        name: "node".to_owned(),
        group: "/system.slice/web.service".to_owned(),
        pid: 4242,
        faulted: vec![
            FaultedStack {
                stack: 7,
                bytes,
                samples: 2,
            },
            FaultedStack {
                stack: 0,
                bytes: 4096,
                samples: 1,
            },
        ],
        ..LineInterval::default()
    };
    let other = LineInterval {
        line: LineId(0xcd),
        name: "nginx".to_owned(),
        pid: 5,
        faulted: vec![FaultedStack {
            stack: 7,
            bytes: 8192,
            samples: 1,
        }],
        ..LineInterval::default()
    };
    let stacks = BTreeMap::from([(7, vec![frame("leak_buffer"), frame("main")])]);
    let at = |start_ms: u64| Interval {
        start_ms,
        end_ms: start_ms + 10_000,
        lines: vec![line.clone(), other.clone()],
        stacks: stacks.clone(),
        losses: BTreeMap::from([("page faults: no room".to_owned(), 2)]),
        ..Interval::default()
    };
    vec![at(NOW_MS - 20_000), at(NOW_MS - 10_000)]
}
