//! JavaScript functions on a stack of V8's, told apart in the kernel.
//!
//! A frame of V8's holds a pointer to the function object, which moves and
//! dies like everything on that heap. So the kernel side says at the probe,
//! while the thread stands still, which function it is ([`Identity`]), and
//! copies at the first sight of one what names it ([`FunctionSeen`]).
//!
//! Layouts are those of stock 64-bit builds, without pointer compression: a
//! tagged word is a small integer in its upper half, or an address plus one.
//! Source: V8's `src/objects/*.tq`, and `docs/v8.md` for what differs by version.

use crate::{site::mix, unwind::reread};

/// Ranges of a process's addresses in which V8's builtins stand: the program's
/// own, and where V8 has mapped them once more next to its compiled code.
pub const BUILTIN_RANGES: usize = 4;

/// What the kernel side must know of the V8 of an address space. All zeroes:
/// there is none, or none that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Runtime {
    /// Where the builtins stand: first address and bytes of each.
    pub builtins: [[u64; 2]; BUILTIN_RANGES],
    /// 1 if there is one.
    pub is_known: u32,
    /// Offset of the shared function info in a function.
    pub info: u32,
    /// Offset of the name, or of what holds it, in a shared function info.
    pub name: u32,
    /// 1 if the word behind a shared function info's flags numbers it (V8 12.4).
    pub has_number: u32,
    /// Which word of a scope info counts its local variables' slots.
    pub locals: u32,
    /// From which word on a scope info has a variable number of them.
    pub variables: u32,
}

impl Runtime {
    /// Whether an address is in a builtin.
    #[inline(always)]
    #[must_use]
    pub const fn is_builtin(&self, address: u64) -> bool {
        let mut found = 0;
        let mut index = 0;
        while index < BUILTIN_RANGES {
            let [start, length] = self.builtins[index];
            found |= (address.wrapping_sub(start) < length) as u32;
            index += 1;
        }
        found != 0
    }
}

/// What a frame of V8's says, by its slots below the saved frame pointer
/// (`src/execution/frame-constants.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Slots {
    /// Where its code goes on.
    pub code: u64,
    /// The function, tagged.
    pub function: u64,
    /// Of an interpreted or baseline frame the bytecode, tagged.
    pub bytecode: u64,
    /// Of an interpreted frame where it stands in the bytecode, a small integer.
    pub offset: u64,
}

impl Slots {
    /// Whether it is a JavaScript function's frame: others have the number of
    /// their kind where it has its context.
    #[inline(always)]
    #[must_use]
    pub const fn are_of_function(&self, context: u64) -> bool {
        is_object(context) && is_object(self.function)
    }

    /// Where in the bytecode, if that is a number that fits a frame; or 0.
    #[inline(always)]
    #[must_use]
    pub const fn bytecode_offset(&self) -> u64 {
        let offset = self.offset >> 32;
        if self.offset as u32 == 0 && offset <= OFFSET_MASK {
            offset
        } else {
            0
        }
    }
}

/// Whether a tagged word is a strong pointer.
#[inline(always)]
#[must_use]
pub const fn is_object(word: u64) -> bool {
    word & 3 == 1
}

const KEY_BITS: u32 = 38;
const OFFSET_BITS: u32 = 24;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;
const KEY_MASK: u64 = (1 << KEY_BITS) - 1;

/// A function, if it is compiled at a place of its code, for as long as the
/// function lives: a hash of what no other has at any time.
///
/// The addresses alone would not do: under churn they are used again. A script
/// has a number of its own, and a function one within it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Identity(pub u64);

impl Identity {
    /// Of these words of the heap, and a place in compiled code or 0.
    #[inline(always)]
    #[must_use]
    pub const fn new(words: [u64; 5], code: u64) -> Self {
        let mut hash = code;
        let mut index = 0;
        while index < words.len() {
            hash = mix(hash, words[index]);
            index += 1;
        }
        Self(hash ^ hash >> 29)
    }

    /// By what a frame names it, with its address space: the key of the map of
    /// functions seen, whose value is the whole identity.
    #[inline(always)]
    #[must_use]
    pub const fn key(self, space: u32) -> FunctionKey {
        FunctionKey((space as u64) << KEY_BITS | self.0 & KEY_MASK)
    }
}

/// A function in an address space, by a part of its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FunctionKey(pub u64);

impl FunctionKey {
    /// The number of the address space.
    #[inline(always)]
    #[must_use]
    pub const fn space(self) -> u32 {
        (self.0 >> KEY_BITS) as u32
    }
}

/// A frame of a JavaScript function: the address that other frames have is of
/// no use here, one builtin interprets all functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JavascriptFrame {
    /// The function.
    pub key: FunctionKey,
    /// Where in its bytecode; 0 in compiled code.
    pub offset: u32,
}

/// The frame is a [`JavascriptFrame`].
const MARK: u64 = 1 << 62;

impl JavascriptFrame {
    /// As one word of a stack. The upper bit is [`crate::unwind::frame::APPROXIMATE`].
    #[inline(always)]
    #[must_use]
    pub const fn word(identity: Identity, offset: u64) -> u64 {
        MARK | (identity.0 & KEY_MASK) << OFFSET_BITS | offset & OFFSET_MASK
    }

    /// From a word of a stack, if it is one.
    #[must_use]
    pub const fn of(word: u64, space: u32) -> Option<Self> {
        if word & MARK == 0 {
            return None;
        }
        Some(Self {
            key: Identity(word >> OFFSET_BITS & KEY_MASK).key(space),
            offset: (word & OFFSET_MASK) as u32,
        })
    }
}

/// What the kernel side copies of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Part {
    /// The function.
    Function = 0,
    /// Its shared function info.
    Info = 1,
    /// Its name, or the scope info that holds it.
    Name = 2,
    /// The part of a scope info in which the name is.
    Scope = 3,
    /// What may be the name: four words of that.
    First = 4,
    /// The second.
    Second = 5,
    /// The third.
    Third = 6,
    /// The fourth.
    Fourth = 7,
    /// The script.
    Script = 8,
    /// The script's name.
    ScriptName = 9,
    /// The bytecode's head.
    Bytecode = 10,
}

/// How many parts there are.
pub const PARTS: usize = 11;
/// Where each part's words begin, and behind them.
const BOUNDS: [usize; PARTS + 1] = [0, 8, 18, 28, 36, 46, 56, 66, 76, 85, 109, 119];
/// Words of all parts.
pub const PART_WORDS: usize = BOUNDS[PARTS];

impl Part {
    /// Every part, in the order in which they are copied.
    pub const ALL: [Self; PARTS] = [
        Self::Function,
        Self::Info,
        Self::Name,
        Self::Scope,
        Self::First,
        Self::Second,
        Self::Third,
        Self::Fourth,
        Self::Script,
        Self::ScriptName,
        Self::Bytecode,
    ];

    /// Where its words stand.
    #[inline(always)]
    #[must_use]
    pub const fn range(self) -> core::ops::Range<usize> {
        BOUNDS[self as usize]..BOUNDS[self as usize + 1]
    }
}

/// A function at its first sight: an element of the ring buffer of functions.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FunctionSeen {
    /// Its identity in full.
    pub identity: Identity,
    /// The address space, by number.
    pub space: u64,
    /// What its frame said.
    pub slots: Slots,
    /// Where each part was copied from; 0 if it could not be read.
    pub addresses: [u64; PARTS],
    /// What stood there.
    pub words: [u64; PART_WORDS],
}

/// How many words of a scope info tell of so many local variables.
#[inline(always)]
#[must_use]
pub const fn words_of_locals(locals: u64) -> u64 {
    // From 75 on their names are in a table of their own.
    if locals < 75 { locals * 2 } else { locals + 1 }
}

/// Reads words of the target; whether it could.
pub trait Reader {
    /// Reads from an address, as many words as there is room for; zeroes if
    /// they cannot be read.
    fn read(&self, address: u64, words: &mut [u64]) -> bool;
}

/// Words of a shared function info from its name on: name, outer scope, script,
/// lengths, flags and number in the script, number.
pub const INFO_WORDS: usize = 6;
/// Offset of a script's number, in the upper half of its word.
pub const SCRIPT_NUMBER: u64 = 64;

/// Who the function of a frame is; `None` if its words cannot be read.
/// `object` is scratch: what is read goes through memory, and what cannot be
/// is seen at the end only, see [`crate::unwind`].
#[inline(always)]
pub fn identify<R: Reader>(
    reader: &R,
    runtime: &Runtime,
    slots: &Slots,
    object: &mut [u64; INFO_WORDS],
) -> Option<Identity> {
    let field = |object: u64, offset: u32| object.wrapping_add(u64::from(offset)).wrapping_sub(1);
    reader.read(field(slots.function, runtime.info), &mut object[..1]);
    let info = reread(&object[0]);
    reader.read(field(info, runtime.name), object);
    let [name, script] = [reread(&object[0]), reread(&object[2])];
    let number_in_script = reread(&object[4]) >> 32;
    if runtime.has_number == 0 {
        reader.read(field(script, SCRIPT_NUMBER as u32), &mut object[5..]);
        object[5] = reread(&object[5]) >> 32;
    }
    let number = reread(&object[5]) & 0xffff_ffff;
    let words = [info, name, script, number_in_script, number];
    let is_read = info & script & 1 != 0;
    // One function's bytecode is run by hundreds of builtins: it tells the place.
    let is_interpreted = runtime.is_builtin(slots.code) && slots.bytecode_offset() != 0;
    let place = slots.code * u64::from(!is_interpreted);
    is_read.then(|| Identity::new(words, place))
}

/// Copies what names a function. What cannot be read is left out.
#[inline(always)]
pub fn copy<R: Reader>(reader: &R, runtime: &Runtime, seen: &mut FunctionSeen) {
    let field = |object: u64, offset: u64| object.wrapping_add(offset).wrapping_sub(1);
    let FunctionSeen {
        slots,
        addresses,
        words,
        ..
    } = seen;
    let mut part = |part: Part, address: u64| {
        let is_read = reader.read(address, &mut words[part.range()]);
        addresses[part as usize] = address * u64::from(is_read);
    };
    part(Part::Function, field(slots.function, 0));
    part(Part::Bytecode, field(slots.bytecode, 0));
    let info = word(reader, field(slots.function, u64::from(runtime.info)));
    part(Part::Info, field(info, 0));
    let name = word(reader, field(info, u64::from(runtime.name)));
    part(Part::Name, field(name, 0));
    let script = word(reader, field(info, u64::from(runtime.name) + 16));
    part(Part::Script, field(script, 0));
    let script_name = word(reader, field(script, 16));
    part(Part::ScriptName, field(script_name, 0));
    let locals = word(reader, field(name, 8 + 8 * u64::from(runtime.locals))) >> 32;
    let first = 8 * (1 + u64::from(runtime.variables) + words_of_locals(locals));
    part(Part::Scope, field(name, first));
    let candidates = [Part::First, Part::Second, Part::Third, Part::Fourth];
    let mut index = 0;
    while index < candidates.len() {
        let candidate = word(reader, field(name, first + 8 * index as u64));
        part(candidates[index], field(candidate, 0));
        index += 1;
    }
}

#[inline(always)]
fn word<R: Reader>(reader: &R, address: u64) -> u64 {
    let mut word = [0];
    let is_read = reader.read(address, &mut word);
    word[0] * u64::from(is_read)
}

#[cfg(test)]
mod tests;
