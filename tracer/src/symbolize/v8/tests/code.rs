//! Where functions are, in bytecode and in compiled code.

use super::encoder::{position, statements};
use super::heap::{ARRAY, BASELINE, BYTES, CODE, MAGLEV, MadeHeap, OPTIMISED, packed, seen, small};
use crate::symbolize::v8::{Described, SeenFunction};

/// A byte of four bits for operands, one of three bytes, one of one byte.
const CODES: [u8; 5] = [4, 6, 0xff, 0xff, 4];

/// The functions of a script.
pub struct Functions {
    pub heap: MadeHeap,
    script: u64,
}

impl Functions {
    pub fn new() -> Self {
        let mut heap = MadeHeap::new();
        let path = heap.string("/srv/app.js");
        Self {
            script: heap.script(31, path, small(0)),
            heap,
        }
    }

    pub fn info(&mut self, name: &str) -> u64 {
        let name = self.heap.string(name);
        self.heap.info(name, self.script)
    }

    /// A function, and its info.
    pub fn named(&mut self, name: &str) -> (u64, u64) {
        let info = self.info(name);
        (self.heap.function(info), info)
    }

    /// What a compiler kept of this function, and of those that it put into it:
    /// their infos; and of each call of one where it was and which was called.
    fn kept(&mut self, own: u64, literals: &[u64], calls: &[(i64, i32)]) -> u64 {
        let literals = self.heap.array(literals);
        let calls = self.calls(calls);
        self.kept_as(own, literals, calls)
    }

    fn calls(&mut self, calls: &[(i64, i32)]) -> u64 {
        let bytes = calls.iter().flat_map(|(position, function)| {
            let number = i64::from(*function) & 0xffff_ffff;
            [position.to_le_bytes(), number.to_le_bytes()].concat()
        });
        self.heap.bytes(&bytes.collect::<Vec<u8>>())
    }

    fn kept_as(&mut self, own: u64, literals: u64, calls: u64) -> u64 {
        let nothing = small(0);
        let kept = [
            nothing, nothing, literals, nothing, nothing, nothing, own, calls,
        ];
        self.heap.array(&kept)
    }

    pub fn table(&mut self, entries: &[(u32, i64)]) -> u64 {
        self.heap.bytes(&statements(entries))
    }

    /// Names and positions of the frames of a function in code.
    pub fn told(&self, function: u64, code: u64) -> Vec<(String, Option<u32>)> {
        let seen = SeenFunction {
            code,
            ..seen(function)
        };
        names_of(&self.heap.describe(&seen).unwrap())
    }
}

fn names_of(described: &Described) -> Vec<(String, Option<u32>)> {
    let frame = |it: &crate::symbolize::v8::DescribedFrame| (it.name.clone(), it.position);
    described.frames.iter().map(frame).collect()
}

pub fn frames(expected: &[(&str, Option<u32>)]) -> Vec<(String, Option<u32>)> {
    let owned = |(name, position): &(&str, _)| ((*name).to_owned(), *position);
    expected.iter().map(owned).collect()
}

/// All positions of an interpreted function are told at once, from its first
/// bytecode's place in the object on; its frames differ in nothing else.
#[test]
fn an_interpreted_function_is_told_with_all_its_positions() {
    let mut made = Functions::new();
    let (function, _) = made.named("handle");
    let outside = position(99, 0) | 1;
    let table = made.table(&[(0, position(10, 0)), (1, outside), (4, position(7, 0))]);
    let seen = SeenFunction {
        bytecode: made.heap.bytecode(&CODES, table),
        bytecode_offset: 64,
        in_builtin: true,
        ..seen(function)
    };
    let told = made.heap.describe(&seen).unwrap();
    assert_eq!(names_of(&told), frames(&[("handle", None)]));
    assert_eq!(told.positions, [(63, 10), (67, 7)]);
    // Since V8 14 there are two flags below each step: three, one.
    made.heap.layout.version = [14, 0, 0];
    let table = made.heap.bytes(&[3 << 2, 44, 1 << 2 | 3, 7]);
    made.heap.set(seen.bytecode, 24, table);
    let told = made.heap.describe(&seen).unwrap();
    assert_eq!(told.positions, [(65, 10), (66, 8)]);
    // Bytes of what is no array of them, and a table not made yet: the name is known without.
    let other = made.heap.object(ARRAY, &[small(2), packed(&[4, 44])[0]]);
    for table in [other, small(0)] {
        made.heap.set(seen.bytecode, 24, table);
        let told = made.heap.describe(&seen).unwrap();
        assert_eq!(names_of(&told), frames(&[("handle", None)]));
        assert_eq!(told.positions, []);
    }
}

/// A builtin that is called in no bytecode is V8's own: it is not told twice.
#[test]
fn builtins_are_not_functions() {
    let mut made = Functions::new();
    let (function, _) = made.named("handle");
    let seen = SeenFunction {
        in_builtin: true,
        ..seen(function)
    };
    assert_eq!(made.heap.describe(&seen), None);
}

/// A frame of baseline code is where the bytecode of its call is.
#[test]
fn a_baseline_function_is_told_by_its_bytecode() {
    let mut made = Functions::new();
    let (function, _) = made.named("handle");
    let entries = [(0, 10), (1, 20), (4, 30)].map(|(code, it)| (code, position(it, 0)));
    let table = made.table(&entries);
    // Ten bytes before the first bytecode, then of each.
    let lengths = made.heap.bytes(&[10, 5, 20, 7]);
    made.heap.code(0x4000, 42, BASELINE, small(0), lengths);
    let seen = |bytecode, place| SeenFunction {
        code: CODE + 0x4000 + place,
        bytecode,
        ..seen(function)
    };
    let bytecode = made.heap.bytecode(&CODES, table);
    for (place, position) in [(11, 10), (15, 10), (16, 20), (35, 20), (36, 30), (42, 30)] {
        let told = made.heap.describe(&seen(bytecode, place)).unwrap();
        assert_eq!(
            names_of(&told),
            frames(&[("handle", Some(position))]),
            "{place}"
        );
    }
    // Bytecode that is none.
    let other = made.heap.bytes(&CODES);
    let told = made.heap.describe(&seen(other, 16)).unwrap();
    assert_eq!(names_of(&told), frames(&[("handle", None)]));
}

/// `inner` put into `outer` put into the function itself: three frames, the
/// innermost first, each where it called the one before.
#[test]
fn functions_put_into_one_another_have_frames_of_their_own() {
    let mut made = Functions::new();
    let (function, own) = made.named("handle");
    let infos = [made.info("outer"), made.info("inner")];
    let calls = [
        (position(70, 0), 0),
        (position(30, 1), 1),
        (position(80, 0), -1),
    ];
    let kept = made.kept(own, &infos, &calls);
    let entries = [
        (0, 0, 60),
        (8, 2, 12),
        (16, 1, 35),
        (24, 3, 65),
        (32, 0, 90),
    ];
    let table = made.table(&entries.map(|(code, inlined, it)| (code, position(it, inlined))));
    made.heap.code(0x4000, 48, OPTIMISED, kept, table);
    let expected: [(u64, &[_]); 7] = [
        (8, &[("handle", Some(60))]),
        (
            9,
            &[
                ("inner", Some(12)),
                ("outer", Some(30)),
                ("handle", Some(70)),
            ],
        ),
        (
            16,
            &[
                ("inner", Some(12)),
                ("outer", Some(30)),
                ("handle", Some(70)),
            ],
        ),
        (17, &[("outer", Some(35)), ("handle", Some(70))]),
        // It calls itself.
        (25, &[("handle", Some(65)), ("handle", Some(80))]),
        (33, &[("handle", Some(90))]),
        // Behind its end.
        (49, &[("handle", None)]),
    ];
    for (place, expected) in expected {
        let told = made.told(function, CODE + 0x4000 + place);
        assert_eq!(told, frames(expected), "{place}");
    }
}

/// A frame that is to go on in the interpreter has an exit for a return address:
/// it is where that says. Where an exit says itself, as Maglev's do, nothing is known.
#[test]
fn exits_tell_where_the_call_was() {
    let mut made = Functions::new();
    let (function, own) = made.named("handle");
    let (literals, calls) = (made.heap.array(&[]), made.calls(&[]));
    let (nothing, loop_at) = (small(0), small(-1));
    let mut kept = vec![
        nothing, nothing, literals, loop_at, nothing, nothing, own, calls,
    ];
    // From 32 on, by kind; then place in bytecode, a number, place in the code.
    kept.extend([32, 1, 2, 7, 0, -1, 9, 0, 12, 9, 0, 40].map(small));
    let kept = made.heap.array(&kept);
    let table = made.table(&[
        (0, position(60, 0)),
        (10, position(70, 0)),
        (20, position(90, 0)),
    ]);
    made.heap.code(0x4000, 48, OPTIMISED, kept, table);
    for (place, expected) in [
        (9, Some(60)),
        (31, Some(90)),
        (32, None),
        (36, Some(70)),
        (40, None),
    ] {
        let told = made.told(function, CODE + 0x4000 + place);
        assert_eq!(told, frames(&[("handle", expected)]), "{place}");
    }
}

/// Maglev's code for a loop that runs has the loop's position for all calls: no line is told.
#[test]
fn a_loops_position_is_not_told() {
    let mut made = Functions::new();
    let (function, own) = made.named("handle");
    let (literals, calls) = (made.heap.array(&[]), made.calls(&[]));
    let nothing = small(0);
    let table = made.table(&[(0, position(60, 0))]);
    for (compiler, loop_at, expected) in [
        (MAGLEV, 5, None),
        (MAGLEV, -1, Some(60)),
        (OPTIMISED, 5, Some(60)),
    ] {
        let loop_at = small(loop_at);
        let kept = [
            nothing, nothing, literals, loop_at, nothing, nothing, own, calls,
        ];
        let kept = made.heap.array(&kept);
        made.heap.code(0x4000, 48, compiler, kept, table);
        let told = made.told(function, CODE + 0x4001);
        assert_eq!(told, frames(&[("handle", expected)]), "{compiler}");
    }
}

/// What the compiler kept contradicts itself: only the function is certain.
#[test]
fn inlined_functions_that_are_none_leave_the_name() {
    let mut made = Functions::new();
    let (function, own) = made.named("handle");
    let (no_info, info) = (made.heap.string("inner"), made.info("behind"));
    // The second stands behind the array's end, and so does the third call.
    let literals = made.heap.array(&[no_info, info]);
    made.heap.set(literals, 8, small(1));
    let calls = made.calls(&[
        (position(1, 0), 0),
        (position(1, 0), 1),
        (position(1, 0), -1),
    ]);
    made.heap.set(calls, 8, small(47));
    let kept = made.kept_as(own, literals, calls);
    let entries = [(0, 1), (8, 2), (16, 3), (24, 0xffff)];
    let table = made.table(&entries.map(|(code, inlined)| (code, position(5, inlined))));
    made.heap.code(0x4000, 48, OPTIMISED, kept, table);
    for place in [1, 9, 17, 25] {
        let told = made.told(function, CODE + 0x4000 + place);
        assert_eq!(told, frames(&[("handle", None)]), "{place}");
    }
    made.heap.set(calls, 8, small(48));
    let told = made.told(function, CODE + 0x4011);
    assert_eq!(told, frames(&[("handle", Some(5)), ("handle", Some(1))]));
}

/// Code dies and other code takes its place: a frame of code that says it is of
/// another function is told by its name only.
#[test]
fn code_of_another_function_is_refused() {
    let mut made = Functions::new();
    let ((function, own), other) = (made.named("handle"), made.info("other"));
    let table = made.table(&[(0, position(60, 0))]);
    for (info, expected) in [(own, Some(60)), (other, None), (small(1), None)] {
        let kept = made.kept(info, &[], &[]);
        made.heap.code(0x4000, 48, OPTIMISED, kept, table);
        let told = made.told(function, CODE + 0x4001);
        assert_eq!(told, frames(&[("handle", expected)]));
    }
    // Those that were put into it are not known, and that is told.
    let seen = |code| SeenFunction {
        code: CODE + code,
        ..seen(function)
    };
    assert!(made.heap.describe(&seen(0x4001)).unwrap().may_lack_some);
    let kept = made.kept(own, &[], &[]);
    made.heap.code(0x4000, 48, OPTIMISED, kept, table);
    assert!(!made.heap.describe(&seen(0x4001)).unwrap().may_lack_some);
    // Since V8 13 something stands between.
    made.heap.layout.code.is_wrapped = true;
    for (info, expected) in [(own, Some(60)), (other, None)] {
        let wrapper = made.heap.object(BYTES, &[info]);
        let kept = made.kept(wrapper, &[], &[]);
        made.heap.code(0x4000, 48, OPTIMISED, kept, table);
        let told = made.told(function, CODE + 0x4001);
        assert_eq!(told, frames(&[("handle", expected)]));
    }
}

/// Code is found from every place in it, over what looks like the beginning of
/// other code, however far that is, and from nowhere else.
#[test]
fn code_is_found_by_any_place_in_it() {
    const START: u64 = CODE + 0x8000;
    const SIZE: u32 = 0x2_0000;
    let mut made = Functions::new();
    let (function, own) = made.named("handle");
    let (kept, table) = (
        made.kept(own, &[], &[]),
        made.table(&[(0, position(60, 0))]),
    );
    let code = made.heap.code(0x8000, SIZE, OPTIMISED, kept, table);
    // Code that begins elsewhere, and what is none.
    made.heap.set_code(0x8ff8, code);
    made.heap.set_code(0x9ff8, kept);
    made.heap.set_code(0xaff8, 0x11);
    let places = [
        1, 31, 32, 33, 0x1001, 0x3f81, 0x4000, 0x4001, 0x1_2345, 0x2_0000,
    ];
    for place in places {
        let told = made.told(function, START + place);
        assert_eq!(told, frames(&[("handle", Some(60))]), "{place:#x}");
    }
    for place in [
        START - 1,
        START + u64::from(SIZE) + 1,
        CODE,
        0,
        1,
        1 << 46,
        u64::MAX,
    ] {
        assert_eq!(
            made.told(function, place),
            frames(&[("handle", None)]),
            "{place:#x}"
        );
    }
    // Three words before the first instruction, in some versions.
    made.heap.set_code(0x8000 - 8, 0xcccc_cccc_cccc_cccc);
    assert_eq!(made.told(function, START + 1), frames(&[("handle", None)]));
    made.heap.set_code(0x8000 - 24, code);
    assert_eq!(
        made.told(function, START + 1),
        frames(&[("handle", Some(60))])
    );
}

/// In V8 10 the code is in the object, behind its head.
#[test]
fn code_within_its_object_is_found() {
    let mut made = Functions::new();
    let (function, own) = made.named("handle");
    let table = made.table(&[(0, position(60, 0)), (32, position(61, 0))]);
    let kept = made.kept(own, &[], &[]);
    let code = &mut made.heap.layout.code;
    (code.is_apart, code.start, code.size, code.flags) = (false, 128, 40, 48);
    (code.positions, code.deoptimization, code.function) = (24, 16, None);
    let map = made.heap.map(super::heap::COMPILED);
    let size_and_flags = packed(&[[200, 0, 0, 0, 0, 0, 0, 0], [12, 0, 0, 0, 0, 0, 0, 0]].concat());
    let words = [&[map, 0, kept, table, 0], &size_and_flags[..]].concat();
    for (index, word) in words.into_iter().enumerate() {
        made.heap.set_code(0x5000 + 8 * index, word);
    }
    let start = CODE + 0x5000 + 128;
    for (place, expected) in [(1, Some(60)), (33, Some(61)), (200, Some(61)), (201, None)] {
        let told = made.told(function, start + place);
        assert_eq!(told, frames(&[("handle", expected)]), "{place}");
    }
}
