//! Tables as V8 writes them, made anew from its descriptions of them
//! (`source-position-table.cc`, `bytecode-offset-iterator.h`).

/// What an entry is of: V8 tells statements from expressions, since V8 14 by two flags.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub code: u32,
    pub position: i64,
    pub flags: u8,
}

/// Seven bits a byte, the lowest first; each byte but the last is marked.
pub fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push((number % 128) as u8 + 128);
        number /= 128;
    }
    bytes.push(number as u8);
    bytes
}

/// 0, -1, 1, -2, 2, … become 0, 1, 2, 3, 4, …
pub fn signed(value: i64) -> Vec<u8> {
    let doubled = value.unsigned_abs() * 2;
    number(if value < 0 { doubled - 1 } else { doubled })
}

/// A table of positions; the entries' places in the code rise.
pub fn table(entries: &[Entry], is_flagged: bool) -> Vec<u8> {
    let (mut code, mut position) = (-1, 0);
    let mut bytes = Vec::new();
    for entry in entries {
        let step = i64::from(entry.code) - code;
        bytes.extend(match (is_flagged, entry.flags & 1) {
            (true, _) => number(step as u64 * 4 + u64::from(entry.flags)),
            (false, 1) => signed(step),
            (false, _) => signed(-step - 1),
        });
        bytes.extend(signed(entry.position - position));
        (code, position) = (i64::from(entry.code), entry.position);
    }
    bytes
}

/// A place in a script, in the function itself or in the so-manieth function
/// put into it.
pub fn position(in_script: u32, inlined: u32) -> i64 {
    i64::from(inlined) * (1 << 31) + (i64::from(in_script) + 1) * 2
}

/// A table of statements: from which place in the code on, which position.
pub fn statements(entries: &[(u32, i64)]) -> Vec<u8> {
    let entry = |&(code, position): &(u32, i64)| Entry {
        code,
        position,
        flags: 1,
    };
    let entries: Vec<Entry> = entries.iter().map(entry).collect();
    table(&entries, false)
}

/// An opcode of a translation and its operands.
pub type Instruction = (u8, Vec<u64>);

/// Translations, written as `FrameTranslationBuilder` does: each instruction
/// that is that of the basis, at the same place, is counted instead.
#[derive(Default)]
pub struct Translations {
    pub bytes: Vec<u8>,
    basis: Option<(usize, Vec<Instruction>)>,
}

impl Translations {
    /// Adds one with so many frames of JavaScript: where it begins. Every third
    /// begins a new basis.
    pub fn add(&mut self, instructions: &[Instruction], frames: u64) -> usize {
        const BEGIN: u8 = 14;
        const OPCODES: usize = 45;
        let start = self.bytes.len();
        let basis = self.basis.take().filter(|_| !start.is_multiple_of(3));
        let distance = basis.as_ref().map_or(0, |(basis, _)| start - basis);
        self.bytes.push(BEGIN);
        for operand in [distance as u64, frames * 2, frames * 2] {
            self.bytes.extend(number(operand));
        }
        let mut shared = 0;
        for (index, instruction) in instructions.iter().enumerate() {
            let in_basis = basis.as_ref().and_then(|(_, basis)| basis.get(index));
            if in_basis == Some(instruction) {
                shared += 1;
                continue;
            }
            if shared != 0 {
                self.bytes.push((OPCODES + shared) as u8);
                shared = 0;
            }
            self.bytes.push(instruction.0);
            for operand in &instruction.1 {
                self.bytes.extend(number(*operand));
            }
        }
        if shared != 0 {
            self.bytes.push((OPCODES + shared) as u8);
        }
        self.basis = basis.or_else(|| Some((start, instructions.to_vec())));
        start
    }
}
