//! Translations: how a frame of optimised code is turned back into frames of
//! the interpreter (`src/deoptimizer/translation-opcode.h`,
//! `frame-translation-builder.cc`; read in `src/objects/deoptimization-data.cc`).
//!
//! An instruction is an opcode and its operands. Those that a translation has
//! in common with an earlier one, its basis, are not written again.

use super::positions::number;

/// Operands of each opcode, as V8 13.6 to 14.6 have them.
const OPERANDS: [usize; 45] = [
    // Frames: of the interpreter, with and without a value that is returned.
    6, 4, //
    // Frames of builtins that go on where JavaScript stopped; construction;
    // WebAssembly; arguments too many.
    3, 3, 2, 1, 3, 4, 3, 3, 3, //
    // Arguments: their elements, how many, how many of the rest.
    1, 0, 0, //
    // The beginning of a translation, of two kinds.
    3, 3, //
    // Values: two of truth, an object, joined strings.
    1, 1, 1, 0, //
    // Numbers and objects met before, in registers and on the stack.
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, //
    // Nothing; literals, registers, places on the stack, numbers.
    0, 1, 1, 1, 1, 1, //
    // Feedback; how many instructions are those of the basis.
    2, 1,
];
const INTERPRETED: std::ops::RangeInclusive<u8> = 0..=1;
/// Frames of JavaScript, which are counted.
const JAVASCRIPT: std::ops::RangeInclusive<u8> = 0..=3;
const BEGINNINGS: std::ops::RangeInclusive<u8> = 14..=15;
const OF_BASIS: u8 = 44;
/// What is added to how many instructions are those of the basis, for short.
const OF_BASIS_FROM: u8 = OPERANDS.len() as u8;
const MAX_OPERANDS: usize = 6;
/// Instructions of one translation that are followed.
const MAX_INSTRUCTIONS: u32 = 1 << 16;
/// Frames of one.
const MAX_FRAMES: u64 = 64;

/// A frame that the interpreter would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InterpretedFrame {
    /// Where in its bytecode it is.
    pub offset: u32,
    /// Which literal the shared function info is.
    pub info: u32,
    /// Which literal of those that are protected the bytecode is.
    pub bytecode: u32,
}

/// The frames of a translation, outermost first.
pub(super) fn frames(translations: &[u8], index: usize) -> Option<Vec<InterpretedFrame>> {
    let mut own = translations.get(index..)?;
    let [distance, _frames, count] = begin(&mut own)?;
    let count = positive(count)?;
    if !(1..=MAX_FRAMES).contains(&count) {
        return None;
    }
    let mut basis = &[][..];
    if distance != 0 {
        let start = index.checked_sub(usize::try_from(distance).ok()?)?;
        basis = translations.get(start..)?;
        begin(&mut basis)?;
    }
    let mut frames = Vec::new();
    // Instructions of the basis in whose place others stood; those that still hold.
    let (mut replaced, mut of_basis, mut seen) = (0, 0, 0);
    for _ in 0..MAX_INSTRUCTIONS {
        if of_basis == 0 {
            of_basis = taken_from_basis(&mut own)?;
            if of_basis != 0 {
                for _ in 0..std::mem::take(&mut replaced) {
                    instruction(&mut basis)?;
                }
            }
        }
        let (opcode, operands) = if of_basis == 0 {
            replaced += 1;
            instruction(&mut own)?
        } else {
            of_basis -= 1;
            instruction(&mut basis)?
        };
        if INTERPRETED.contains(&opcode) {
            frames.push(interpreted(operands)?);
        }
        seen += u64::from(JAVASCRIPT.contains(&opcode));
        if seen == count {
            return Some(frames);
        }
    }
    None
}

/// How the instruction begins that each translation begins with: how far back
/// its basis is, how many frames it has, how many of them of JavaScript.
fn begin(rest: &mut &[u8]) -> Option<[u64; 3]> {
    let (opcode, operands) = instruction(rest)?;
    let operands = operands.first_chunk().copied();
    operands.filter(|_| BEGINNINGS.contains(&opcode))
}

/// How many of the next instructions are those of the basis.
fn taken_from_basis(rest: &mut &[u8]) -> Option<u64> {
    let (opcode, behind) = rest.split_first()?;
    let count = match *opcode {
        OF_BASIS => {
            *rest = behind;
            number(rest)?
        }
        OF_BASIS_FROM.. => {
            *rest = behind;
            u64::from(opcode - OF_BASIS_FROM)
        }
        _ => return Some(0),
    };
    (count != 0).then_some(count)
}

fn instruction(rest: &mut &[u8]) -> Option<(u8, [u64; MAX_OPERANDS])> {
    let (opcode, behind) = rest.split_first()?;
    *rest = behind;
    let count = *OPERANDS.get(usize::from(*opcode))?;
    let mut operands = [0; MAX_OPERANDS];
    for operand in operands.iter_mut().take(count) {
        *operand = number(rest)?;
    }
    Some((*opcode, operands))
}

fn interpreted([offset, info, bytecode, ..]: [u64; MAX_OPERANDS]) -> Option<InterpretedFrame> {
    let small = |number| u32::try_from(positive(number)?).ok();
    Some(InterpretedFrame {
        // Before the first bytecode, as the function is entered: -1.
        offset: small(offset).unwrap_or(0),
        info: small(info)?,
        bytecode: small(bytecode)?,
    })
}

/// A number with its sign in the lowest bit, if it is not negative.
fn positive(number: u64) -> Option<u64> {
    (number & 1 == 0).then_some(number >> 1)
}
