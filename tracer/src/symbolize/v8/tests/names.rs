//! What functions are called, and which objects are none.

use super::heap::{MadeHeap, packed, seen, small};
use crate::symbolize::v8::{Described, DescribedFrame};

/// The name that is told of a function with this name or scope.
fn told(heap: &mut MadeHeap, name: u64) -> String {
    let (function, _) = heap.function_named(name);
    let described = heap.describe(&seen(function)).unwrap();
    described.frames[0].name.clone()
}

/// A function in code of which nothing is known has its name and its script.
#[test]
fn a_function_is_told_with_its_script() {
    let mut heap = MadeHeap::new();
    let name = heap.string("handle");
    let (function, script) = heap.function_named(name);
    let frame = DescribedFrame {
        name: "handle".to_owned(),
        script: Some(script),
        position: None,
    };
    let expected = Described {
        frames: vec![frame],
        may_lack_some: true,
        ..Described::default()
    };
    assert_eq!(heap.describe(&seen(function)), Some(expected));
}

/// V8 keeps strings in six ways; a name may come in any.
#[test]
fn names_are_read_from_strings_of_every_kind() {
    let mut heap = MadeHeap::new();
    let left = heap.string("naïve");
    let right = heap.string("Ωμ𝄞é");
    let joined = heap.joined(10, left, right);
    let flattened = heap.string("");
    let flattened = heap.joined(10, joined, flattened);
    let sliced = heap.sliced(joined, 2, 5);
    let names = [
        (left, "naïve"),
        (right, "Ωμ𝄞é"),
        (joined, "naïveΩμ𝄞é"),
        (flattened, "naïveΩμ𝄞é"),
        (sliced, "ïveΩμ"),
        (heap.standing_for(10, joined), "naïveΩμ𝄞é"),
        (heap.external("fenêtre"), "fenêtre"),
        (heap.external("窓を開く"), "窓を開く"),
        (heap.string(""), ""),
    ];
    for (name, expected) in names {
        assert_eq!(told(&mut heap, name), expected);
    }
}

/// A string whose parts are not as long as it says is being changed, or no string.
#[test]
fn strings_that_contradict_themselves_are_no_names() {
    let mut heap = MadeHeap::new();
    let six = heap.string("handle");
    let names = [
        heap.joined(11, six, six),
        heap.joined(13, six, six),
        heap.sliced(six, 4, 3),
        heap.sliced(six, -1, 3),
        heap.sliced(six, 7, 0),
        heap.standing_for(5, six),
        // Of a type behind those of strings, something else, nothing, and a weak pointer.
        heap.object(0x88, &[6 << 32, packed(b"handle")[0]]),
        heap.bytes(b"handle"),
        small(6),
        six | 2,
    ];
    for name in names {
        assert_eq!(told(&mut heap, name), "");
    }
}

/// Strings are followed into one another so far and no farther.
#[test]
fn names_are_followed_through_23_strings() {
    let mut heap = MadeHeap::new();
    let mut name = heap.string("handle");
    for _ in 0..23 {
        name = heap.standing_for(6, name);
    }
    assert_eq!(told(&mut heap, name), "handle");
    name = heap.standing_for(6, name);
    assert_eq!(told(&mut heap, name), "");
}

/// Names are bounded: in characters where they are read, in bytes where they are told.
#[test]
fn names_of_1024_characters_are_told_and_longer_ones_are_not() {
    let mut heap = MadeHeap::new();
    let longest = heap.string(&"x".repeat(1024));
    assert_eq!(told(&mut heap, longest), "x".repeat(1024));
    let cut = heap.string(&"é".repeat(1024));
    assert_eq!(told(&mut heap, cut), "é".repeat(510) + "…");
    let too_long = heap.string(&"x".repeat(1025));
    assert_eq!(told(&mut heap, too_long), "");
}

/// The name stands behind the local variables, whose names are no function's.
#[test]
fn names_are_found_behind_local_variables() {
    for locals in [0, 1, 3, 74, 75, 80] {
        let mut heap = MadeHeap::new();
        let name = heap.string("handle");
        let around = heap.scope(0, &[name]);
        let own = heap.string("reply");
        let scope = heap.scope(locals, &[own, small(0), small(10), small(90), around]);
        assert_eq!(told(&mut heap, scope), "reply", "{locals} variables");
        // One that was given a name by what it was assigned to.
        let empty = heap.string("");
        let words = [empty, small(0), own, small(10), small(90), around];
        let inferred = heap.scope(locals, &words);
        assert_eq!(told(&mut heap, inferred), "reply", "{locals} variables");
        // Two numbers that do not stand together are not its ends.
        let words = [small(1), empty, small(9), own, around];
        let apart = heap.scope(locals, &words);
        assert_eq!(told(&mut heap, apart), "reply", "{locals} variables");
    }
}

/// An anonymous function is not called as what stands behind its scope info, or
/// as the function around it.
#[test]
fn an_anonymous_function_has_no_name() {
    for locals in [0, 3, 80] {
        let mut heap = MadeHeap::new();
        let other = heap.string("other");
        let around = heap.scope(0, &[other]);
        // Where it begins and ends stands behind its name; then what is not its own.
        let scope = heap.scope(locals, &[small(10), small(90), other]);
        assert_eq!(told(&mut heap, scope), "");
        let scope = heap.scope(locals, &[around, other]);
        assert_eq!(told(&mut heap, scope), "");
    }
}

/// Since V8 12.8 a scope info has a function's ends before its variables: two
/// numbers behind them are of something else.
#[test]
fn names_behind_two_numbers_are_found_where_ends_stand_elsewhere() {
    let mut heap = MadeHeap::new();
    let name = heap.string("handle");
    let scope = heap.scope(3, &[small(1), small(2), name]);
    assert_eq!(told(&mut heap, scope), "");
    heap.layout.scope.positions = 3;
    assert_eq!(told(&mut heap, scope), "handle");
}

/// Only functions of a script are told: V8's own have none, and what else a
/// slot of a frame may hold is no function.
#[test]
fn what_is_no_function_of_a_script_is_not_told() {
    let mut heap = MadeHeap::new();
    let name = heap.string("handle");
    let (function, script) = heap.function_named(name);
    let info = heap.info(name, script.address | 1);
    let info_of_v8 = heap.info(name, small(0));
    let others = [
        heap.function(info_of_v8),
        heap.function(name),
        info,
        name,
        small(1),
        function | 2,
        function - 1,
        0x11,
    ];
    assert!(heap.describe(&seen(function)).is_some());
    for other in others {
        assert_eq!(heap.describe(&seen(other)), None, "{other:#x}");
    }
}

/// Types from the first to the last kind of functions are functions, no others.
#[test]
fn every_kind_of_function_is_one() {
    for (kind, is_function) in [(2065, false), (2066, true), (2082, true), (2083, false)] {
        let mut heap = MadeHeap::new();
        let name = heap.string("handle");
        let (function, _) = heap.function_named(name);
        let map = heap.map(kind);
        heap.set(function, 0, map);
        assert_eq!(
            heap.describe(&seen(function)).is_some(),
            is_function,
            "{kind}"
        );
    }
}

/// What was made of a string is of a script without a name.
#[test]
fn scripts_need_no_name() {
    let mut heap = MadeHeap::new();
    let name = heap.string("made");
    let empty = heap.string("");
    for nothing in [small(0), empty] {
        let script = heap.script(5, nothing, name);
        let info = heap.info(name, script);
        let function = heap.function(info);
        let described = heap.describe(&seen(function)).unwrap();
        let told = described.frames[0].script.clone().unwrap();
        assert_eq!(
            (told.address, told.number, told.name),
            (script - 1, 5, None)
        );
    }
}
