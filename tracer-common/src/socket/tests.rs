use proptest::prelude::*;

use super::*;

fn calls(marks: &[(u64, u32)]) -> SocketCalls {
    let mut calls = SocketCalls::default();
    for (site, start) in marks {
        calls.senders[calls.marks as usize % MARKS] = Mark {
            site: *site,
            start: *start,
            reserved: 0,
        };
        calls.marks += 1;
    }
    calls
}

/// The bytes of a queue are shared out by who wrote them, first in first out.
#[test]
fn a_queue_is_of_those_who_wrote_last() {
    let calls = calls(&[(7, 100), (8, 250), (7, 900)]);
    let of = |from, to| calls.senders_of(from, to).collect::<Vec<_>>();
    assert_eq!(of(0, 1000), [(0, 100), (7, 150), (8, 650), (7, 100)]);
    assert_eq!(of(300, 1000), [(8, 600), (7, 100)]);
    assert_eq!(of(950, 1000), [(7, 50)]);
    assert_eq!(of(1000, 1000), []);
    assert_eq!(
        SocketCalls::default().senders_of(5, 9).collect::<Vec<_>>(),
        [(0, 4)]
    );
}

/// The stream's numbers wrap round at 2³².
#[test]
fn numbers_wrap() {
    let calls = calls(&[(7, u32::MAX - 9), (8, 10)]);
    let of: Vec<_> = calls.senders_of(u32::MAX - 4, 30).collect();
    assert_eq!(of, [(7, 15), (8, 20)]);
}

/// The first send is marked, one that doubles the queue too, and of a steady
/// stream one now and then.
#[test]
fn stacks_are_due_when_they_tell_something() {
    let mut calls = SocketCalls::default();
    assert!(calls.is_send_due(0, 0, 0, || unreachable!()));
    calls.marks = 1;
    calls.queue_at_stack = 100_000;
    calls.written_at_stack = 100_000;
    calls.sent_mark = 500;
    assert!(calls.is_send_due(300_000, 300_000, 500, || unreachable!()));
    assert!(!calls.is_send_due(100_000, 101_000, 500, || unreachable!()));
    assert!(!calls.is_send_due(100_000, 200_000, 500, || OFTEN_NS - 1));
    assert!(calls.is_send_due(100_000, 200_000, 500, || OFTEN_NS));
    assert!(!calls.is_send_due(1000, 200_000, 4499, || unreachable!()));
    assert!(calls.is_send_due(1000, 200_000, 4500, || unreachable!()));
}

/// The first reader's stack is taken, and then one every four seconds; in between
/// only another process's reads of the same socket are looked at.
#[test]
fn readers_are_seen_now_and_then() {
    let mut calls = SocketCalls::default();
    assert!(calls.is_read_due(0));
    calls.reader = 7;
    calls.read_mark = u32::MAX;
    assert!(!calls.is_read_due(3998));
    assert!(calls.is_read_due(3999));
    let recent = RecentReader {
        cookie: 5,
        space: 1,
        mark: u32::MAX,
    };
    assert!(recent.covers(5, 1, 3998));
    assert!(!recent.covers(5, 1, 3999));
    assert!(!recent.covers(5, 2, 0));
    assert!(!recent.covers(6, 1, 0));
}

/// Calls return in the order opposite to that in which they were entered; too many
/// at once are not known, and spoil no other.
#[test]
fn accounts_are_a_stack() {
    let mut accounts = PendingAccounts::default();
    for number in 0..6 {
        accounts.push(number, number as u32 * 10);
    }
    let popped: Vec<_> = (0..7).map(|_| accounts.pop()).collect();
    let known = |number: u64| Some((number, number as u32 * 10));
    let expected = [None, None, known(3), known(2), known(1), known(0), None];
    assert_eq!(popped, expected);
}

proptest! {
    /// Whatever the marks say, every byte of the queue has one owner.
    #[test]
    fn every_byte_has_one_owner(
        marks in proptest::collection::vec((1u64..5, 0u32..5000), 0..20),
        start: u32,
        mut places in proptest::collection::vec(0u32..5000, 20),
        acknowledged in 0u32..6000,
    ) {
        places.sort_unstable();
        let marks: Vec<_> = marks.iter().zip(&places)
            .map(|((site, _), place)| (*site, start.wrapping_add(*place))).collect();
        let calls = calls(&marks);
        let (from, to) = (start.wrapping_add(acknowledged), start.wrapping_add(6000));
        let sum: u32 = calls.senders_of(from, to).map(|(_, bytes)| bytes).sum();
        prop_assert_eq!(sum, 6000 - acknowledged);
    }
}

proptest! {
    /// What the short-cut passes over, the record would have passed over too.
    #[test]
    fn no_short_cut_past_a_stack_that_is_due(
        queue_then in 0..100_000_u32, queue in 0..100_000_u32,
        later in 0..10_000_u32, sent_since in any::<u32>(),
    ) {
        let calls = SocketCalls {
            marks: 1,
            queue_at_stack: queue_then,
            written_at_stack: 7,
            sent_mark: 500,
            ..SocketCalls::default()
        };
        let recent = RecentSender { cookie: 3, space: 1, mark: 500, queue: queue_then, reserved: 0 };
        let written = sent_since.wrapping_add(7);
        if recent.covers(3, 1, 500 + later, queue) {
            prop_assert!(!calls.is_send_due(queue, written, 500 + later, || u64::MAX));
        }
        prop_assert!(!recent.covers(4, 1, 500, 0) && !recent.covers(3, 2, 500, 0));
    }
}
