//! The history of a host on disk: a writer that is killed, and `memtrace host query`.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use tests::memtrace;
use tracer::{
    model::host::{FaultedStack, Gauge, Interval, LineId, LineInterval},
    model::{Frame, utc},
    store::history::{Bounds, History},
};

const BOUNDS: Bounds = Bounds {
    bytes: 1 << 30,
    age: std::time::Duration::from_secs(100 * 86_400),
};

/// For the child: the directory, when it is one.
const WRITER: &str = "MEMTRACE_TEST_HISTORY";
const START: u64 = 1_794_999_600_000;

/// The interval of a number, with a stack of its own every so often.
fn interval(number: u64) -> Interval {
    let frame = |name: String| Frame {
        function: Some(name),
        module: "/srv/app".to_owned(),
        ..Frame::default()
    };
    let stack = number / 10 + 1;
    Interval {
        start_ms: START + number * 10_000,
        end_ms: START + (number + 1) * 10_000,
        lines: vec![LineInterval {
            line: LineId(7),
            name: "node".to_owned(),
            group: "/system.slice/web.service".to_owned(),
            pid: 42,
            resident: Gauge::of((number + 1) << 20),
            faulted: vec![FaultedStack {
                stack,
                bytes: 1 << 20,
                samples: 1,
            }],
            ..LineInterval::default()
        }],
        stacks: [(
            stack,
            vec![frame(format!("fill_{stack}")), frame("main".to_owned())],
        )]
        .into(),
        ..Interval::default()
    }
}

/// Not a test: what is killed. Writes on from where the history ends, and says each number
/// once it is written.
#[test]
fn writer_that_is_killed() {
    let Some(directory) = std::env::var_os(WRITER) else {
        return;
    };
    let history = History::open(Path::new(&directory), BOUNDS).unwrap();
    let written = history
        .span()
        .unwrap()
        .map_or(0, |(_, end)| (end - START) / 10_000);
    for number in written.. {
        history.append(&interval(number)).unwrap();
        // Not through the capture of tests.
        rustix::io::write(
            rustix::stdio::stderr(),
            format!("wrote {number}\n").as_bytes(),
        )
        .unwrap();
    }
}

/// A writer killed at any moment has lost nothing that it said was written, and the next one goes
/// on behind it: forty times on the same history.
#[test]
fn survives_kill_9() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("history");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut last = None;
    for _ in 0..40 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let lines = (random >> 33) as usize % 60 + 1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "history::writer_that_is_killed", "--nocapture"])
            .env(WRITER, &directory)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = said
            .map_while(Result::ok)
            .filter_map(|it| it.strip_prefix("wrote ")?.parse::<u64>().ok());
        let before = said.by_ref().take(lines).last().unwrap();
        child.kill().unwrap();
        // What it still said before it died.
        let before = said.last().unwrap_or(before);
        child.wait().unwrap();

        let history = History::read(&directory).unwrap();
        let kept = history.intervals(0, u64::MAX).unwrap();
        assert!(
            kept.len() as u64 > before,
            "{} of {before} and one",
            kept.len()
        );
        // One more can be whole that it had no time to tell of.
        assert!(kept.len() as u64 <= before + 2);
        for (number, it) in kept.iter().enumerate() {
            assert_eq!(*it, interval(number as u64));
        }
        assert!(last.is_none_or(|last| before > last));
        last = Some(before);
    }
}

fn query(directory: &Path, arguments: &[&str]) -> (bool, String, String) {
    let mut command = memtrace();
    command
        .args(["host", "query", "--directory"])
        .arg(directory)
        .args(arguments);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// The command reads the history beside a writer that has it open, in every form, and the
/// figures are those that were written.
#[test]
fn is_queried() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("history");
    let history = History::open(&directory, BOUNDS).unwrap();
    let intervals: Vec<Interval> = (0..30).map(interval).collect();
    intervals.iter().for_each(|it| history.append(it).unwrap());
    let since = utc::rfc3339(START + 100_000);
    let until = utc::rfc3339(START + 200_000);
    let time = ["--since", &since, "--until", &until];
    let of = |format: &str| {
        let (good, out, err) = query(&directory, &[&time[..], &["--format", format]].concat());
        assert!(good, "{err}");
        out
    };
    let read: Vec<Interval> = (of("json").lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(read, intervals[10..20]);
    assert_eq!(of("folded"), "node (42);main;fill_2 10485760\n");
    let csv = of("csv");
    assert_eq!(csv.lines().count(), 11);
    assert!(
        csv.lines()
            .nth(1)
            .unwrap()
            .contains(",node,42,/system.slice/web.service,11534336,")
    );
    let table = of("table");
    assert!(table.contains("node (42) web.service"), "{table}");
    assert!(
        table.contains("+6.0 MiB      11.0 MiB     17.0 MiB  20.0 MiB  20.0 MiB   ~10.0 MiB"),
        "{table}"
    );
    assert!(table.contains("~10.0 MiB  fill_2 < main"), "{table}");
    assert!(of("svg").contains("about 10.0 MiB came in by page faults"));

    let file = place.path().join("growth.svg");
    let to_file = ["--format", "svg", "-o", file.to_str().unwrap()];
    let (good, out, _) = query(&directory, &[&time[..], &to_file].concat());
    assert!(good && out.is_empty());
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .ends_with("</svg>\n")
            || file.metadata().unwrap().len() > 1000
    );
}

/// Where nothing is found, it is told why and what to do.
#[test]
fn tells_why_there_is_nothing() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("history");
    let (good, _, err) = query(&directory, &[]);
    assert!(!good && err.contains("`memtrace host` writes it"), "{err}");
    let history = History::open(&directory, BOUNDS).unwrap();
    let (good, _, err) = query(&directory, &[]);
    assert!(!good && err.contains("the history is empty"), "{err}");
    history.append(&interval(0)).unwrap();
    let (good, _, err) = query(
        &directory,
        &[
            "--since",
            "2001-01-01T00:00:00Z",
            "--until",
            "2001-01-02T00:00:00Z",
        ],
    );
    assert!(
        !good && err.contains("it goes from 2026-11-18 11:00:00 UTC to 2026-11-18 11:00:10 UTC"),
        "{err}"
    );
    let (good, _, err) = query(
        &directory,
        &["--since", "2001-01-01T00:00:00Z", "--process", "nod"],
    );
    assert!(!good && err.contains("no program in that time"), "{err}");
    let (good, _, err) = query(&directory, &["--since", "tomorrow"]);
    assert!(!good && err.contains("a time before now"), "{err}");
}
