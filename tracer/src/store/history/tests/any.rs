//! Any history, any damage, any disk.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::store::small_disk::SmallDisk;

/// Stretches of a history: how many intervals, how long each, and by how much the clock leaps before.
fn stretches() -> impl Strategy<Value = Vec<(u64, u64, i64)>> {
    const HOUR: i64 = 3_600_000;
    let length = prop_oneof![Just(10_000), Just(60_000), 1_u64..4_000_000];
    let leap = prop_oneof![4 => Just(0), 1 => -200 * HOUR..200 * HOUR, 1 => -60_000..60_000_i64];
    vec((1_u64..60, length, leap), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Of any history, whatever the clock did, the sums are the same after compaction, and no
    /// stretch of it is told twice.
    #[test]
    fn sums_survive_compaction(stretches in stretches(), seed in any::<u64>(), again in any::<bool>()) {
        let (_place, path) = place();
        let mut history = History::open(&path, ROOMY).unwrap();
        let mut host = Host::seeded(5, seed);
        let mut at = TODAY;
        let mut written = Vec::new();
        for (count, length, leap) in stretches {
            at = at.saturating_add_signed(leap);
            let intervals = host.run(at, length, count);
            at += count * length;
            intervals.iter().for_each(|it| history.append(it).unwrap());
            written.extend(intervals);
            if again {
                drop(history);
                history = History::open(&path, ROOMY).unwrap();
            }
        }
        history.compact().unwrap();
        let kept = all(&history);
        prop_assert!(Totals::of(&kept) == Totals::of(&written));
        prop_assert_eq!(history.counts(), Counts::default());
        let read = all(&History::read(&path).unwrap());
        prop_assert_eq!(read, kept);
    }

    /// Whatever is done to a segment, what is read of it is what was written, less what is told to be
    /// lost; and it ends.
    #[test]
    fn damage_forges_nothing(changes in vec((any::<prop::sample::Index>(), 0_u8..4, any::<u8>()), 0..8)) {
        let (_place, path) = place();
        let intervals = Host::new(3).run(TODAY, 10_000, 8);
        let history = History::open(&path, ROOMY).unwrap();
        intervals.iter().for_each(|it| history.append(it).unwrap());
        let mut bytes = fs::read(&segments(&path)[0]).unwrap();
        for (at, how, byte) in changes {
            let at = at.index(bytes.len().max(1));
            match how {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 => drop(bytes.splice(at..(at + usize::from(byte)).min(bytes.len()), [])),
                _ => bytes.get_mut(at).into_iter().for_each(|it| *it ^= byte),
            }
        }
        let (found, _) = read_segment(&bytes);
        for it in found {
            prop_assert!(it.losses.contains_key(stacks::LOST) || intervals.contains(&it));
        }
    }
}

/// On a full disk the oldest goes for the newest; where that does not help an interval is dropped,
/// which is counted, and told by the next one that finds room.
#[test]
fn full_disk() {
    let Some(disk) = SmallDisk::mount("size=256k") else {
        eprintln!("skipped full_disk: mount is not permitted here");
        return;
    };
    let path = disk.path().join("history");
    let history = History::open(
        &path,
        Bounds {
            bytes: 1 << 20,
            ..ROOMY
        },
    )
    .unwrap();
    let mut host = Host::new(40);
    let intervals = host.run(TODAY, 10_000, 300);
    intervals.iter().for_each(|it| history.append(it).unwrap());
    let kept = all(&history);
    assert_eq!(kept, intervals[300 - kept.len()..]);
    assert!(history.counts().evicted > 0 && history.counts().dropped == 0);
    assert!(history.bytes() > 100_000);

    // Somebody else takes what there is, and what goes.
    let mut next = 300;
    while history.counts().dropped == 0 {
        let filler = fs::File::create(disk.path().join(format!("filler-{next}"))).unwrap();
        let _ = io::copy(&mut io::repeat(7), &mut { filler });
        let _ = history.append(&host.interval(TODAY + next * 10_000, 10_000));
        next += 1;
    }
    for number in 300..next {
        fs::remove_file(disk.path().join(format!("filler-{number}"))).unwrap();
    }
    let mut last = host.interval(TODAY + next * 10_000, 10_000);
    history.append(&last).unwrap();
    last.losses.insert(writer::DROPPED.to_owned(), 1);
    assert_eq!(all(&history).pop(), Some(last));
}
