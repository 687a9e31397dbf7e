//! The lines of scripts.

use proptest::collection::vec;
use proptest::prelude::*;

use super::heap::{MadeHeap, small};
use crate::symbolize::v8::{Script, ScriptLines, Types, line_ends};

const NUMBER: i32 = 31;

fn lines_of(heap: &MadeHeap, script: u64, number: i32) -> Option<ScriptLines> {
    let script = Script {
        address: script - 1,
        number: number.unsigned_abs(),
        name: None,
    };
    line_ends(heap, &heap.layout, &Types::default(), &script)
}

/// A script of this text in a heap of its own.
fn script_of(text: &str) -> (MadeHeap, u64) {
    let mut heap = MadeHeap::new();
    let source = heap.string(text);
    let path = heap.string("/srv/app.js");
    let script = heap.script(NUMBER, path, source);
    (heap, script)
}

/// Each way to end a line that JavaScript knows, in text of one byte and of two.
#[test]
fn lines_end_as_in_javascript() {
    let ends = |text| {
        let (heap, script) = script_of(text);
        lines_of(&heap, script, NUMBER).unwrap().ends
    };
    assert_eq!(ends("one\ntwo\r\nthree\rfour"), [3, 8, 14, 19]);
    assert_eq!(
        ends("one\ntwo\r\nthree\rfour\u{2028}Ω\u{2029}"),
        [3, 8, 14, 19, 21, 22]
    );
    assert_eq!(ends("\r\r\n\n\r"), [0, 2, 3, 4, 5]);
    assert_eq!(ends("𝄞\n"), [2, 3]);
    assert_eq!(ends(""), [0]);
}

/// A position is of the line that ends at it or behind it; the first is 1, or
/// what the script's place in its file says.
#[test]
fn positions_are_of_lines() {
    let (mut heap, script) = script_of("one\ntwo\r\nthree");
    let line = |heap: &MadeHeap, position| lines_of(heap, script, NUMBER).unwrap().line(position);
    let places = [0, 3, 4, 7, 8, 9, 14, 15, u32::MAX];
    let expected = [
        Some(1),
        Some(1),
        Some(2),
        Some(2),
        Some(2),
        Some(3),
        Some(3),
        None,
        None,
    ];
    assert_eq!(places.map(|place| line(&heap, place)), expected);
    heap.set(script, 24, small(40));
    assert_eq!([0, 9].map(|place| line(&heap, place)), [Some(41), Some(43)]);
    // Before its file there is nothing.
    heap.set(script, 24, small(-40));
    assert_eq!(line(&heap, 0), Some(1));
}

/// Where V8 has looked for the ends already they are taken from there, and what
/// is no such array is left.
#[test]
fn ends_that_v8_knows_are_taken() {
    let (mut heap, script) = script_of("one\ntwo");
    let known = heap.array(&[small(5), small(12), small(99)]);
    let below = heap.array(&[small(5), small(-1)]);
    let not_numbers = heap.array(&[small(5), known]);
    let none = heap.array(&[]);
    let bytes = heap.bytes(&[1, 2, 3]);
    heap.set(script, 56, known);
    let told = ScriptLines {
        name: Some("/srv/app.js".to_owned()),
        before: 0,
        ends: vec![5, 12, 99],
    };
    assert_eq!(lines_of(&heap, script, NUMBER), Some(told));
    for other in [below, not_numbers, none, bytes, small(3), 0x11] {
        heap.set(script, 56, other);
        assert_eq!(lines_of(&heap, script, NUMBER).unwrap().ends, [3, 7]);
    }
}

/// V8 may give a script its name after its functions were seen.
#[test]
fn the_name_is_told_with_the_lines() {
    let (mut heap, script) = script_of("one\ntwo");
    let joined = heap.string("app.mjs");
    let scheme = heap.string("file:///srv/");
    let joined = heap.joined(19, scheme, joined);
    for (name, expected) in [(joined, Some("file:///srv/app.mjs")), (small(0), None)] {
        heap.set(script, 16, name);
        let lines = lines_of(&heap, script, NUMBER).unwrap();
        assert_eq!((lines.name.as_deref(), lines.ends), (expected, vec![3, 7]));
    }
}

/// Where the script stood now stands another, or none: its lines would be wrong.
#[test]
fn another_script_in_its_place_has_no_lines() {
    let (mut heap, script) = script_of("one\ntwo");
    assert!(lines_of(&heap, script, NUMBER).is_some());
    assert_eq!(lines_of(&heap, script, NUMBER + 1), None);
    assert_eq!(lines_of(&heap, script + 8, NUMBER), None);
    let other = heap.map(super::heap::ARRAY);
    heap.set(script, 0, other);
    assert_eq!(lines_of(&heap, script, NUMBER), None);
}

proptest! {
    /// As a plain count of line ends before a position has it, whether V8 has
    /// counted or not, for every position.
    #[test]
    fn lines_are_as_counted(
        text in vec(prop::sample::select(vec!['\n', '\r', '\u{2028}', '\u{2029}', 'a', 'é']), 0..60),
        before in 0_i32..1000,
        has_counted: bool,
    ) {
        let text: String = text.into_iter().collect();
        let (mut heap, script) = script_of(&text);
        heap.set(script, 24, small(before));
        // Two characters that end one line together are as one that does.
        let counted: Vec<char> = text.replace("\r\n", "-\n").chars().collect();
        let ends_line = |it: &&char| "\n\r\u{2028}\u{2029}".contains(**it);
        if has_counted {
            let is_end = |place: &usize| ends_line(&&counted[*place]);
            let mut ends: Vec<u64> =
                (0..counted.len()).filter(is_end).map(|place| small(place as i32)).collect();
            ends.push(small(counted.len() as i32));
            let ends = heap.array(&ends);
            heap.set(script, 56, ends);
            let nothing = heap.string("");
            heap.set(script, 8, nothing);
        }
        let lines = lines_of(&heap, script, NUMBER).unwrap();
        for place in 0..=counted.len() {
            let ended = counted[..place].iter().filter(ends_line).count();
            let expected = before.unsigned_abs() + ended as u32 + 1;
            prop_assert_eq!(lines.line(place as u32), Some(expected), "at {}", place);
        }
        prop_assert_eq!(lines.line(counted.len() as u32 + 1), None);
    }
}
