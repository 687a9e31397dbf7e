use proptest::{collection::vec, prelude::*};

use super::*;
use crate::model::sockets::{Memory, Place, State, Tcp};

const SECOND: u64 = 1_000_000_000;

fn socket(cookie: u64, queue: u64, read_bytes: Option<u64>) -> Socket {
    Socket {
        cookie,
        inode: cookie,
        namespace: 1,
        kind: Kind::Tcp,
        state: State::Established,
        place: Place::Unknown,
        local: None,
        peer: None,
        memory: Memory::default(),
        tcp: Some(Tcp {
            receive_queue: queue,
            read_bytes,
            ..Tcp::default()
        }),
        listener: None,
    }
}

/// A look at this moment, which takes 10 ms, at one connection.
fn look(seen: &mut ReadsSeen, at_ms: u64, queue: u64, read: Option<u64>) -> Option<Reads> {
    let mut sockets = [socket(7, queue, read)];
    let began_ns = at_ms * 1_000_000;
    let ended_ns = began_ns + 10_000_000;
    seen.look(&mut sockets, Looked { began_ns, ended_ns });
    sockets[0].tcp.and_then(|tcp| tcp.reads)
}

fn reads(bytes: u64, over_ms: u64) -> Option<Reads> {
    Some(Reads { bytes, over_ms })
}

/// What is not read is known since the end of the first look that found it so, and no
/// longer; what was read is what differs.
#[test]
fn times_are_from_look_to_look() {
    let mut seen = ReadsSeen::default();
    assert_eq!(look(&mut seen, 1_000, 50, Some(100)), None);
    assert_eq!(look(&mut seen, 6_000, 60, Some(100)), reads(0, 4_990));
    assert_eq!(look(&mut seen, 11_000, 60, Some(100)), reads(0, 9_990));
    assert_eq!(look(&mut seen, 16_000, 60, Some(130)), reads(30, 4_990));
    assert_eq!(look(&mut seen, 21_000, 60, Some(130)), reads(0, 4_990));
}

/// A last look right after another does not make a reader one that has stopped.
#[test]
fn a_reader_has_a_second() {
    let mut seen = ReadsSeen::default();
    look(&mut seen, 1_000, 50, Some(100));
    assert_eq!(look(&mut seen, 6_000, 50, Some(130)), reads(30, 4_990));
    assert_eq!(look(&mut seen, 6_300, 50, Some(130)), reads(30, 5_290));
    assert_eq!(look(&mut seen, 7_100, 50, Some(130)), reads(0, 1_090));
}

/// While there is nothing to read nobody is waited for; a count that goes back is
/// another connection's; without a count nothing is known.
#[test]
fn begins_anew() {
    let mut seen = ReadsSeen::default();
    look(&mut seen, 1_000, 50, Some(100));
    assert_eq!(look(&mut seen, 6_000, 0, Some(150)), None);
    assert_eq!(look(&mut seen, 11_000, 9, Some(150)), None);
    assert_eq!(look(&mut seen, 16_000, 9, Some(150)), reads(0, 4_990));
    assert_eq!(look(&mut seen, 21_000, 9, Some(20)), None);
    assert_eq!(look(&mut seen, 26_000, 9, None), None);
    assert_eq!(look(&mut seen, 31_000, 9, Some(20)), None);
}

proptest! {
    /// Of any reader looked at at any times: what is told is what it read since that time
    /// ago, and of nothing read no longer is told than nothing was.
    #[test]
    fn tells_what_was_read(steps in vec((1_u64..4 * SECOND, 0_u64..SECOND / 10, 0_u64..3), 1..20)) {
        let mut seen = ReadsSeen::default();
        // When each look began and ended, and what had been read.
        let mut looks: Vec<(u64, u64, u64)> = Vec::new();
        let (mut now, mut read) = (5 * SECOND, 100);
        for (wait, took, more) in steps {
            now += wait;
            read += more;
            let looked = Looked { began_ns: now, ended_ns: now + took };
            let mut sockets = [socket(7, 50, Some(read))];
            seen.look(&mut sockets, looked);
            if let Some(Reads { bytes, over_ms }) = sockets[0].tcp.and_then(|tcp| tcp.reads) {
                let then = looks.iter().find(|(_, ended, before)| {
                    *before == read - bytes && (now - ended) / 1_000_000 == over_ms
                });
                prop_assert!(then.is_some(), "{bytes} in {over_ms}: {looks:?}");
            }
            now += took;
            looks.push((now - took, now, read));
        }
    }
}
