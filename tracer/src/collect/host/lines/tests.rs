//! Lines of processes that are made up.

use std::collections::HashMap;

use super::{super::faulted::*, *};
use crate::model::{Frame, host::FaultedStack};

const MIB: u64 = 1 << 20;
const SECOND: u64 = 1_000_000_000;

/// What the processes of a test are.
#[derive(Default)]
struct Made {
    identities: HashMap<u32, Identity>,
    statuses: HashMap<u32, Status>,
}

impl Source for Made {
    fn identity(&mut self, pid: u32) -> Identity {
        self.identities.get(&pid).cloned().unwrap_or_default()
    }

    fn status(&mut self, pid: u32, status: &mut Status) -> bool {
        let found = self.statuses.get(&pid).cloned();
        let resident = status.resident;
        *status = found.unwrap_or(Status {
            resident,
            ..Status::default()
        });
        true
    }
}

impl Made {
    fn program(&mut self, pid: u32, name: &str, group: &str) {
        let identity = Identity {
            name: name.to_owned(),
            executable: format!("/bin/{name}"),
            group: group.to_owned(),
        };
        self.identities.insert(pid, identity);
    }
}

/// A host that is looked at each ten seconds.
struct Host {
    lines: Lines,
    made: Made,
    now: Now,
    there: Vec<(u32, u64)>,
}

impl Host {
    fn new() -> Self {
        Self {
            lines: Lines::new("boot".to_owned(), 8 * MIB),
            made: Made::default(),
            now: Now {
                boot_ns: 1000 * SECOND,
                utc_ms: 1_000_000,
            },
            there: Vec::new(),
        }
    }

    /// Ten seconds later: processes by pid, start and MiB.
    fn look(&mut self, processes: &[(u32, u64, u64)]) -> News {
        self.now.boot_ns += 10 * SECOND;
        self.now.utc_ms += 10_000;
        let there: Vec<(u32, u64)> = processes.iter().map(|it| (it.0, it.1 * SECOND)).collect();
        let before = std::mem::replace(&mut self.there, there.clone());
        let seen = processes.iter().map(|it| Seen {
            pid: it.0,
            start_time: it.1 * SECOND,
            resident_bytes: it.2 * MIB,
        });
        let look = Look {
            seen: seen.collect(),
            ended: before
                .into_iter()
                .filter(|it| !there.contains(it))
                .collect(),
            unreadable: 0,
        };
        self.lines.look(&look, self.now, &mut self.made)
    }

    fn line(&mut self, pid: u32) -> &mut Line {
        self.lines.of_pid(pid).unwrap()
    }
}

/// Small processes have no line but are counted, and get one when they are large.
#[test]
fn small_processes_are_counted_together() {
    let mut host = Host::new();
    host.look(&[(1, 1, 3), (2, 1, 5), (3, 1, 20)]);
    assert_eq!(host.lines.living().count(), 1);
    assert_eq!(host.lines.others, (2, 8 * MIB));
    host.look(&[(1, 1, 3), (2, 1, 9), (3, 1, 2)]);
    // Who has a line keeps it.
    assert_eq!(host.lines.living().count(), 2);
    assert_eq!(host.lines.others, (1, 3 * MIB));
}

/// A process of the same program that begins after one ended is its line: the line keeps its
/// name and says that it began again.
#[test]
fn a_restart_goes_on_with_the_line() {
    let mut host = Host::new();
    for pid in [10, 11] {
        host.made.program(pid, "node", "/web");
    }
    host.look(&[(10, 500, 80)]);
    let id = host.line(10).id;
    let news = host.look(&[(11, 1015, 40)]);
    assert_eq!(host.line(11).id, id);
    assert_eq!(host.line(11).restarts, 1);
    let restarted = Happening::Restarted {
        old_pid: 10,
        new_pid: 11,
        resident_bytes: 80 * MIB,
    };
    assert_eq!(news.events.len(), 1);
    assert_eq!(news.events[0].what, restarted);
    // In the interval the one ended and the other began.
    let interval = host.line(11).interval();
    assert_eq!((interval.starts, interval.ends), (1, 1));
}

/// Side by side, in another group, or of another program each has a line of its own, and so
/// has one that began before the other ended.
#[test]
fn others_have_lines_of_their_own() {
    let mut host = Host::new();
    host.made.program(10, "node", "/web");
    host.made.program(11, "node", "/web");
    host.made.program(12, "node", "/api");
    host.made.program(13, "ruby", "/web");
    host.look(&[(10, 500, 80), (11, 500, 80)]);
    let ids = [host.line(10).id, host.line(11).id];
    assert_ne!(ids[0], ids[1]);
    let news = host.look(&[(11, 500, 80), (12, 1015, 80), (13, 1015, 80)]);
    assert!(news.events.is_empty());
    assert_eq!(host.lines.living().count(), 3);
    for pid in [12, 13] {
        assert!(!ids.contains(&host.line(pid).id));
    }
    // It began before the other was last seen, and was too small for a line then.
    let mut host = Host::new();
    host.made.program(10, "node", "/web");
    host.made.program(11, "node", "/web");
    host.look(&[(10, 500, 80), (11, 1001, 2)]);
    let id = host.line(10).id;
    host.look(&[(11, 1001, 80)]);
    assert_ne!(host.line(11).id, id);
}

/// A pid that another process has now is another process, whatever it runs.
#[test]
fn a_pid_used_again_is_another_line() {
    let mut host = Host::new();
    host.made.program(10, "node", "/web");
    host.look(&[(10, 500, 80)]);
    let id = host.line(10).id;
    host.made.program(10, "ruby", "/job");
    host.look(&[(10, 1015, 90)]);
    let line = host.line(10);
    assert_ne!(line.id, id);
    assert_eq!(line.who.name, "ruby");
    assert_eq!(line.restarts, 0);
}

/// A process that runs another program after an exec begins again.
#[test]
fn an_exec_begins_again() {
    let mut host = Host::new();
    let named = |name: &[u8]| Status {
        name: name.to_vec(),
        resident: 50 * MIB,
        ..Status::default()
    };
    host.made.program(10, "bash", "/web");
    host.made.statuses.insert(10, named(b"bash"));
    host.look(&[(10, 500, 50)]);
    host.look(&[(10, 500, 50)]);
    assert_eq!(host.line(10).memory.looks(), 2);
    host.made.program(10, "node", "/web");
    host.made.statuses.insert(10, named(b"node"));
    let news = host.look(&[(10, 500, 50)]);
    assert_eq!(news.events.len(), 1);
    let line = host.line(10);
    assert_eq!((line.who.name.as_str(), line.memory.looks()), ("node", 1));
}

/// Lines are bounded: the largest have them, the others are counted.
#[test]
fn lines_are_bounded() {
    let mut host = Host::new();
    let processes: Vec<_> = (0..2000_u32)
        .map(|pid| (pid, 1, 10 + u64::from(pid)))
        .collect();
    host.look(&processes);
    assert_eq!(host.lines.living().count(), LINES);
    assert_eq!(host.lines.left_out, 2000 - LINES as u64);
    assert!(host.lines.of_pid(1999).is_some() && host.lines.of_pid(10).is_none());
    // Processes that come and go by the thousand leave nothing behind.
    for round in 1..20_u64 {
        let processes: Vec<_> = (0..2000_u32).map(|pid| (pid, round * 10, 10)).collect();
        host.look(&processes);
        assert!(host.lines.lines.len() <= LINES);
        assert!(host.lines.by_process.len() <= LINES);
    }
}

/// A daemon that starts again goes on with the lines of the one before, also of a process that
/// began again meanwhile.
#[test]
fn lines_go_on_after_the_daemon() {
    let mut host = Host::new();
    for pid in [10, 11, 12] {
        host.made.program(pid, "node", &format!("/{}", pid % 2));
    }
    host.look(&[(10, 500, 80), (11, 500, 80)]);
    let ids = [host.line(10).id, host.line(11).id];
    let last = Interval {
        end_ms: host.now.utc_ms,
        lines: host.lines.all_mut().map(Line::interval).collect(),
        ..Interval::default()
    };
    let mut after = Host::new();
    after.now = host.now;
    after.made = host.made;
    after.lines.restore(&last, host.now);
    after.look(&[(11, 500, 81), (12, 1015, 40)]);
    assert_eq!(after.line(11).id, ids[1]);
    assert_eq!(after.line(11).restarts, 0);
    assert_eq!(after.line(12).id, ids[0]);
    assert_eq!(after.line(12).restarts, 1);
}

/// Growth that a daemon before saw is not forgotten: with its intervals taken up a process that
/// grows is known to at the first look, and one that began anew is not taken for the old one.
#[test]
fn growth_goes_on_after_the_daemon() {
    let mut host = Host::new();
    for pid in [10, 11] {
        host.made.program(pid, "node", &format!("/{pid}"));
    }
    let mut intervals = Vec::new();
    for look in 0..40 {
        let grown = 100 + look * 5;
        host.look(&[(10, 500, grown), (11, 500, grown)]);
        intervals.push(Interval {
            end_ms: host.now.utc_ms,
            lines: host.lines.all_mut().map(Line::interval).collect(),
            ..Interval::default()
        });
    }
    let mut after = Host::new();
    after.now = host.now;
    after.made = host.made;
    let last = intervals.last().unwrap();
    after.lines.restore(last, host.now);
    intervals
        .iter()
        .for_each(|it| after.lines.take_up(it, host.now));
    after.look(&[(10, 500, 300), (11, 1300, 300)]);
    assert!(after.line(10).trend.is_some());
    assert!(after.line(11).trend.is_none());
}

/// A spike that comes and goes between two looks is told of, with what was usual.
#[test]
fn spikes_between_looks_are_told_of() {
    let mut host = Host::new();
    let at = |peak: u64| Status {
        resident: 100 * MIB,
        peak: peak * MIB,
        ..Status::default()
    };
    host.made.statuses.insert(10, at(110));
    for _ in 0..10 {
        assert!(host.look(&[(10, 500, 100)]).events.is_empty());
    }
    host.made.statuses.insert(10, at(400));
    let news = host.look(&[(10, 500, 100)]);
    let spike = Happening::Spike {
        peak_bytes: 400 * MIB,
        usual_bytes: 100 * MIB,
    };
    assert_eq!(news.events[0].what, spike);
    assert_eq!(news.peaks, [host.line(10).id]);
    assert_eq!(host.line(10).peak.clone().unwrap().bytes, 400 * MIB);
}

/// Tells once of twenty stacks of one process.
struct Faults(Vec<Fault>);

impl FaultSource for Faults {
    fn take(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.0)
    }

    fn frames(&mut self, _stack: u64) -> Vec<Frame> {
        Vec::new()
    }

    fn losses(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    fn map_bytes(&self) -> u64 {
        0
    }

    fn cost(&self) -> f64 {
        0.0
    }
}

/// What a process faulted in before it ended counts, down to the last byte: stacks beyond
/// those kept are one sum at no stack.
#[test]
fn the_last_faults_of_a_process_count() {
    let mut host = Host::new();
    host.made.program(10, "node", "/web");
    host.look(&[(10, 500, 80)]);
    let (id, start_time) = (host.line(10).id, host.line(10).start_time);
    host.look(&[]);
    let fault = |stack| Fault {
        pid: 10,
        start_time,
        stack,
        bytes: 100 + stack,
        samples: 1,
    };
    let mut source = Faults((0..20).map(fault).collect());
    Faulted::default().take_in(&mut source, &mut host.lines, &[]);
    let kept = host.lines.get_mut(id).unwrap().gathered.faulted.clone();
    let sum = |of: fn(&FaultedStack) -> u64| kept.iter().map(of).sum::<u64>();
    assert_eq!(sum(|it| it.bytes), (100..120).sum::<u64>());
    assert_eq!(sum(|it| it.samples), 20);
    let at_none = kept.iter().find(|it| it.stack == 0).unwrap();
    assert_eq!((kept.len(), at_none.bytes), (17, 100 + 101 + 102 + 103));
    // Of the look after that it is nobody's.
    host.look(&[]);
    assert_eq!(host.lines.of_process(10, start_time), None);
}
