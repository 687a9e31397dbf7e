//! Maglev's code tells by its exits which functions it runs where.

use proptest::collection::vec;
use proptest::prelude::*;

use super::code::{Functions, frames};
use super::encoder::{Instruction, Translations, position};
use super::heap::{CODE, MAGLEV, packed, seen, small};
use crate::symbolize::v8::SeenFunction;
use crate::symbolize::v8::translation::{self, InterpretedFrame};

/// Where the code begins behind [`CODE`], and how long it is.
const AT: usize = 0x4000;
const SIZE: u32 = 48;

/// `INTERPRETED_FRAME_WITHOUT_RETURN`: place in the bytecode, info and bytecode
/// among the literals, registers.
fn frame(offset: u64, info: u64, bytecode: u64) -> Instruction {
    (1, vec![offset * 2, info * 2, bytecode * 2, 9])
}

/// A value in a register.
fn value(register: u64) -> Instruction {
    (39, vec![register])
}

/// A function `handle` in Maglev's code with a loop, into which `outer` is put,
/// into which `inner` is put. Exits: of `handle` alone at 10, of all at 20; the
/// call at 30 has none.
struct Looping {
    made: Functions,
    function: u64,
    kept: u64,
    literals: u64,
    bytecodes: [u64; 2],
}

impl Looping {
    fn new() -> Self {
        let mut made = Functions::new();
        made.heap.layout.version = [13, 6, 233];
        let (function, own) = made.named("handle");
        let infos = [made.info("outer"), made.info("inner"), own];
        // Statements at the second and at the sixth bytecode.
        let tables = [[70, 80], [30, 40]]
            .map(|[one, two]| made.table(&[(0, position(one, 0)), (5, position(two, 0))]));
        let bytecodes = tables.map(|table| made.heap.bytecode(&[4; 9], table));
        let mut translations = Translations::default();
        let first = translations.add(&[frame(6, 2, 0), value(3)], 1);
        let second = translations.add(
            &[
                frame(6, 2, 0),
                value(3),
                value(5),
                frame(1, 0, 1),
                frame(8, 1, 1),
            ],
            3,
        );
        let translations = made.heap.bytes(&translations.bytes);
        let (literals, protected) = (made.heap.array(&infos), made.heap.array(&bytecodes));
        let (nothing, calls) = (small(0), made.heap.bytes(&[]));
        let mut kept = vec![
            translations,
            protected,
            literals,
            small(5),
            nothing,
            nothing,
            own,
            calls,
        ];
        kept.extend([36, 0, 2, 6, first as i32, 10, 6, second as i32, 20].map(small));
        let kept = made.heap.array(&kept);
        let table = made.table(&[(0, position(60, 0))]);
        made.heap.code(AT, SIZE, MAGLEV, kept, table);
        let mut looping = Self {
            made,
            function,
            kept,
            literals,
            bytecodes,
        };
        looping.safepoints(&[[10, 1, 37, 0], [20, 2, 41, 0], [30, 0, 0, 0]]);
        looping
    }

    /// Stack slots, entries, widths (with exits, no registers, places of one
    /// byte, exits of one), tagged slots; then each entry.
    fn safepoints(&mut self, entries: &[[u8; 4]]) {
        let head = [7, entries.len() as u32, 1 | 1 << 4 | 1 << 7, 2];
        let head = head.map(u32::to_le_bytes).concat();
        for (index, word) in (0..).zip(packed(&[&head[..], &entries.concat()].concat())) {
            self.made
                .heap
                .set_code(AT + SIZE as usize + 8 * index, word);
        }
    }

    fn told(&self, place: u64) -> Vec<(String, Option<u32>)> {
        self.made.told(self.function, CODE + AT as u64 + place)
    }

    fn may_lack_some(&self, place: u64) -> bool {
        let seen = SeenFunction {
            code: CODE + AT as u64 + place,
            ..seen(self.function)
        };
        self.made.heap.describe(&seen).unwrap().may_lack_some
    }
}

/// Calls in a loop have their own lines, and so have the callers of functions
/// that were put into one another; also where the exit stands in the return
/// address's place.
#[test]
fn exits_tell_every_frame() {
    let looping = Looping::new();
    for place in [10, 36] {
        assert_eq!(
            looping.told(place),
            frames(&[("handle", Some(80))]),
            "{place}"
        );
    }
    let all = [
        ("inner", Some(40)),
        ("outer", Some(30)),
        ("handle", Some(80)),
    ];
    for place in [20, 40] {
        assert_eq!(looping.told(place), frames(&all), "{place}");
    }
    // Of a loop that was running, the table of positions tells the loop's only.
    for place in [30, 31] {
        assert_eq!(looping.told(place), frames(&[("handle", None)]), "{place}");
    }
}

/// The opcodes of other versions are not known: their exits are not read.
#[test]
fn exits_of_unknown_versions_are_not_read() {
    let mut looping = Looping::new();
    for version in [[13, 5, 999], [14, 7, 0], [12, 4, 254]] {
        looping.made.heap.layout.version = version;
        assert_eq!(looping.told(20), frames(&[("handle", None)]), "{version:?}");
    }
}

/// What the exit says contradicts itself: only the function is certain, and
/// that others may be missing is told.
#[test]
fn exits_that_contradict_themselves_leave_the_name() {
    // Its outermost function is another; one is none; the bytecode is none; the
    // translation does not begin there, or is not at all; no literals.
    let damages: [fn(&mut Looping); 6] = [
        |it| {
            let other = it.made.info("other");
            it.made.heap.set(it.literals, 16 + 16, other);
        },
        |it| it.made.heap.set(it.literals, 16, small(3)),
        |it| it.made.heap.set(it.bytecodes[1], 0, small(3)),
        |it| it.made.heap.set(it.kept, 16 + 8 * 15, small(1)),
        |it| it.made.heap.set(it.kept, 16, small(1)),
        |it| it.made.heap.set(it.kept, 16 + 16, small(1)),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let mut looping = Looping::new();
        assert!(!looping.may_lack_some(20));
        damage(&mut looping);
        assert_eq!(looping.told(20), frames(&[("handle", None)]), "{number}");
        assert!(looping.may_lack_some(20), "{number}");
    }
}

/// Positions that cannot be read now, as while garbage is collected, are to be
/// asked for again: the loop's position does not stand for them.
#[test]
fn a_table_on_the_move_is_incomplete() {
    let mut looping = Looping::new();
    let seen = SeenFunction {
        code: CODE + AT as u64 + 20,
        ..seen(looping.function)
    };
    assert!(!looping.made.heap.describe(&seen).unwrap().is_incomplete());
    looping.made.heap.set(looping.bytecodes[0], 24, small(0));
    assert!(looping.made.heap.describe(&seen).unwrap().is_incomplete());
}

/// Tables of as many entries as four bytes can say, or of members that no
/// table has, are refused.
#[test]
fn senseless_safepoints_are_no_exits() {
    let mut looping = Looping::new();
    let at = AT + SIZE as usize;
    let widths = 1 | 1 << 4 | 1 << 7;
    for (count, widths) in [
        (u32::MAX, widths),
        (1 << 17, widths),
        (3, widths ^ 1),
        (3, 1),
        (3, 0x3ff),
    ] {
        looping.made.heap.set_code(at, u64::from(count) << 32 | 7);
        looping.made.heap.set_code(at + 8, 2 << 32 | widths);
        assert_eq!(
            looping.told(20),
            frames(&[("handle", None)]),
            "{count} {widths:#x}"
        );
    }
}

fn instructions() -> impl Strategy<Value = Vec<Instruction>> {
    let number = prop_oneof![0..4_u64, any::<u64>().prop_map(|it| it >> 1)];
    let small = 0..4_u64;
    let frame = (small.clone(), small.clone(), small).prop_map(|(a, b, c)| frame(a, b, c));
    let value = (
        prop_oneof![Just(16_u8), Just(38), Just(39), Just(40)],
        number,
    )
        .prop_map(|(opcode, number)| (opcode, vec![number]));
    let plain = prop_oneof![Just(12_u8), Just(37)].prop_map(|opcode| (opcode, vec![]));
    vec(prop_oneof![2 => frame, 5 => value, 1 => plain], 1..12)
}

proptest! {
    /// Translations that share what they have in common, as V8 writes them, are
    /// read as they were.
    #[test]
    fn translations_are_read_as_they_were_written(written in vec(instructions(), 1..12)) {
        let mut translations = Translations::default();
        let mut expected = Vec::new();
        for instructions in &written {
            let frames: Vec<_> = (instructions.iter())
                .filter(|(opcode, _)| *opcode == 1)
                .map(|(_, operands)| InterpretedFrame {
                    offset: operands[0] as u32 / 2,
                    info: operands[1] as u32 / 2,
                    bytecode: operands[2] as u32 / 2,
                })
                .collect();
            let index = translations.add(instructions, frames.len() as u64);
            expected.push((index, frames));
        }
        for (index, frames) in expected {
            let read = translation::frames(&translations.bytes, index);
            prop_assert_eq!(read, (!frames.is_empty()).then_some(frames));
        }
    }

    /// Bytes of no order end, with no more frames than a function has.
    #[test]
    fn arbitrary_translations_are_bounded(bytes in vec(prop_oneof![0..50_u8, any::<u8>()], 0..400)) {
        for index in 0..=bytes.len() {
            let frames = translation::frames(&bytes, index);
            prop_assert!(frames.is_none_or(|frames| frames.len() <= 64));
        }
    }
}
