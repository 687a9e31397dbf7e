//! The searches against plain ones, and walks over stacks made here.

use proptest::prelude::*;

use super::{
    code::{CHUNK_ROWS, MAPPINGS_MAX, Page, SpaceCode},
    replay::{Replay, Table},
    row::{Base, Rule, Saved, Special, SpecialKind, row},
    *,
};
use crate::{
    FRAMES_MAX,
    javascript::{INFO_WORDS, Slots},
};

/// Where the programs of these tests stand: one page of one file.
const CODE: u64 = 0x40_0000;
/// What a return probe puts in place of a return address.
const TRAMPOLINE: u64 = 0x7fff_ffff_e000;
/// Their stacks.
const STACK: u64 = 0x6000;

/// A program and its stack, by address.
fn program(rows: &[(u16, Rule)], specials: &[Special], stack: &[(u64, u64)]) -> Replay {
    let mut replay = Replay::new(STACK, vec![0; 0x4000]);
    let rows: Vec<u32> = rows
        .iter()
        .map(|(place, rule)| row(*place, *rule))
        .collect();
    let table = Table {
        first_page: 0,
        pages: &[rows.len() as u16],
        rows: &rows,
        specials,
    };
    replay.map(CODE, 0x1_0000, 0, &table);
    for (address, word) in stack {
        set(&mut replay, *address, *word);
    }
    replay
}

/// Writes a word of the stack; what stood there.
fn set(replay: &mut Replay, address: u64, word: u64) -> u64 {
    let at = (address - STACK) as usize;
    let place: &mut [u8; 8] = replay.stack[at..]
        .first_chunk_mut()
        .expect("within the stack");
    u64::from_le_bytes(std::mem::replace(place, word.to_le_bytes()))
}

fn special(kind: SpecialKind) -> Special {
    Special {
        kind: kind as u32,
        ..Special::default()
    }
}

/// `words` up the stack from `start`.
fn stack(start: u64, words: &[u64]) -> Vec<(u64, u64)> {
    (start..).step_by(8).zip(words.iter().copied()).collect()
}

fn by_stack(offset: i64, saved: Option<i64>) -> Rule {
    Rule::new(Base::StackPointer, offset, saved).expect("it fits a row")
}

/// Four functions: without a frame pointer, with a saved one, keeping it, and
/// the outermost; and what stands on the stack when they have called each other.
fn four(saved_at: u64) -> Replay {
    four_after(special(SpecialKind::Unknown), saved_at)
}

/// The same with a rule of its own for what stands before the first.
fn four_after(first: Special, saved_at: u64) -> Replay {
    program(
        &[
            (0x0000, Rule::special(0)),
            (0x0100, by_stack(16, None)),
            (0x0200, by_stack(24, Some(-16))),
            (0x0300, Rule::FRAME_POINTER),
            (0x0400, Rule::special(1)),
        ],
        &[first, special(SpecialKind::Root)],
        &stack(
            0x7000,
            &[
                0x11,
                CODE + 0x300, // behind a call that is the last instruction of 0x200
                0x12,
                saved_at,
                CODE + 0x340,
                0x13,
                0x99,
                CODE + 0x401,
                0x14,
            ],
        ),
    )
}

const START: Walk = Walk {
    code: CODE + 0x180,
    stack_pointer: 0x7000,
    frame_pointer: 1,
    window_start: 0,
    mark: 0,
    cfa: 0,
    saved: 0,
    frames: 0,
    interrupted: 0,
    mapping: 0,
    ending: 0,
    rule: 0,
    is_managed: 0,
    slots: Slots {
        code: 0,
        function: 0,
        bytecode: 0,
        offset: 0,
    },
    object: [0; INFO_WORDS],
};

/// Each caller is found, by the row of its call, up to the root.
#[test]
fn each_kind_of_frame_is_followed() {
    let (walk, frames) = four(0x7030).walk(START);
    let expected = [0x180, 0x300, 0x340, 0x401].map(|offset| CODE + offset);
    assert_eq!(frames, expected);
    assert_eq!(walk.ending, Ending::Root as u32);
    assert_eq!((walk.stack_pointer, walk.frame_pointer), (0x7040, 0x99));
}

/// A return address that a return probe has taken is asked for by its place,
/// and leaves no trace in the stack; what only looks like one is marked.
#[test]
fn displaced_returns_are_found() {
    let mut program = four(0x7030);
    let real = set(&mut program, 0x7020, TRAMPOLINE);
    let (_, unknown) = program.walk(START);
    assert_eq!(
        unknown[2..],
        [TRAMPOLINE, (CODE + 0x401) | frame::APPROXIMATE]
    );
    program.displaced.push((0x7020, real));
    assert_eq!(program.walk(START), four(0x7030).walk(START));
}

/// Code without a row is followed by the frame pointer, and its caller marked;
/// with a frame pointer that cannot be one the walk ends.
#[test]
fn code_without_a_row_is_approximate() {
    let start = Walk {
        code: 0x1234,
        stack_pointer: 0x7020,
        frame_pointer: 0x7030,
        ..START
    };
    let (walk, frames) = four(0).walk(start);
    let caller = CODE + 0x401;
    assert_eq!(frames, [0x1234, frame::word(caller, frame::APPROXIMATE)]);
    assert!(frame::is_approximate(frames[1]) && frame::address(frames[1]) == caller);
    assert_eq!(walk.ending, Ending::Root as u32);
    for frame_pointer in [0x7018, 0x7031, 0, 1 << 40] {
        let (walk, frames) = four(0).walk(Walk {
            frame_pointer,
            ..start
        });
        assert_eq!((walk.ending, frames.len()), (Ending::NoRule as u32, 1));
    }
}

/// Out of a signal handler the walk goes on where the program was interrupted,
/// whose row is that of the instruction itself, on whatever stack.
#[test]
fn signal_handlers_are_left() {
    let mut program = four_after(special(SpecialKind::Signal), 0x7030);
    // rt_sigframe, far above: ucontext at 0x9000, its registers 40 bytes on.
    for index in 0..17 {
        set(&mut program, 0x9000 + 40 + index * 8, index);
    }
    set(&mut program, 0x9000 + 40 + 10 * 8, 1); // rbp
    set(&mut program, 0x9000 + 40 + 15 * 8, 0x7000); // rsp
    set(&mut program, 0x9000 + 40 + 16 * 8, CODE + 0x100); // rip
    let (walk, frames) = program.walk(Walk {
        code: CODE + 0x10,
        stack_pointer: 0x9000,
        ..START
    });
    let expected = [0x10, 0x100, 0x300, 0x340, 0x401].map(|offset| CODE + offset);
    assert_eq!(frames, expected);
    assert_eq!(walk.ending, Ending::Root as u32);
}

/// A slot of the procedure linkage table has pushed a word or not, by how far
/// in its sixteen bytes it is.
#[test]
fn linkage_slots_are_told_apart() {
    for (code, pushed) in [(CODE + 0x16, 0), (CODE + 0x1b, 1)] {
        let slot = Special {
            offset: 11,
            ..special(SpecialKind::ProcedureLinkage)
        };
        let mut program = four_after(slot, 0x7030);
        set(&mut program, 0x7040, CODE + 0x401);
        let (_, frames) = program.walk(Walk {
            code,
            stack_pointer: 0x7040 - pushed * 8,
            interrupted: 1,
            ..START
        });
        assert_eq!(frames, [code, CODE + 0x401]);
    }
}

/// A frame that was aligned: the CFA stands on the stack, the frame pointer
/// where it points to.
#[test]
fn aligned_frames_are_followed() {
    let aligned = Special {
        saved: Saved::AtFramePointer as u32,
        offset: -8,
        addend: 16,
        ..special(SpecialKind::AtFramePointer)
    };
    let mut program = four_after(aligned, 0x7030);
    for (address, word) in [
        (0x7048, 0x7080 - 16),
        (0x7050, 0x7030),
        (0x7078, CODE + 0x340),
    ] {
        set(&mut program, address, word);
    }
    let (walk, frames) = program.walk(Walk {
        code: CODE + 0x20,
        frame_pointer: 0x7050,
        ..START
    });
    // From there on it makes no sense.
    assert_eq!(frames, [CODE + 0x20, CODE + 0x340]);
    assert_ne!(walk.ending, 0);
}

/// A stack of as many frames as are kept is whole; one more is cut, and said so.
#[test]
fn deep_stacks_are_cut() {
    for (depth, ending) in [(126, Ending::Root), (127, Ending::Truncated)] {
        let mut words: Vec<u64> = (0..depth).map(|_| CODE + 0x150).collect();
        words.extend([0; 80]);
        let mut program = program(&[(0, by_stack(8, None))], &[], &stack(0x7000, &words));
        set(&mut program, 0x6ff8, 0);
        let (walk, frames) = program.walk(START);
        assert_eq!((frames.len(), walk.ending), (FRAMES_MAX, ending as u32));
    }
}

proptest! {
    /// The search among mappings finds what a plain one finds.
    #[test]
    fn mappings_are_found(starts in proptest::collection::btree_set(0u64..1 << 47, 1..MAPPINGS_MAX), near in any::<prop::sample::Index>(), by in -2i64..3) {
        let starts: Vec<u64> = starts.into_iter().collect();
        let mut code = SpaceCode::default();
        code.mapped.starts[..starts.len()].copy_from_slice(&starts);
        let address = starts[near.index(starts.len())].saturating_add_signed(by);
        let plain = starts.partition_point(|start| *start <= address).saturating_sub(1);
        prop_assert_eq!(code.mapped.candidate(address), plain);
    }

    /// The search in a page finds what a plain one finds, wherever its rows stand.
    #[test]
    fn rows_are_found(places in proptest::collection::btree_set(1u16.., 0..700), first in 0u16..7000, offset in 0u64..1 << 20) {
        let mut places: Vec<u16> = places.into_iter().collect();
        places.insert(0, 0);
        let mut rows = [u32::MAX; CHUNK_ROWS];
        for (index, place) in places.iter().enumerate() {
            rows[usize::from(first) + index] = row(*place, Rule(index as u16));
        }
        let page = Page::new(3, first, places.len() as u16);
        let plain = places.partition_point(|place| *place <= offset as u16) - 1;
        prop_assert_eq!((page.rule(&rows, offset), page.chunk()), (Rule(plain as u16), 3));
    }

    /// Whatever stands on the stack and in the tables, a walk ends, within its
    /// bound, and the same way each time.
    #[test]
    fn hostile_memory_ends(
        rows in proptest::collection::vec((any::<u16>(), 0u16..0xc000), 1..20),
        kinds in proptest::collection::vec((0u32..9, 0u32..5, -64i32..64, -64i32..64), 1..9),
        words in proptest::collection::vec(prop_oneof![Just(0), CODE..CODE + 0x1_0000, 0x7000u64..0x7400, Just(TRAMPOLINE), any::<u64>()], 128),
        code in CODE..CODE + 0x1_0000,
        frame_pointer in 0x6ff8u64..0x7400,
    ) {
        let mut rows: Vec<(u16, Rule)> = rows.into_iter().map(|(place, rule)| (place, Rule(rule))).collect();
        rows.sort_unstable_by_key(|(place, _)| *place);
        rows[0].0 = 0;
        let specials: Vec<Special> = kinds.into_iter().map(|(kind, saved, offset, saved_offset)| Special {
            kind, saved, offset: offset * 8, saved_offset: saved_offset * 8, addend: offset, reserved: 0,
        }).collect();
        let program = program(&rows, &specials, &stack(0x7000, &words));
        let start = Walk { code, stack_pointer: 0x7000, frame_pointer, ..Walk::default() };
        let (walk, frames) = program.walk(start);
        prop_assert!(walk.ending != 0 && !frames.is_empty());
        prop_assert_eq!(program.walk(start), (walk, frames));
    }
}
