//! Memory made to do harm, and memory of no order at all: this code ends, and
//! tells no more than it may.

use proptest::collection::vec;
use proptest::prelude::*;

use super::encoder::{position, statements};
use super::heap::{self, CODE, MadeHeap, OPTIMISED, seen, small};
use crate::symbolize::MAX_TEXT_BYTES;
use crate::symbolize::v8::{Described, Script, SeenFunction, Types, line_ends};

/// Functions put into one another that are told, and the function itself.
const MAX_FRAMES: usize = 65;
/// Reads that memory of some hundred words may cost.
const MAX_READS: usize = 1 << 20;

/// Empty strings joined to empty strings, each of the same two, would be
/// followed two to the twenty-third times.
#[test]
fn strings_joined_of_nothing_cost_no_time() {
    let mut heap = MadeHeap::new();
    let mut name = heap.string("");
    for _ in 0..22 {
        name = heap.joined(0, name, name);
    }
    let (function, _) = heap.function_named(name);
    let described = heap.describe(&seen(function)).unwrap();
    assert_eq!(described.frames[0].name, "");
    assert!(heap.reads.get() < 100, "{} reads", heap.reads.get());
}

/// A string may be a part of itself.
#[test]
fn strings_within_themselves_end() {
    for kind in 0..4 {
        let mut heap = MadeHeap::new();
        let end = heap.string("x");
        let (name, second) = match kind {
            0 => (heap.joined(9, end, end), 16),
            1 => (heap.joined(9, end, end), 24),
            2 => (heap.sliced(end, 0, 9), 16),
            _ => (heap.standing_for(9, end), 16),
        };
        heap.set(name, second, name);
        let (function, _) = heap.function_named(name);
        let described = heap.describe(&seen(function)).unwrap();
        assert_eq!(described.frames[0].name, "");
        assert!(heap.reads.get() < 500, "{} reads", heap.reads.get());
    }
}

/// A function in optimised code into which another was put.
fn optimised(call: i64) -> (MadeHeap, SeenFunction) {
    let mut heap = MadeHeap::new();
    let name = heap.string("handle");
    let (function, script) = heap.function_named(name);
    let own = heap.copy(function, 5).1[4];
    let other = heap.string("inner");
    let around = heap.scope(0, &[name]);
    let scope = heap.scope(3, &[other, small(0), small(5), small(9), around]);
    let inner = heap.info(scope, script.address | 1);
    let literals = heap.array(&[inner]);
    let call = [call.to_le_bytes(), [0; 8]].concat();
    let calls = heap.bytes(&call);
    let nothing = small(0);
    let kept = [
        nothing, nothing, literals, nothing, nothing, nothing, own, calls,
    ];
    let kept = heap.array(&kept);
    let table = heap.bytes(&statements(&[(0, position(5, 1))]));
    heap.code(0x8000, 48, OPTIMISED, kept, table);
    let seen = SeenFunction {
        code: CODE + 0x8001,
        ..seen(function)
    };
    (heap, seen)
}

/// A function said to be put into itself, and that again.
#[test]
fn functions_put_into_themselves_end() {
    let (heap, seen) = optimised(position(7, 1));
    let frames = heap.describe(&seen).unwrap().frames;
    let [inner @ .., own] = &frames[..] else {
        panic!("no frames");
    };
    assert_eq!(inner.len() + 1, MAX_FRAMES);
    assert!(inner.iter().all(|frame| frame.name == "inner"));
    assert_eq!((own.name.as_str(), own.position), ("handle", Some(7)));
}

/// Bytecode may be said to stand at the end of all addresses.
#[test]
fn addresses_do_not_overflow() {
    let mut heap = MadeHeap::new();
    let name = heap.string("handle");
    let (function, _) = heap.function_named(name);
    let map = heap.map(heap::BYTECODE);
    let lengths = heap.bytes(&[1, 1, 1]);
    heap.code(0x8000, 48, heap::BASELINE, small(0), lengths);
    let bytecode = u64::MAX - 31;
    let seen = SeenFunction {
        code: CODE + 0x8002,
        bytecode: bytecode | 1,
        parts: vec![(bytecode, vec![map, small(8), small(0), small(0)])],
        ..seen(function)
    };
    let described = heap.describe(&seen).unwrap();
    assert_eq!(described.frames[0].position, None);
}

fn assert_bounded(described: &Described) {
    assert!((1..=MAX_FRAMES).contains(&described.frames.len()));
    for frame in &described.frames {
        let script = frame.script.as_ref().and_then(|it| it.name.as_ref());
        assert!(frame.name.len() <= MAX_TEXT_BYTES);
        assert!(script.is_none_or(|it| it.len() <= MAX_TEXT_BYTES));
    }
}

/// A word that has a meaning to V8, of two numbers: a pointer to some word, a
/// map, a small integer, a string's head, any word.
fn word(heap: &mut MadeHeap, words: usize, kind: u8, number: u64) -> u64 {
    const KINDS: [u32; 14] = [
        heap::FUNCTION,
        heap::INFO,
        heap::SCOPE,
        heap::SCRIPT,
        heap::ARRAY,
        heap::BYTES,
        heap::BYTECODE,
        heap::COMPILED,
        0x08,
        0x29,
        0x2a,
        0x2b,
        0x2d,
        0x00,
    ];
    match kind {
        0..4 => (heap::HEAP + number % words as u64 * 8) | 1,
        4..8 => heap.map(KINDS[number as usize % KINDS.len()]),
        8..11 => small((number % 100) as i32),
        11 => ((number % 20) << 32) | 0x5eed,
        _ => number,
    }
}

proptest! {
    /// Whatever a process's memory holds: every word taken for a function and
    /// for a script.
    #[test]
    fn arbitrary_memory_is_bounded(
        pool in vec((0_u8..13, any::<u64>()), 16..300),
        offset in 0_u32..3,
    ) {
        let mut heap = MadeHeap::new();
        let words: Vec<u64> =
            pool.iter().map(|(kind, number)| word(&mut heap, pool.len(), *kind, *number)).collect();
        heap.put(&words);
        let types = Types::default();
        for index in 0..heap.words() as u64 {
            heap.reads.set(0);
            let seen = SeenFunction {
                code: CODE + index,
                bytecode: words[index as usize % words.len()],
                bytecode_offset: offset,
                ..seen((heap::HEAP + index * 8) | 1)
            };
            heap.describe(&seen).iter().for_each(assert_bounded);
            let script = Script { address: heap::HEAP + index * 8, number: 0, name: None };
            let _lines = line_ends(&heap, &heap.layout, &types, &script);
            prop_assert!(heap.reads.get() < MAX_READS);
        }
    }

    /// A well-formed heap with some words changed: as deep as there is anything.
    #[test]
    fn damaged_memory_is_bounded(
        damage in vec((any::<prop::sample::Index>(), 0_u8..13, any::<u64>()), 1..8),
    ) {
        let (mut heap, seen) = optimised(position(70, 0));
        let words = heap.words();
        for (place, kind, number) in damage {
            let word = word(&mut heap, words, kind, number);
            heap.set(heap::HEAP | 1, place.index(words) as u64 * 8, word);
        }
        heap.describe(&seen).iter().for_each(assert_bounded);
        prop_assert!(heap.reads.get() < MAX_READS);
    }
}
