//! `memtrace host` through what happens to it and its host: a restart, another configuration,
//! no memory.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;
use tests::{memtrace, needs_program, needs_tracing, wait_until};
use tracer::model::host::{Happening, Interval};

use super::host::{Daemon, Watched, line, stops_at_once};

fn kept(directory: &Path) -> Vec<Interval> {
    let mut query = memtrace();
    query
        .args(["host", "query", "--format", "json", "--directory"])
        .arg(directory.join("history"));
    let output = query.output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let intervals = text.lines().map(|it| serde_json::from_str(it).unwrap());
    intervals.collect()
}

/// A daemon that is killed in mid-interval has lost that interval alone; the next one goes on with
/// the same lines, and says for how long nobody looked.
#[test]
fn a_restart_goes_on() {
    needs_tracing!();
    needs_program!("node");
    let directory = TempDir::new().unwrap();
    let arguments = ["--every", "1s", "--no-looks"];
    let program = Watched::start("watched-on", "healthy");
    let mut daemon = Daemon::begin(directory.path(), &arguments);
    let mut looks = 0;
    let before = daemon.view("four looks", |view| {
        looks += usize::from(line(view, program.pid()).is_some());
        looks >= 4
    });
    daemon.process.signal(Signal::KILL);
    daemon.process.wait();
    let daemon = Daemon::begin(directory.path(), &arguments);
    let after = daemon.view("a look", |view| line(view, program.pid()).is_some());
    let [was, is] = [&before, &after].map(|view| line(view, program.pid()).unwrap().line);
    assert_eq!(was, is);
    let gap = after.events.iter().find_map(|it| match &it.what {
        Happening::Gap { ms, why } if why == "memtrace did not run" => Some(*ms),
        _ => None,
    });
    let later = daemon.view("another look", |view| view.at_ms > after.at_ms);
    stops_at_once(daemon);
    let intervals = kept(directory.path());
    let holes: Vec<u64> = intervals
        .windows(2)
        .map(|two| two[1].start_ms.saturating_sub(two[0].end_ms))
        // Both ends are rounded to a millisecond.
        .filter(|ms| *ms > 2)
        .collect();
    // What the first daemon told is kept, but for what it was at; then one hole, that is told.
    let last = intervals.iter().filter(|it| it.end_ms < after.at_ms);
    assert!(last.clone().count() >= 3);
    let last = last.map(|it| it.end_ms).max().unwrap();
    assert!(
        before.at_ms.saturating_sub(last) <= 1500,
        "{last} {before:?}"
    );
    assert!(holes.len() <= 1, "{holes:?}");
    assert!(gap.is_some_and(|ms| ms < 60_000), "{gap:?}");
    assert!(intervals.iter().any(|it| it.end_ms >= later.at_ms - 1));
}

/// SIGHUP has the configuration read again: what it changes holds from the next look on, and
/// what cannot be read changes nothing.
#[test]
fn a_configuration_is_read_again() {
    needs_tracing!();
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("memtrace.toml");
    fs::write(&file, "every = \"1s\"\nno-looks = true\n").unwrap();
    let daemon = Daemon::begin(directory.path(), &["--config", file.to_str().unwrap()]);
    let mut before = 0;
    daemon.view("looks of each second", |view| {
        let passed = view.at_ms - std::mem::replace(&mut before, view.at_ms);
        (500..2500).contains(&passed)
    });
    let say = |text: &str, answer: &str| {
        fs::write(&file, text).unwrap();
        daemon.process.signal(Signal::HUP);
        wait_until(answer, || daemon.process.errors_so_far().contains(answer));
    };
    say(
        "every = \"nonsense\"\n",
        "the configuration stays as it was",
    );
    say(
        "every = \"3s\"\nno-looks = true\n",
        "the configuration was read again",
    );
    daemon.view("looks of every three seconds", |view| {
        let passed = view.at_ms - std::mem::replace(&mut before, view.at_ms);
        (2600..4500).contains(&passed)
    });
    stops_at_once(daemon);
}

/// A memory cgroup of little room.
struct Little {
    directory: PathBuf,
}

impl Little {
    /// `None`: no such group can be had here.
    fn new(bytes: u64) -> Option<Self> {
        let name = format!("memtrace-test-{}", std::process::id());
        let old = Path::new("/sys/fs/cgroup/memory");
        let (root, limit) = match old.exists() {
            true => (old, "memory.limit_in_bytes"),
            false => (Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let group = Self {
            directory: root.join(name),
        };
        fs::create_dir(&group.directory).ok()?;
        fs::write(group.directory.join(limit), bytes.to_string()).ok()?;
        Some(group)
    }

    fn take(&self, pid: u32) {
        fs::write(self.directory.join("cgroup.procs"), pid.to_string()).unwrap();
    }
}

impl Drop for Little {
    fn drop(&mut self) {
        // Its processes may not have gone quite yet.
        for _ in 0..100 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whom the kernel really kills for want of memory is told, with what it held, and its last
/// minutes are in the history.
#[test]
fn a_kill_for_want_of_memory_is_told() {
    needs_tracing!();
    needs_program!("node");
    let Some(little) = Little::new(48 << 20) else {
        println!("not run here: a_kill_for_want_of_memory_is_told: no memory cgroup can be made");
        return;
    };
    let directory = TempDir::new().unwrap();
    let daemon = Daemon::begin(directory.path(), &["--every", "1s", "--no-looks"]);
    let mut program = Watched::start("watched-starved", "leaks");
    let pid = program.pid();
    daemon.view("it", |view| line(view, pid).is_some());
    little.take(pid);
    let mut event = None;
    daemon.view("a kill", |view| {
        event = view.events.iter().find_map(|it| match &it.what {
            Happening::OutOfMemory {
                pid: killed,
                resident_bytes,
                ..
            } if *killed == pid => Some((it.line, *resident_bytes)),
            _ => None,
        });
        event.is_some()
    });
    assert!(!program.process.wait().success());
    let (told, resident) = event.unwrap();
    // What it had before it came into the group does not count there.
    assert!(resident > 48 << 20 && resident < 300 << 20, "{resident}");
    let id = told.unwrap();
    stops_at_once(daemon);
    let intervals = kept(directory.path());
    let last = intervals
        .iter()
        .filter_map(|it| it.lines.iter().find(|it| it.line == id));
    // It may have ended right after a look: then nothing was measured in the last interval.
    let sizes: Vec<u64> = last
        .filter(|it| it.resident.looks > 0)
        .map(|it| it.resident.last)
        .collect();
    assert!(
        sizes.len() >= 2 && sizes.first() < sizes.last(),
        "{sizes:?}"
    );
    assert!(intervals.iter().any(|it| it.host.oom_kills > 0));
}
