//! `memtrace host`: the daemon on real programs.
//!
//! It may look closer only at the programs of these tests, whose `argv[0]` nobody else has: others
//! run here, too.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tempfile::TempDir;
use tests::{
    BpfObjects, DEADLINE, Process, altered_code, bpf_objects, memtrace, needs_program,
    needs_tracing, programs_dir, wait_until,
};
use tracer::{
    model::{
        Frame,
        host::{Happening, LineView, State, View},
        verdict::Kind,
    },
    render::metrics::{self, Counts, Format},
};

/// A node program of ours.
pub struct Watched {
    pub process: Process,
    input: ChildStdin,
    port: u16,
}

impl Watched {
    pub fn start(name: &str, role: &str) -> Self {
        let script = programs_dir().join("javascript/watched.js");
        let mut command = Command::new("node");
        command
            .arg0(name)
            .arg("--expose-gc")
            .arg(script)
            .arg(role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Process::start(&mut command);
        let child = process.child();
        let input = child.stdin.take().unwrap();
        let mut ready = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut ready).unwrap();
        let port = ready.trim().strip_prefix("ready ").unwrap();
        Self {
            port: port.parse().unwrap(),
            process,
            input,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// A daemon, and what it says.
pub struct Daemon {
    pub process: Process,
    views: Receiver<View>,
    _directory: Option<TempDir>,
}

impl Daemon {
    /// Looks each second, and closer for ten, at programs of these names.
    fn start(looks_at: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut arguments = vec!["--every", "1s", "--look-for", "10s", "--budget", "100%"];
        for name in looks_at {
            arguments.extend(["--looks-at", name]);
        }
        let daemon = Self::begin(directory.path(), &arguments);
        Self {
            _directory: Some(directory),
            ..daemon
        }
    }

    /// With its history there.
    pub fn begin(directory: &Path, arguments: &[&str]) -> Self {
        let mut command = memtrace();
        command
            .args(["host", "--say", "--no-server", "--directory"])
            .arg(directory.join("history"))
            .args(arguments);
        let mut process = Process::start(command.stdout(Stdio::piped()));
        let output = process.child().stdout.take().unwrap();
        let (sender, views) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let view = serde_json::from_str(&line).unwrap();
                if sender.send(view).is_err() {
                    break;
                }
            }
        });
        Self {
            process,
            views,
            _directory: None,
        }
    }

    /// The first view of which that is so.
    pub fn view(&self, what: &str, mut is_so: impl FnMut(&View) -> bool) -> View {
        let start = Instant::now();
        let mut last = View::default();
        while start.elapsed() < *DEADLINE * 2 {
            let view = match self.views.recv_timeout(*DEADLINE) {
                Ok(view) => view,
                Err(error) => panic!("{error}: {}", self.process.errors_so_far()),
            };
            if is_so(&view) {
                return view;
            }
            last = view;
        }
        let own = |it: &&LineView| it.name.starts_with("watched");
        let lines: Vec<&LineView> = last.lines.iter().filter(own).collect();
        panic!("not {what}: {lines:#?}\n{:#?}", last.events);
    }

    /// The child that looks closer, once its probes are in.
    fn look(&self) -> (u32, BpfObjects) {
        self.view("a closer look", |view| {
            view.events.iter().any(|it| it.what == Happening::LookBegan)
        });
        let children = format!("/proc/{0}/task", self.process.pid());
        let mut found = (0, BpfObjects::default());
        wait_until("a closer look has probes", || {
            let tasks = std::fs::read_dir(&children).unwrap().flatten();
            let children =
                tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
            let pids: String = children.collect();
            // The daemon has a file worker of its own, too.
            let is_look = |pid: &&str| {
                let command = std::fs::read(format!("/proc/{pid}/cmdline"));
                command.is_ok_and(|it| it.split(|byte| *byte == 0).any(|it| it == b"--for-host"))
            };
            let Some(pid) = pids.split_whitespace().find(is_look) else {
                return false;
            };
            let pid = pid.parse().unwrap();
            let is_there = Path::new(&format!("/proc/{pid}/fdinfo")).exists();
            found = match is_there {
                true => (pid, bpf_objects(pid)),
                false => return false,
            };
            !found.1.links.is_empty()
        });
        found
    }
}

pub fn line(view: &View, pid: u32) -> Option<&LineView> {
    view.lines.iter().find(|it| it.pid == pid)
}

fn is_judged(view: &View, pid: u32, kind: Kind, function: &str) -> bool {
    let Some(verdict) = line(view, pid).and_then(|it| it.verdicts.first()) else {
        return false;
    };
    let mut frames = verdict.stacks.iter().flat_map(|it| &it.frames);
    let is_of = |name: &str| name.contains(function);
    verdict.kind == kind && frames.any(|it| it.function.as_deref().is_some_and(is_of))
}

/// Of seven node programs the one that leaks, the one whose clients do not read and the one
/// that has a spike are named with their code, in metrics too; four are healthy. And the
/// daemon stops at once when it is asked to.
#[test]
fn three_of_seven_are_named() {
    needs_tracing!();
    needs_program!("node");
    let healthy: Vec<Watched> = (0..4)
        .map(|_| Watched::start("watched-well", "healthy"))
        .collect();
    let leaks = Watched::start("watched-leaks", "leaks");
    let mut spikes = Watched::start("watched-spikes", "spikes");
    let pushes = Watched::start("watched-pushes", "pushes");
    let connect = || TcpStream::connect(("127.0.0.1", pushes.port)).unwrap();
    let mut clients: Vec<TcpStream> = (0..6).map(|_| connect()).collect();
    let daemon = Daemon::start(&["watched-leaks", "watched-pushes"]);
    let (mut has_spiked, mut looks) = (false, 0);
    let view = daemon.view("all told", |view| {
        looks += 1;
        // Clients come and go, and none reads.
        if looks % 2 == 0 {
            clients.remove(0);
            clients.push(connect());
        }
        // When what is usual for it is known.
        let usual = line(view, spikes.pid()).map_or(0, |it| it.recent.len());
        if usual >= 8 && !has_spiked {
            has_spiked = true;
            spikes.input.write_all(b"spike\n").unwrap();
        }
        let is_well =
            |it: &Watched| line(view, it.pid()).is_some_and(|it| it.state == State::Healthy);
        is_judged(view, leaks.pid(), Kind::Leak, "remember")
            && is_judged(view, pushes.pid(), Kind::SendBuffer, "pushUpdates")
            && line(view, spikes.pid()).is_some_and(|it| it.peak.is_some())
            && healthy.iter().all(is_well)
    });
    let peak = line(&view, spikes.pid()).unwrap().peak.clone().unwrap();
    let spike = 256 << 20;
    assert!(
        peak.bytes >= spike && peak.bytes - peak.usual_bytes >= spike * 9 / 10,
        "{peak:?}"
    );
    for pid in healthy.iter().map(Watched::pid) {
        let line = line(&view, pid).unwrap();
        assert!(line.verdicts.is_empty() && line.peak.is_none(), "{line:?}");
    }
    assert_eq!(line(&view, spikes.pid()).unwrap().verdicts, []);
    // It has not grown before: native frames, JavaScript's have names from the next spike on.
    let mut frames = peak.stacks.iter().flat_map(|it| &it.frames);
    let is_fill = |it: &Frame| it.function.as_deref().is_some_and(|it| it.contains("Fill"));
    assert!(frames.any(is_fill), "{:?}", peak.stacks);
    let text = metrics::render(&view, &Counts::default(), Format::Text);
    for (metric, program, function) in [
        (
            "memtrace_verdict_function_info",
            "watched-leaks",
            "remember",
        ),
        (
            "memtrace_verdict_function_info",
            "watched-pushes",
            "pushUpdates",
        ),
        (
            "memtrace_line_spike_function_info",
            "watched-spikes",
            "__memset",
        ),
    ] {
        let [program, function] = [("program", program), ("function", function)]
            .map(|(label, value)| format!("{label}=\"{value}"));
        let is_it =
            |it: &&str| it.starts_with(metric) && it.contains(&program) && it.contains(&function);
        assert!(
            text.lines().any(|it| is_it(&it)),
            "{program} {function}: {text}"
        );
    }
    let leak = line(&view, leaks.pid()).unwrap();
    assert!(
        leak.bytes_per_second > 3e6 && leak.bytes_per_second < 12e6,
        "{leak:?}"
    );
    assert_eq!(leak.looks.len(), 1);
    println!("own cost: {:?}\nlosses: {:?}", view.own, view.losses);
    stops_at_once(daemon);
}

pub fn stops_at_once(mut daemon: Daemon) {
    let asked = Instant::now();
    daemon.process.signal(Signal::TERM);
    assert!(daemon.process.wait().success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let said = daemon.process.errors();
    assert!(!said.contains("panicked"), "{said}");
}

/// A daemon that is killed in the midst of a closer look takes the look and its probes with it,
/// and the program goes on as if nothing had been.
#[test]
fn a_killed_daemon_leaves_nothing() {
    needs_tracing!();
    needs_program!("node");
    let mut leaks = Watched::start("watched-killed-daemon", "leaks");
    let mut daemon = Daemon::start(&["watched-killed-daemon"]);
    let (child, _) = daemon.look();
    wait_until("probes stand in its libc", || {
        !altered_code(leaks.pid()).is_empty()
    });
    let objects = bpf_objects(child);
    let own = bpf_objects(daemon.process.pid());
    assert!(!objects.links.is_empty() && !own.programs.is_empty());
    daemon.process.signal(Signal::KILL);
    daemon.process.wait();
    wait_until("the closer look is gone", || {
        !Path::new(&format!("/proc/{child}/maps")).exists()
            || std::fs::read(format!("/proc/{child}/maps")).is_ok_and(|it| it.is_empty())
    });
    let nothing = BpfObjects::default();
    wait_until("its probes are gone", || {
        objects.remaining() == nothing && own.remaining() == nothing
    });
    assert_eq!(altered_code(leaks.pid()), Vec::<u64>::new());
    assert!(leaks.process.child().try_wait().unwrap().is_none());
}

/// A program that is killed while it is looked at ends the look, and the daemon goes on.
#[test]
fn a_killed_target_does_no_harm() {
    needs_tracing!();
    needs_program!("node");
    let mut leaks = Watched::start("watched-killed-target", "leaks");
    let daemon = Daemon::start(&["watched-killed-target"]);
    daemon.look();
    let pid = leaks.pid();
    leaks.process.signal(Signal::KILL);
    leaks.process.wait();
    let view = daemon.view("an end of the look", |view| {
        let is_end = |it: &Happening| matches!(it, Happening::LookEnded { .. });
        view.events.iter().any(|it| is_end(&it.what)) && line(view, pid).is_none()
    });
    println!("{:?}", view.events);
    daemon.view("another look", |later| later.at_ms > view.at_ms);
    stops_at_once(daemon);
}
