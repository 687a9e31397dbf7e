//! Copies of memory that go before it, and how much of it is read.

use std::fs::File;

use super::heap::{MadeHeap, packed, seen};
use crate::symbolize::v8::{Memory, MemoryFile, SeenFunction};

const LONG: &str = "aNameThatIsLongerThanWhatWasCopiedOfIt";

/// A function of this name, of which these words were copied: the function's
/// own, its info's, its name's, its script's.
fn copied(heap: &mut MadeHeap, name: &str, words: usize) -> (SeenFunction, u64) {
    let name = heap.string(name);
    let (function, script) = heap.function_named(name);
    let info = heap.copy(function, 5).1[4];
    let parts = vec![
        heap.copy(function, 5),
        heap.copy(info, 6),
        heap.copy(name, words),
        heap.copy(script.address | 1, 9),
    ];
    let seen = SeenFunction {
        parts,
        ..seen(function)
    };
    (seen, name)
}

fn name_of(heap: &MadeHeap, seen: &SeenFunction) -> String {
    let described = heap.describe(seen).unwrap();
    described.frames[0].name.clone()
}

/// Objects move and die: what stood there when the function ran is the truth.
#[test]
fn what_was_copied_is_told_though_memory_has_changed() {
    let mut heap = MadeHeap::new();
    let (seen, name) = copied(&mut heap, "handle", 3);
    let (function, info) = (seen.function, heap.copy(seen.function, 5).1[4]);
    heap.set(name, 16, packed(b"change")[0]);
    assert_eq!(name_of(&heap, &seen), "handle");
    for (object, offset) in [(function, 32), (info, 16), (info, 32), (name, 0), (name, 8)] {
        heap.set(object, offset, 0x1234_5678);
    }
    assert_eq!(name_of(&heap, &seen), "handle");
    let without = SeenFunction {
        parts: Vec::new(),
        ..seen
    };
    assert_eq!(heap.describe(&without), None);
}

/// Of a name longer than its copy the rest is in memory, if it is still that name.
#[test]
fn a_long_name_is_read_on_where_memory_begins_as_its_copy_does() {
    let mut heap = MadeHeap::new();
    let (seen, name) = copied(&mut heap, LONG, 4);
    assert_eq!(name_of(&heap, &seen), LONG);
    // Behind the copy nothing tells that it has changed.
    heap.set(name, 32, packed(b"-changed")[0]);
    assert_eq!(
        name_of(&heap, &seen),
        "aNameThatIsLonge-changedtWasCopiedOfIt"
    );
    heap.set(name, 24, packed(b"-changed")[0]);
    assert_eq!(name_of(&heap, &seen), "");
}

/// A name of the same length in the same place, of another type, is another name.
#[test]
fn a_long_name_is_not_read_on_where_another_object_stands() {
    let mut heap = MadeHeap::new();
    let (seen, name) = copied(&mut heap, LONG, 4);
    let other = heap.map(super::heap::ONE_BYTE | 0x20);
    heap.set(name, 0, other);
    assert_eq!(name_of(&heap, &seen), "");
}

/// A process can have this code read at most so much, however it is asked, and
/// small reads cost what a call to the kernel costs.
#[test]
fn a_file_is_read_up_to_a_budget() {
    let zeroes = File::open("/dev/zero").unwrap();
    let mut bytes = vec![0; 32 << 20];
    // Of which a hundred bytes are left.
    let mut almost_used_up = || {
        let memory = MemoryFile::new(&zeroes);
        for left in [0, 0, 0, 0, 0, 0, 0, 100] {
            let count = bytes.len() - left;
            assert!(memory.read(0, &mut bytes[..count]));
        }
        memory
    };
    let memory = almost_used_up();
    assert!(memory.read(0, &mut [0]));
    assert!(!memory.read(0, &mut [0]));
    // Who has asked for too much once gets nothing more.
    let memory = almost_used_up();
    assert!(!memory.read(0, &mut [0; 101]));
    assert!(!memory.read(0, &mut [0]));
}
