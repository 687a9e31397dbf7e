//! The exits of Maglev's code back to the interpreter: one for each call from
//! which the code might not be returned to. Each knows exactly which functions
//! the code runs there and where in their bytecode they are, as its table of
//! positions does not.

use super::answer::DescribedFrame;
use super::code::Code;
use super::function::{self, Info};
use super::heap::{Heap, address_of, integer_of};
use super::{Memory, translation};

/// Before the exits of code: see `code`.
pub(super) const FIRST_EXIT: u32 = 4;
/// Elements of each exit: bytecode, translation, place in the code.
pub(super) const EXIT_ELEMENTS: u32 = 3;
const EXIT_TRANSLATION: u32 = 1;
/// Where in the data the translations are.
const TRANSLATIONS: u32 = 0;
/// The literals that are protected stand before the others.
const PROTECTED_BEFORE: u32 = 1;

/// Words of 32 bits at the head of a safepoint table
/// (`src/codegen/maglev-safepoint-table.h`): slots of the stack, entries, how
/// wide an entry's members are, slots that are tagged.
const HEAD_BYTES: usize = 16;
const ENTRIES: usize = 4;
const WIDTHS: usize = 8;
/// Entries of one table.
const MAX_ENTRIES: usize = 1 << 16;

/// The number of the exit of Maglev's code for a frame that goes on at `place`.
/// Calls from which it is always returned to have none.
pub(super) fn at<M: Memory>(heap: &Heap<'_, M>, code: &Code, place: u64) -> Option<u32> {
    if !heap.layout.has_known_translations() {
        return None;
    }
    find(heap, code.end(heap)?, code.place(place)?)
}

/// The frames of code where it has this exit, innermost first; the last is of `own`.
pub(super) fn frames<M: Memory>(
    heap: &Heap<'_, M>,
    data: u64,
    exit: u32,
    own: &Info,
) -> Option<Vec<DescribedFrame>> {
    let layout = &heap.layout.code;
    let element = (layout.inlining)
        .checked_add(FIRST_EXIT + EXIT_TRANSLATION)?
        .checked_add(exit.checked_mul(EXIT_ELEMENTS)?)?;
    let index = integer_of(heap.element(data, element)?)?;
    let translations = heap.byte_array(heap.element(data, TRANSLATIONS)?)?;
    let frames = translation::frames(&translations, usize::try_from(index).ok()?)?;
    let literals = address_of(heap.element(data, layout.literals)?)?;
    let bytecodes = layout.literals.checked_sub(PROTECTED_BEFORE)?;
    let bytecodes = address_of(heap.element(data, bytecodes)?)?;
    let described = frames.iter().rev().map(|frame| {
        let info = Info::of(heap, heap.element(literals, frame.info)?)?;
        let bytecode = heap.element(bytecodes, frame.bytecode)?;
        let bytecode = heap.object(bytecode, heap.layout.bytecode.kind)?;
        let position = function::position_in(heap, bytecode, frame.offset)?;
        Some((info.address, info.frame(position)))
    });
    let described: Vec<_> = described.collect::<Option<_>>()?;
    // The outermost frame is that of the function that was compiled.
    let is_own = described.last()?.0 == own.address;
    is_own.then(|| described.into_iter().map(|(_, frame)| frame).collect())
}

/// The number of the exit of a place in the code, or of the exit that stands
/// there itself: it takes the return address's place on the stack when the code
/// is thrown away (`Deoptimizer::DeoptimizeMarkedCode`).
fn find<M: Memory>(heap: &Heap<'_, M>, table: u64, place: u32) -> Option<u32> {
    let head = heap.bytes(table, HEAD_BYTES)?;
    let word = |offset| Some(u32::from_le_bytes(*head.get(offset..)?.first_chunk()?));
    let (count, widths) = (word(ENTRIES)? as usize, word(WIDTHS)?);
    let width = |shift: u32| (widths >> shift & 7) as usize;
    let (registers, place_width, exit_width) = (width(1), width(4), width(7));
    let has_exits = widths & 1 != 0;
    let is_sound = [registers, place_width, exit_width]
        .iter()
        .all(|it| *it <= 4);
    if !has_exits || !is_sound || place_width == 0 || count > MAX_ENTRIES {
        return None;
    }
    let size = 2 * place_width + exit_width + 1 + registers;
    let entries = heap.bytes(table.checked_add(HEAD_BYTES as u64)?, count * size)?;
    let mut entries = entries.chunks_exact(size).filter_map(|entry| {
        let (at, rest) = entry.split_at_checked(place_width)?;
        let (exit, rest) = rest.split_at_checked(exit_width)?;
        let exits_at = rest.get(..place_width)?;
        // One more than the number, and 0 for none.
        let exit = little_endian(exit).checked_sub(1)?;
        let exits_at = little_endian(exits_at).checked_sub(1)?;
        Some((little_endian(at), exits_at, exit))
    });
    let found = entries.find(|(at, exits_at, _)| [*at, *exits_at].contains(&place));
    found.map(|(_, _, exit)| exit)
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rfold(0, |number, byte| number << 8 | u32::from(*byte))
}
