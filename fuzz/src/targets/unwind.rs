//! Unwinding over a stack, registers and tables that the target wrote.

use tracer::symbolize::{elf, unwind_table::UnwindTable};
use tracer_common::unwind::{
    Walk, frame,
    replay::{Replay, Table},
};

use crate::seeds;

/// Where the stack stands in memory, and the code.
const STACK: u64 = 0x7ffd_0000_0000;
const CODE: u64 = 0x5555_0000_0000;
/// Bytes of code mapped.
const CODE_BYTES: u64 = 1 << 32;

/// An input begins with the registers: code, stack and frame pointer.
const REGISTERS: usize = 3;

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let stack = |frames: u64| {
        let frame = |number| [STACK + (number + 1) * 16, CODE + 0x1000 + number * 0x100];
        let registers = [CODE + 0x1234, STACK, STACK];
        let frames = (0..frames).flat_map(frame).chain([0, 0]);
        let words = registers.into_iter().chain(frames);
        words.flat_map(u64::to_le_bytes).collect()
    };
    Ok(vec![stack(5), stack(126), stack(127), stack(300)])
}

/// A stack over the tables of one object.
pub fn run(bytes: &[u8]) {
    thread_local! {
        static TABLE: UnwindTable = seeds::objects()
            .ok()
            .and_then(|objects| elf::unwind_table(objects.first()?).ok())
            .unwrap_or_default();
    }
    TABLE.with(|table| walk(table, bytes));
}

/// An object's tables: sound, the same once written and read, and bounded in
/// what they lead a walk to.
pub fn run_table(bytes: &[u8]) {
    let digest = elf::unwind_digest(bytes);
    let Ok(table) = elf::unwind_table(bytes) else {
        return;
    };
    assert_eq!(digest.map(|it| it.len()).ok(), Some(64));
    assert_eq!(
        UnwindTable::from_bytes(&table.to_bytes()),
        Some(table.clone())
    );
    // By many of its rules, over itself as a stack.
    let registers = [
        CODE + (u64::from(table.first_page) << 16),
        STACK,
        STACK + 64,
    ];
    let mut input: Vec<u8> = registers.iter().flat_map(|it| it.to_le_bytes()).collect();
    input.extend(bytes.iter().take(4096));
    walk(&table, &input);
}

fn walk(table: &UnwindTable, bytes: &[u8]) {
    let (words, _) = bytes.as_chunks::<8>();
    let register = |index: usize| words.get(index).map_or(0, |word| u64::from_le_bytes(*word));
    let stack = bytes.get(REGISTERS * 8..).unwrap_or_default();
    let mut replay = Replay::new(STACK, stack.to_vec());
    let table = Table {
        first_page: table.first_page,
        pages: &table.pages,
        rows: &table.rows,
        specials: &table.specials,
    };
    replay.map(CODE, CODE_BYTES, 0, &table);
    let start = Walk {
        code: register(0),
        stack_pointer: register(1),
        frame_pointer: register(2),
        ..Walk::default()
    };
    let (walk, frames) = replay.walk(start);
    assert!(walk.ending != 0 && !frames.is_empty());
    assert_eq!(frame::address(frames[0]), frame::address(start.code));
    // Again, with the rules that were found.
    let (again, same) = replay.walk(start);
    assert_eq!((again.ending, same), (walk.ending, frames));
}
