//! Tables of positions (`src/codegen/source-position-table.cc`): which place in
//! the code is of which place in the script; and the table of a baseline
//! function, which place in its code is of which bytecode
//! (`src/baseline/bytecode-offset-iterator.h`).

/// Entries read of one table.
const MAX_ENTRIES: usize = 1 << 18;

/// A place in a script, as a table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position(pub i64);

impl Position {
    /// How many characters stand before it, in a script.
    pub fn in_script(self) -> Option<u32> {
        let is_outside = self.0 & 1 != 0;
        let behind_one = (self.0 >> 1 & 0x3fff_ffff) as u32;
        behind_one.checked_sub(1).filter(|_| !is_outside)
    }

    /// Which of the functions put into this one it is in, from 1; 0: in none.
    pub fn inlined(self) -> u32 {
        (self.0 >> 31 & 0xffff) as u32
    }
}

/// The entries of a table: from which place in the code on, which position.
pub(super) fn entries(table: &[u8], is_flagged: bool) -> impl Iterator<Item = (u32, Position)> {
    let mut rest = table;
    let (mut code, mut position) = (-1_i64, 0_i64);
    std::iter::from_fn(move || {
        let step = number(&mut rest)?;
        let step = if is_flagged {
            // Two flags below.
            (step >> 2) as i64
        } else {
            // Of expressions, not statements: one less than below zero.
            let step = signed(step);
            if step < 0 { -(step + 1) } else { step }
        };
        code = code.wrapping_add(step);
        position = position.wrapping_add(signed(number(&mut rest)?));
        // The first may be of the function as a whole, before its code.
        Some((u32::try_from(code.max(0)).ok()?, Position(position)))
    })
    .take(MAX_ENTRIES)
}

/// The position that holds at a place in the code.
pub(super) fn at(table: &[u8], is_flagged: bool, code: u32) -> Option<Position> {
    let before = entries(table, is_flagged).take_while(|(from, _)| *from <= code);
    before.last().map(|(_, position)| position)
}

/// Where in its bytecode a baseline function is, at a place in its code;
/// `sizes` are the lengths of bytecodes, in each of three widths.
pub(super) fn bytecode_at(table: &[u8], bytecode: &[u8], sizes: &[u8], code: u32) -> Option<u32> {
    let mut rest = table;
    // The first entry is of what comes before the first bytecode.
    let mut reached = number(&mut rest)?;
    let mut offset = 0;
    let mut current = 0;
    for _ in 0..MAX_ENTRIES {
        if reached > u64::from(code) {
            break;
        }
        let Some(length) = number(&mut rest) else {
            break;
        };
        current = offset;
        offset += length_of(bytecode.get(offset..)?, sizes)?;
        reached = reached.checked_add(length)?;
    }
    u32::try_from(current).ok()
}

/// How long the first bytecode is. The first four are prefixes for wider
/// operands: of two bytes and four, each also for debuggers.
fn length_of(bytecode: &[u8], sizes: &[u8]) -> Option<usize> {
    let kinds = sizes.len() / 3;
    let (width, prefix) = match bytecode.first()? {
        0 | 2 => (1, 1),
        1 | 3 => (2, 1),
        _ => (0, 0),
    };
    let kind = usize::from(*bytecode.get(prefix)?);
    let size = (kind < kinds).then(|| sizes.get(width * kinds + kind))??;
    Some(prefix + usize::from(*size).max(1))
}

/// A number in groups of seven bits, the lowest first.
pub(super) fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// With its sign in the lowest bit.
fn signed(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}
