//! Frames of V8's in stacks and heaps made here.

use proptest::prelude::*;

use super::*;
use crate::unwind::{Walk, frame, replay::Replay};

/// Where stack and heap of these tests stand; no file is mapped.
const MEMORY: u64 = 0x6000;
const FRAME: u64 = 0x7000;
/// Compiled code, and what called it.
const CODE: u64 = 0x70_1000;
const CALLER: u64 = 0x70_2000;

const FUNCTION: u64 = 0x8000;
const INFO: u64 = 0x8100;
const SCOPE: u64 = 0x8200;
const SCRIPT: u64 = 0x8300;
const SCRIPT_NAME: u64 = 0x8400;
const BYTECODE: u64 = 0x8500;
const NAME: u64 = 0x8600;

const RUNTIME: Runtime = Runtime {
    builtins: [[0; 2]; BUILTIN_RANGES],
    is_known: 1,
    info: 24,
    name: 16,
    has_number: 0,
    locals: 2,
    variables: 3,
};

fn tagged(address: u64) -> u64 {
    address + 1
}

fn integer(number: u64) -> u64 {
    number << 32
}

/// A frame of an interpreted function with two local variables, and its caller.
fn process(context: u64) -> Replay {
    let mut memory = Replay::new(MEMORY, vec![0; 0x3000]);
    let words = [
        (FRAME - 40, integer(77)),
        (FRAME - 32, tagged(BYTECODE)),
        (FRAME - 16, tagged(FUNCTION)),
        (FRAME - 8, context),
        (FRAME, FRAME + 0x100),
        (FRAME + 8, CALLER),
        (FUNCTION + 24, tagged(INFO)),
        (INFO + 16, tagged(SCOPE)),
        (INFO + 32, tagged(SCRIPT)),
        (INFO + 48, integer(5)),
        (INFO + 56, 9),
        (SCOPE + 24, integer(2)),
        (SCOPE + 8 + 8 * (3 + 4), tagged(NAME)),
        (SCRIPT + 16, tagged(SCRIPT_NAME)),
        (SCRIPT + SCRIPT_NUMBER, integer(12)),
    ];
    for (address, word) in words {
        let at = (address - MEMORY) as usize;
        memory.stack[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    memory.set_runtime(RUNTIME);
    memory
}

fn walked(memory: &Replay) -> (Walk, Vec<u64>) {
    let mut walk = Walk::default();
    walk.start(CODE, FRAME - 0x80, FRAME);
    memory.walk(walk)
}

fn identity(number: u64) -> Identity {
    let words = [tagged(INFO), tagged(SCOPE), tagged(SCRIPT), 5, number];
    Identity::new(words, CODE)
}

/// A function is told by what is its own and by its place in the bytecode, and
/// what called it is exact.
#[test]
fn functions_are_told() {
    let memory = process(tagged(0x9000));
    let (_, frames) = walked(&memory);
    let expected = identity(12);
    assert_eq!(frames, [JavascriptFrame::word(expected, 77), CALLER]);
    let seen = memory.functions.borrow();
    assert_eq!(seen[0].0, expected);
    assert_eq!(seen[0].1.code, CODE);
}

/// Where each function has a number of its own, that tells it, not its script's.
#[test]
fn own_numbers_tell() {
    let mut memory = process(tagged(0x9000));
    memory.set_runtime(Runtime {
        has_number: 1,
        ..RUNTIME
    });
    let (_, frames) = walked(&memory);
    assert_eq!(frames[0], JavascriptFrame::word(identity(9), 77));
}

/// A frame of another kind, and a function whose words cannot be read, keep
/// their address; both are followed surely all the same.
#[test]
fn other_frames_keep_their_address() {
    let other = process(integer(0) | 22);
    assert_eq!(walked(&other).1, [CODE, CALLER]);
    let mut unreadable = process(tagged(0x9000));
    let at = (FRAME - 16 - MEMORY) as usize;
    unreadable.stack[at..at + 8].copy_from_slice(&tagged(0xdead_0000).to_le_bytes());
    assert_eq!(walked(&unreadable).1, [CODE, CALLER]);
}

/// Code outside files is followed surely only in a process with V8.
#[test]
fn without_v8_nothing_is_sure() {
    let mut memory = process(tagged(0x9000));
    memory.set_runtime(Runtime::default());
    let (_, frames) = walked(&memory);
    assert_eq!(frames, [CODE, frame::word(CALLER, frame::APPROXIMATE)]);
}

/// What names a function is copied from where it stands; what cannot be read is left out.
#[test]
fn parts_are_copied() {
    let memory = process(tagged(0x9000));
    walked(&memory);
    let slots = memory.functions.borrow()[0].1;
    let mut seen = FunctionSeen {
        identity: Identity(0),
        space: 1,
        slots,
        addresses: [0; PARTS],
        words: [0; PART_WORDS],
    };
    copy(&memory, &RUNTIME, &mut seen);
    let at = |part: Part| seen.addresses[part as usize];
    let scope_words = SCOPE + 8 + 8 * (3 + 4);
    assert_eq!(at(Part::Function), FUNCTION);
    assert_eq!(at(Part::Info), INFO);
    assert_eq!(at(Part::Name), SCOPE);
    assert_eq!(at(Part::Scope), scope_words);
    assert_eq!(at(Part::First), NAME);
    assert_eq!(at(Part::Second), 0);
    assert_eq!(at(Part::Script), SCRIPT);
    assert_eq!(at(Part::ScriptName), SCRIPT_NAME);
    assert_eq!(at(Part::Bytecode), BYTECODE);
    assert_eq!(seen.words[Part::Info.range()][2], tagged(SCOPE));
}

proptest! {
    /// A frame's word gives back the key of its function and the place in it,
    /// and is no address.
    #[test]
    fn words_keep_key_and_place(identity: u64, space in 0_u32..1 << 26, offset in 0_u64..1 << 24) {
        let word = JavascriptFrame::word(Identity(identity), offset);
        let frame = JavascriptFrame::of(word, space).expect("it is marked");
        prop_assert_eq!(frame.key, Identity(identity).key(space));
        prop_assert_eq!(u64::from(frame.offset), offset);
        prop_assert!(!frame::is_approximate(word));
        prop_assert_eq!(JavascriptFrame::of(frame::address(identity), space), None);
    }

    /// Whatever stands in memory, a walk through V8's frames ends.
    #[test]
    fn walks_end(words in proptest::collection::vec(any::<u8>(), 0x3000), frame_pointer: u16) {
        let mut memory = Replay::new(MEMORY, words);
        memory.set_runtime(RUNTIME);
        let mut walk = Walk::default();
        walk.start(CODE, u64::from(frame_pointer) & !7, u64::from(frame_pointer) & !7);
        let (walk, _) = memory.walk(walk);
        prop_assert_ne!(walk.ending, 0);
    }
}
