mod any;
mod kept;
mod sample;
mod totals;

use std::{fs, os::unix::fs::PermissionsExt as _};

use sample::{Host, TODAY};
use totals::Totals;

use super::*;

const ALL: (u64, u64) = (0, u64::MAX);
const ROOMY: Bounds = Bounds {
    bytes: 1 << 30,
    age: Duration::from_secs(400 * 86_400),
};

fn all(history: &History) -> Vec<Interval> {
    history.intervals(ALL.0, ALL.1).unwrap()
}

fn place() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("history");
    (place, path)
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name() != Some("lock".as_ref()))
        .collect();
    names.sort();
    names
}

/// What goes in comes out, to the writer, to a reader beside it, and after another start,
/// which goes on with the same segment.
#[test]
fn keeps_intervals() {
    let (_place, path) = place();
    let mut host = Host::new(20);
    let intervals = host.run(TODAY, 10_000, 50);
    let history = History::open(&path, ROOMY).unwrap();
    let reader = History::read(&path).unwrap();
    for (number, interval) in intervals.iter().enumerate() {
        history.append(interval).unwrap();
        assert_eq!(all(&reader), intervals[..=number]);
        if number == 20 {
            assert_eq!(
                history.bytes(),
                fs::metadata(&segments(&path)[0]).unwrap().len()
            );
        }
    }
    drop(history);
    let history = History::open(&path, ROOMY).unwrap();
    assert_eq!(all(&history), intervals);
    let more = host.run(TODAY + 500_000, 10_000, 5);
    more.iter().for_each(|it| history.append(it).unwrap());
    assert_eq!(all(&history), [intervals, more].concat());
    assert_eq!(history.counts(), Counts::default());
    assert_eq!(segments(&path).len(), 1);
}

/// A query finds what overlaps its time, by the rule that is documented, and no more.
#[test]
fn finds_by_time() {
    let (_place, path) = place();
    let history = History::open(&path, ROOMY).unwrap();
    let intervals = Host::new(2).run(TODAY, 10_000, 1000);
    intervals.iter().for_each(|it| history.append(it).unwrap());
    assert_eq!(segments(&path).len(), 3);
    let at = |number: usize| TODAY + number as u64 * 10_000;
    assert_eq!(
        history.intervals(at(10), at(12)).unwrap(),
        intervals[10..12]
    );
    assert_eq!(
        history.intervals(at(10) - 1, at(12) + 1).unwrap(),
        intervals[9..13]
    );
    assert_eq!(history.intervals(0, TODAY).unwrap(), []);
    assert_eq!(history.intervals(at(1000), u64::MAX).unwrap(), []);
    assert_eq!(history.intervals(at(5), at(5)).unwrap(), []);
}

/// Where the clock leaps, nothing is lost and nothing told twice, the order is that of
/// writing, and a query by time finds what it asks for.
#[test]
fn clocks_may_leap() {
    let (_place, path) = place();
    let history = History::open(&path, ROOMY).unwrap();
    let mut host = Host::new(3);
    let hour = 3_600_000;
    let mut intervals = Vec::new();
    for from in [TODAY, TODAY + 900 * hour, TODAY - 2 * hour, 0, TODAY + hour] {
        intervals.extend(host.run(from, 10_000, 100));
    }
    intervals.iter().for_each(|it| history.append(it).unwrap());
    history.compact().unwrap();
    assert_eq!(all(&history), intervals);
    assert_eq!(history.intervals(0, 20_000).unwrap(), intervals[300..302]);
    let before = history.intervals(TODAY - 2 * hour, TODAY).unwrap();
    assert_eq!(before, intervals[200..300]);
}

/// There is one writer; who else would be is told who is.
#[test]
fn one_writes() {
    let (_place, path) = place();
    let history = History::open(&path, ROOMY).unwrap();
    let error = History::open(&path, ROOMY).unwrap_err();
    let own = std::process::id();
    assert!(matches!(error, HistoryError::Locked { pid: Some(pid), .. } if pid == own));
    assert!(
        error.to_string().contains(&format!("(process {own})")),
        "{error}"
    );
    drop(history);
    History::open(&path, ROOMY).unwrap();
    let reader = History::read(&path).unwrap();
    let error = reader.append(&Interval::default()).unwrap_err();
    assert!(matches!(error, HistoryError::ReadOnly));
}

/// Directory and files are their owner's only; a directory that others can write, and links,
/// are refused.
#[test]
fn is_private() {
    let (place, path) = place();
    let history = History::open(&path, ROOMY).unwrap();
    history.append(&Interval::default()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("lock")), 0o600);
    assert_eq!(mode(&segments(&path)[0]), 0o600);
    drop(history);

    let link = place.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(
        History::open(&link, ROOMY),
        Err(HistoryError::Files { .. })
    ));
    let segment = segments(&path)[0].clone();
    let elsewhere = place.path().join("elsewhere");
    fs::rename(&segment, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &segment).unwrap();
    assert!(History::open(&path, ROOMY).is_err());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    for opened in [History::open(&path, ROOMY), History::read(&path)] {
        assert!(matches!(opened, Err(HistoryError::NotSafe(_))));
    }
    let none = place.path().join("none/history");
    assert!(matches!(
        History::open(&none, ROOMY),
        Err(HistoryError::Files { .. })
    ));
    assert!(History::read(&none).is_err());
}

/// A segment cut at any byte opens with the intervals before the cut, goes on, and has told how
/// much was cut off.
#[test]
fn torn_tails_are_mended() {
    let (_place, path) = place();
    let intervals = Host::new(3).run(TODAY, 10_000, 6);
    {
        let history = History::open(&path, ROOMY).unwrap();
        intervals.iter().for_each(|it| history.append(it).unwrap());
    }
    let segment = segments(&path)[0].clone();
    let whole = fs::read(&segment).unwrap();
    let mut ends = vec![0];
    for cut in 0..=whole.len() {
        let found = read_segment(&whole[..cut]).0;
        assert_eq!(found, intervals[..found.len()]);
        if found.len() == ends.len() {
            ends.push(cut);
        }
    }
    assert_eq!(ends.len(), 7);
    assert_eq!(ends[6], whole.len());
    for (number, cut) in ends
        .iter()
        .enumerate()
        .skip(1)
        .map(|(number, end)| (number - 1, end - 1))
    {
        fs::write(&segment, &whole[..cut]).unwrap();
        let history = History::open(&path, ROOMY).unwrap();
        assert_eq!(all(&history), intervals[..number]);
        // Of the first one a frame of stacks may be whole.
        let torn = history.counts().torn_bytes;
        assert!(torn > 0 && torn < (cut - ends[number]) as u64 + 1, "{torn}");
        history.append(&intervals[5]).unwrap();
        drop(history);
        let read = all(&History::read(&path).unwrap());
        assert_eq!(read, [&intervals[..number], &intervals[5..]].concat());
        segments(&path)
            .iter()
            .for_each(|it| fs::remove_file(it).unwrap());
    }
}

/// Damage within a segment takes the intervals that it hits, is counted, and harms nothing else.
#[test]
fn damage_is_passed_over() {
    let (_place, path) = place();
    let intervals = Host::new(3).run(TODAY, 10_000, 20);
    {
        let history = History::open(&path, ROOMY).unwrap();
        intervals.iter().for_each(|it| history.append(it).unwrap());
    }
    let segment = segments(&path)[0].clone();
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8].fill(0xaa);
    fs::write(&segment, &bytes).unwrap();
    let history = History::open(&path, ROOMY).unwrap();
    let found = all(&history);
    let missing = intervals.len() - found.len();
    let is_hurt = |it: &&Interval| it.losses.contains_key(stacks::LOST);
    let hurt = found.iter().filter(is_hurt).count();
    assert!(missing <= 1 && missing + hurt >= 1, "{missing} {hurt}");
    assert!(
        found
            .iter()
            .filter(|it| !is_hurt(it))
            .all(|it| intervals.contains(it))
    );
    assert_eq!(history.counts().damaged, 1);
    let mut stream = history.stream(ALL.0, ALL.1).unwrap();
    for interval in stream.by_ref() {
        interval.unwrap();
    }
    assert_eq!(stream.damaged(), 1);
}

/// The same interval at another time, with other stacks.
fn otherwise(interval: &Interval, number: u64) -> Interval {
    let mut it = interval.clone();
    let other = |id: u64| if id == 0 { 0 } else { id ^ (number << 40) };
    it.stacks = (it.stacks.into_iter())
        .map(|(id, frames)| {
            (
                other(id),
                frames.into_iter().skip(number as usize).collect(),
            )
        })
        .collect();
    for faulted in it.lines.iter_mut().flat_map(|it| &mut it.faulted) {
        faulted.stack = other(faulted.stack);
    }
    it
}

/// Wherever a segment is damaged, what is written after a restart is read as it was: no stack
/// takes the place of another.
#[test]
fn damage_gives_no_stack_to_others() {
    let (_place, path) = place();
    let mut intervals = Host::new(60).run(TODAY, 10_000, 20);
    // Not all stacks stand at the beginning, and some come again at the end.
    for (number, it) in (0..).zip(intervals.iter_mut().skip(10).step_by(2)) {
        *it = otherwise(it, 1 + number % 2);
    }
    let (before, after) = intervals.split_at(14);
    {
        let history = History::open(&path, ROOMY).unwrap();
        before.iter().for_each(|it| history.append(it).unwrap());
    }
    let segment = segments(&path)[0].clone();
    let whole = fs::read(&segment).unwrap();
    for place in (16..whole.len() - 8).step_by(whole.len() / 15) {
        let mut bytes = whole.clone();
        bytes[place..place + 8].fill(0xaa);
        fs::write(&segment, &bytes).unwrap();
        let history = History::open(&path, ROOMY).unwrap();
        after.iter().for_each(|it| history.append(it).unwrap());
        let found = all(&history);
        assert!(found.ends_with(after));
        let is_hurt = |it: &&Interval| it.losses.contains_key(stacks::LOST);
        let mut whole = found.iter().filter(|it| !is_hurt(it));
        assert!(whole.all(|it| intervals.contains(it)));
        drop(history);
        segments(&path)
            .iter()
            .for_each(|it| fs::remove_file(it).unwrap());
    }
}

/// What a newer memtrace wrote is not touched, complete or not.
#[test]
fn a_newer_version_is_left_alone() {
    let (_place, path) = place();
    {
        let history = History::open(&path, ROOMY).unwrap();
        for it in Host::new(1).run(TODAY, 10_000, 400) {
            history.append(&it).unwrap();
        }
    }
    let written = segments(&path);
    assert!(written.len() > 1);
    for segment in written {
        let ours = fs::read(&segment).unwrap();
        let mut newer = ours.clone();
        newer[8..12].copy_from_slice(&2_u32.to_le_bytes());
        let checksum = crc32fast::hash(&newer[..12]);
        newer[12..16].copy_from_slice(&checksum.to_le_bytes());
        fs::write(&segment, &newer).unwrap();
        assert!(matches!(
            History::open(&path, ROOMY),
            Err(HistoryError::Newer)
        ));
        assert_eq!(fs::read(&segment).unwrap(), newer);
        fs::write(&segment, &ours).unwrap();
    }
}
