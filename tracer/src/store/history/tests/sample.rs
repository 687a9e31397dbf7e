//! A host for tests: programs of some size with stacks, of which most stand still, as most
//! programs do. Nothing is by chance: the same calls give the same intervals.

use std::collections::BTreeMap;

use crate::model::{
    Frame,
    host::{
        Event, FaultedStack, Gauge, GroupInterval, Happening, HostMemory, Interval, LineId,
        LineInterval, Others,
    },
    verdict::PlaceName,
};

/// 2026-11-18T11:00:00Z, in Unix ms.
pub const TODAY: u64 = 1_794_999_600_000;

/// See the module.
pub struct Host {
    resident: Vec<u64>,
    random: u64,
}

impl Host {
    pub fn new(lines: usize) -> Self {
        Self {
            resident: (1..=lines as u64)
                .map(|it| it * 3_000_000 / 4096 * 4096)
                .collect(),
            random: 0x2545_f491_4f6c_dd1d,
        }
    }

    /// The same host with other numbers.
    pub fn seeded(lines: usize, seed: u64) -> Self {
        Self {
            random: seed | 1,
            ..Self::new(lines)
        }
    }

    /// Intervals from a time on, each so long.
    pub fn run(&mut self, from_ms: u64, length_ms: u64, count: u64) -> Vec<Interval> {
        (0..count)
            .map(|number| self.interval(from_ms + number * length_ms, length_ms))
            .collect()
    }

    /// One interval.
    pub fn interval(&mut self, start_ms: u64, length_ms: u64) -> Interval {
        let mut interval = Interval {
            start_ms,
            end_ms: start_ms + length_ms,
            ..Interval::default()
        };
        for number in 0..self.resident.len() {
            let line = self.line(number, &mut interval.stacks);
            if line.starts > 0 {
                interval.events.push(Event {
                    at_ms: start_ms,
                    line: Some(line.line),
                    what: Happening::Restarted {
                        old_pid: 1,
                        new_pid: 2,
                        resident_bytes: line.resident.last,
                    },
                });
            }
            interval.lines.push(line);
        }
        interval
            .lines
            .sort_by_key(|line| std::cmp::Reverse(line.resident.last));
        let available = (1 << 40) - self.resident.iter().sum::<u64>();
        let noise = self.chance();
        interval.host = HostMemory {
            total_bytes: 1 << 41,
            available: Gauge::of(available),
            anonymous: Gauge::of(1 << 34),
            slab: Gauge::of(noise % 1000 * 4096),
            stalled_us: noise % 7,
            oom_kills: u64::from(noise.is_multiple_of(50)),
            ..HostMemory::default()
        };
        interval.others = Others {
            processes: Gauge::of(noise % 100),
            resident: Gauge::of(noise % 100 * 65_536),
            starts: noise % 5,
            ends: noise % 3,
        };
        interval.groups = (0..self.resident.len() / 4)
            .map(|number| GroupInterval {
                group: format!("/system.slice/service-{number}.service"),
                memory: Gauge::of(self.resident[number] * 4),
                oom_kills: noise % 2,
                ..GroupInterval::default()
            })
            .collect();
        if noise.is_multiple_of(10) {
            interval.losses.insert("samples".to_owned(), noise % 9);
        }
        interval
    }

    fn line(&mut self, number: usize, stacks: &mut BTreeMap<u64, Vec<Frame>>) -> LineInterval {
        let noise = self.chance();
        // One in four moves, one in ten had page faults that were sampled.
        if noise.is_multiple_of(4) {
            let pages = noise / 4 % 64;
            self.resident[number] = self.resident[number].saturating_add(pages * 4096).max(4096);
            if noise.is_multiple_of(8) {
                self.resident[number] = self.resident[number].saturating_sub(60 * 4096).max(4096);
            }
        }
        let resident = self.resident[number];
        let mut faulted = Vec::new();
        if noise.is_multiple_of(10) {
            for depth in 0..noise / 10 % 4 {
                let id = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 * 8 + depth + 1);
                stacks.insert(id, stack(number, depth));
                faulted.push(FaultedStack {
                    stack: id,
                    bytes: (noise >> 20) % 1_000_000,
                    samples: noise % 9 + 1,
                });
            }
            faulted.push(FaultedStack {
                stack: 0,
                bytes: 4096,
                samples: 1,
            });
        }
        LineInterval {
            line: LineId(0xff51_afd7_ed55_8ccd_u64.wrapping_mul(number as u64 + 1)),
            name: format!("program-{}", number % 40),
            group: format!("/system.slice/service-{}.service", number / 4),
            pid: 1000 + number as u32,
            start_time: 123_456_789_012 + number as u64 * 7_654_321,
            resident: Gauge::of(resident),
            places: [
                (PlaceName::OtherAnonymous, Gauge::of(resident / 8192 * 4096)),
                (PlaceName::Files, Gauge::of(8 << 20)),
                (PlaceName::Shared, Gauge::of(1 << 20)),
                (PlaceName::Sockets, Gauge::of(noise % 3 * 4096)),
            ]
            .into(),
            peak_bytes: resident + (1 << 20),
            connections: Gauge::of(noise % 3),
            starts: u32::from(noise.is_multiple_of(100)),
            ends: u32::from(noise.is_multiple_of(50)),
            faulted,
            ..LineInterval::default()
        }
    }

    /// xorshift64: not by chance, but looks so.
    fn chance(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 3
    }
}

fn stack(number: usize, depth: u64) -> Vec<Frame> {
    let frames = (0..24 + depth).map(|frame| Frame {
        function: Some(format!(
            "service::{number}::handler<std::vector<std::string>>::call_{frame}(Request const&, Response&)"
        )),
        module: "/usr/lib/x86_64-linux-gnu/libservice.so.1.2.3".to_owned(),
        build_id: Some("6f1d2c3b4a5968778695a4b3c2d1e0f001122334".to_owned()),
        offset: 0x1_0000 + frame * 0x123,
        ..Frame::default()
    });
    frames.collect()
}
