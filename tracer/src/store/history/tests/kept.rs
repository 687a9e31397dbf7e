//! Bounds, compaction, and closer looks.

use super::*;
use crate::{
    model::{
        Level,
        host::{CloserLook, LineId},
    },
    render,
};

fn look(id: &str, line: u64, end_ms: u64) -> CloserLook {
    CloserLook {
        id: LookId(id.to_owned()),
        line: LineId(line),
        pid: 7,
        name: "node".to_owned(),
        start_ms: end_ms - 60_000,
        end_ms,
        reason: "its troughs rise".to_owned(),
        level: Level::Exact,
        verdicts: Vec::new(),
        cost: 0.004,
    }
}

fn recording(place: &Path) -> PathBuf {
    let path = place.join("a-trace");
    let report = render::sample::small();
    crate::store::recording::write(&report, fs::File::create(&path).unwrap()).unwrap();
    path
}

/// A week in intervals of ten seconds passes through append, compaction and query: its sums
/// are the same as of what went in; it is as fine as its age says; and it takes less room.
#[test]
fn a_week() {
    let (_place, path) = place();
    let history = History::open(&path, ROOMY).unwrap();
    let mut host = Host::new(4);
    let mut totals = Vec::new();
    let count = 7 * 24 * 360;
    for number in 0..count {
        let interval = host.interval(TODAY + number * 10_000, 10_000);
        history.append(&interval).unwrap();
        totals.push(interval);
    }
    let end = TODAY + count * 10_000;
    let kept = all(&history);
    assert!(Totals::of(&kept) == Totals::of(&totals));
    let length = |from_hours: u64, to_hours: u64| {
        let hour = 3_600_000;
        let within = history
            .intervals(end - from_hours * hour, end - to_hours * hour)
            .unwrap();
        within.len() as u64
    };
    assert_eq!(length(6, 0), 6 * 360);
    // Segments begin with the hour, at which a stretch is divided anyway.
    assert_eq!(length(70, 10), 60 * 60);
    assert_eq!(length(160, 90), 70 * 6);
    assert!(kept.is_sorted_by_key(|it| it.start_ms));
    assert!(kept.iter().all(|it| it.end_ms - it.start_ms <= 600_000));
    assert_eq!(history.counts(), Counts::default());
    // And the same by a query of parts, whose seams lie where intervals end.
    let mut parts = Vec::new();
    let step = kept.len() / 5;
    for part in kept.chunks(step) {
        parts.extend(
            history
                .intervals(part[0].start_ms, part[part.len() - 1].end_ms)
                .unwrap(),
        );
    }
    assert_eq!(parts, kept);
    drop(history);
    let again = History::open(&path, ROOMY).unwrap();
    assert_eq!(all(&again), kept);
}

/// Beyond the bound on bytes the oldest goes, and the bound holds after each append; beyond
/// that on age too.
#[test]
fn the_oldest_goes() {
    let (_place, path) = place();
    let bounds = Bounds {
        bytes: 200_000,
        ..ROOMY
    };
    let history = History::open(&path, bounds).unwrap();
    let intervals = Host::new(20).run(TODAY, 10_000, 400);
    for interval in &intervals {
        history.append(interval).unwrap();
        assert!(history.bytes() <= bounds.bytes);
    }
    let files = segments(&path);
    let on_disk: u64 = files.iter().map(|it| fs::metadata(it).unwrap().len()).sum();
    assert_eq!(history.bytes(), on_disk);
    let kept = all(&history);
    assert!(on_disk > bounds.bytes * 8 / 10, "{on_disk}");
    assert_eq!(kept, intervals[400 - kept.len()..]);
    assert_eq!(history.counts().dropped, 0);
    drop(history);

    let bounds = Bounds {
        bytes: 1 << 30,
        age: Duration::from_secs(3600),
    };
    let history = History::open(&path, bounds).unwrap();
    let later = Host::new(20).run(TODAY + 4_000_000, 10_000, 800);
    later.iter().for_each(|it| history.append(it).unwrap());
    // What is too old goes by the segment: an hour, and what began before it.
    let kept = all(&history);
    assert!((360..=760).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept, later[800 - kept.len()..]);
}

/// A look comes back with its report; what it is called cannot lead elsewhere; a crash in
/// between leaves none of it.
#[test]
fn keeps_looks() {
    let (place, path) = place();
    let history = History::open(&path, ROOMY).unwrap();
    let (first, second) = (
        look("20261122T093500Z-7", 1, TODAY),
        look("b", 1, TODAY + 1),
    );
    for look in [&first, &second] {
        let recording = recording(place.path());
        history.keep(look, &recording).unwrap();
        assert!(!recording.exists());
    }
    assert_eq!(history.looks().unwrap(), [second.clone(), first.clone()]);
    assert_eq!(history.report(&first.id).unwrap(), render::sample::small());
    for bad in ["../../etc/passwd", "", "a/b", "none"] {
        let id = LookId(bad.to_owned());
        assert!(
            matches!(history.report(&id), Err(HistoryError::NoLook(_))),
            "{bad}"
        );
        if bad != "none" {
            let recording = recording(place.path());
            assert!(history.keep(&look(bad, 1, TODAY), &recording).is_err());
        }
    }
    let mode = |name: &str| fs::metadata(path.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("b.look"), mode("b.memtrace")), (0o600, 0o600));
    let bytes = history.bytes();
    drop(history);
    fs::write(path.join("c.memtrace"), "left by a crash").unwrap();
    fs::write(path.join("c.look.part"), "left by a crash").unwrap();
    fs::write(path.join("notes.txt"), "somebody's").unwrap();
    let history = History::open(&path, ROOMY).unwrap();
    assert_eq!(history.bytes(), bytes);
    assert!(!path.join("c.memtrace").exists() && !path.join("c.look.part").exists());
    assert!(path.join("notes.txt").exists());
    assert_eq!(
        History::read(&path).unwrap().looks().unwrap(),
        [second, first]
    );
}

/// Looks share the bound with intervals; the newest of each line outlives older ones and
/// older intervals.
#[test]
fn the_newest_look_of_a_line_stays() {
    let (place, path) = place();
    let one = fs::metadata(recording(place.path())).unwrap().len();
    let bounds = Bounds {
        bytes: 100 * (one + 400),
        ..ROOMY
    };
    let history = History::open(&path, bounds).unwrap();
    let mut host = Host::new(5);
    let mut keep = |id: &str, line: u64, number: u64| {
        history
            .append(&host.interval(TODAY + number * 10_000, 10_000))
            .unwrap();
        history
            .keep(&look(id, line, TODAY + number), &recording(place.path()))
            .unwrap();
    };
    keep("other", 2, 0);
    for number in 0..150 {
        keep(&format!("look-{number}"), 1, number);
    }
    assert!(history.bytes() <= bounds.bytes);
    let kept: Vec<String> = history
        .looks()
        .unwrap()
        .into_iter()
        .map(|it| it.id.0)
        .collect();
    let newest: Vec<String> = (0..kept.len() as u64 - 1)
        .map(|it| format!("look-{}", 149 - it))
        .collect();
    assert_eq!(kept[..kept.len() - 1], newest);
    assert_eq!(kept[kept.len() - 1], "other");
    assert!(kept.len() > 50);
}

/// The newest of 150 lines take no more than half of the room.
#[test]
fn looks_leave_room() {
    let (place, path) = place();
    let one = fs::metadata(recording(place.path())).unwrap().len();
    let bounds = Bounds {
        bytes: 100 * (one + 400),
        ..ROOMY
    };
    let history = History::open(&path, bounds).unwrap();
    for number in 0..150 {
        let id = format!("look-{number:03}");
        history
            .keep(&look(&id, number, TODAY + number), &recording(place.path()))
            .unwrap();
    }
    let looks = history.looks().unwrap().len();
    let intervals = Host::new(20).run(TODAY, 10_000, 400);
    intervals.iter().for_each(|it| history.append(it).unwrap());
    assert!(history.bytes() <= bounds.bytes);
    let (after, kept) = (history.looks().unwrap().len(), all(&history));
    assert!((40..looks).contains(&after), "{looks} {after}");
    assert_eq!(kept, intervals[400 - kept.len()..]);
    assert!(!kept.is_empty());
}

/// What a host of 300 lines takes: printed for docs/history.md, and bounded here.
#[test]
fn takes_little_room() {
    let (_place, path) = place();
    let history = History::open(&path, ROOMY).unwrap();
    let mut host = Host::new(300);
    let intervals = host.run(TODAY, 10_000, 120);
    let clock = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let before = clock();
    intervals.iter().for_each(|it| history.append(it).unwrap());
    let after = clock();
    let nanos = (after.tv_sec - before.tv_sec) * 1_000_000_000 + after.tv_nsec - before.tv_nsec;
    let plain: usize = intervals
        .iter()
        .map(|it| serde_json::to_vec(it).unwrap().len())
        .sum();
    let each = history.bytes() / 120;
    let micros = nanos / 120_000;
    println!(
        "an interval: {each} bytes, {micros} µs of CPU; as plain JSON {} bytes",
        plain / 120
    );
    assert!(each < 18_000, "{each}");
    assert_eq!(all(&history), intervals);
    for joined in [6, 60] {
        let (_place, path) = place();
        let history = History::open(&path, ROOMY).unwrap();
        for group in intervals.chunks(joined) {
            let mut one = Interval::default();
            group.iter().for_each(|it| one.merge(it.clone()));
            history.append(&one).unwrap();
        }
        let each = history.bytes() * joined as u64 / 120;
        println!("one made of {joined}: {each} bytes");
    }
}
