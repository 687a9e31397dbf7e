//! Words, types and strings of V8's heap (`src/objects/string.tq`, `map.tq`).

use std::cell::RefCell;
use std::collections::HashMap;

use tracer_common::javascript::is_object;

use super::{Layout, Memory};
use crate::symbolize::text;

/// Joined strings and slices followed into one another.
const MAX_DEPTH: u32 = 24;
/// Bytes of an array that are read.
const MAX_ARRAY_BYTES: usize = 4 << 20;

/// How a string is kept (`StringRepresentationTag`).
const SEQUENTIAL: u32 = 0;
const JOINED: u32 = 1;
const EXTERNAL: u32 = 2;
const SLICED: u32 = 3;
const STANDING_FOR: u32 = 5;

/// A heap: tagged words and what they point to.
pub(super) struct Heap<'a, M> {
    memory: &'a M,
    pub layout: &'a Layout,
    types: &'a Types,
}

/// The types that maps stand for, of the objects that are asked for: such maps
/// never move, and stay known when the process is gone.
#[derive(Debug, Default)]
pub struct Types(RefCell<HashMap<u64, u32>>);

/// V8 has some 600 maps of its own.
const MAX_TYPES: usize = 4096;

/// The address that a tagged word points to.
pub(super) fn address_of(word: u64) -> Option<u64> {
    is_object(word).then_some(word & !3)
}

/// A small integer.
pub(super) fn integer_of(word: u64) -> Option<i32> {
    (word as u32 == 0).then_some((word >> 32) as i32)
}

impl<'a, M: Memory> Heap<'a, M> {
    pub fn new(memory: &'a M, layout: &'a Layout, types: &'a Types) -> Self {
        Self {
            memory,
            layout,
            types,
        }
    }

    pub fn bytes(&self, address: u64, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.memory.read(address, &mut bytes).then_some(bytes)
    }

    pub fn word(&self, address: u64, offset: u32) -> Option<u64> {
        let mut bytes = [0; 8];
        let address = address.checked_add(u64::from(offset))?;
        (self.memory.read(address, &mut bytes)).then(|| u64::from_le_bytes(bytes))
    }

    pub fn half_word(&self, address: u64, offset: u32) -> Option<u32> {
        let mut bytes = [0; 4];
        let address = address.checked_add(u64::from(offset))?;
        (self.memory.read(address, &mut bytes)).then(|| u32::from_le_bytes(bytes))
    }

    /// The object that a member of another points to.
    pub fn member(&self, address: u64, offset: u32) -> Option<u64> {
        address_of(self.word(address, offset)?)
    }

    /// The type of an object. Maps of the types that are asked for never move.
    pub fn kind(&self, address: u64) -> Option<u32> {
        let map = self.member(address, 0)?;
        if let Some(known) = self.types.0.borrow().get(&map) {
            return Some(*known);
        }
        let kind = self.half_word(map, self.layout.map_type)? & 0xffff;
        let [function, last_function] = self.layout.function_types;
        let mut types = self.types.0.borrow_mut();
        if types.len() >= MAX_TYPES {
            types.clear();
        }
        if !(function..=last_function).contains(&kind) {
            types.insert(map, kind);
        }
        Some(kind)
    }

    /// An object, if it is of this type.
    pub fn object(&self, word: u64, kind: u32) -> Option<u64> {
        address_of(word).filter(|address| self.kind(*address) == Some(kind))
    }

    /// The elements of an array of bytes.
    pub fn byte_array(&self, word: u64) -> Option<Vec<u8>> {
        let array = &self.layout.array;
        let address = address_of(word)?;
        if !array.bytes.contains(&self.kind(address)?) {
            return None;
        }
        let length = self.length(address)?;
        if length > MAX_ARRAY_BYTES {
            return None;
        }
        self.bytes(address.checked_add(u64::from(array.elements))?, length)
    }

    /// How many elements an array has; of one of bytes, or bytecode, how many bytes.
    pub fn length(&self, array: u64) -> Option<usize> {
        let word = self.word(array, self.layout.array.length)?;
        usize::try_from(integer_of(word)?).ok()
    }

    /// An element of an array.
    pub fn element(&self, array: u64, index: u32) -> Option<u64> {
        let layout = &self.layout.array;
        if index as usize >= self.length(array)? {
            return None;
        }
        self.word(array, layout.elements.checked_add(index.checked_mul(8)?)?)
    }

    /// A string of no more than so many characters, made valid and bounded.
    pub fn string(&self, word: u64, limit: usize) -> Option<String> {
        let characters = self.text(word, limit)?;
        let string = String::from_utf16_lossy(&characters);
        Some(text::bounded(string.as_bytes()))
    }

    /// A string of no more than so many characters, in UTF-16.
    pub fn text(&self, word: u64, limit: usize) -> Option<Vec<u16>> {
        self.text_within(word, limit, MAX_DEPTH)
    }

    fn text_within(&self, word: u64, limit: usize, depth: u32) -> Option<Vec<u16>> {
        let layout = &self.layout.string;
        let address = address_of(word)?;
        let kind = self.kind(address)?;
        if kind >= layout.behind_types || depth == 0 {
            return None;
        }
        let length = usize::try_from(self.half_word(address, layout.length)?).ok()?;
        if length > limit {
            return None;
        }
        // Of many that are joined, each would be followed.
        if length == 0 {
            return Some(Vec::new());
        }
        let depth = depth - 1;
        let width = if kind & layout.one_byte != 0 { 1 } else { 2 };
        let characters = match kind & layout.form_mask {
            // With its head, which was copied: see `Copied`.
            SEQUENTIAL => {
                let head = usize::try_from(layout.characters).ok()?;
                let bytes = self.bytes(address, head + length * width)?;
                characters(&bytes[head..], width)
            }
            JOINED => {
                let mut text = self.text_within(self.word(address, layout.first)?, limit, depth)?;
                let rest = limit - text.len().min(limit);
                let second = self.word(address, layout.second)?;
                text.extend(self.text_within(second, rest, depth)?);
                text
            }
            STANDING_FOR => self.text_within(self.word(address, layout.first)?, limit, depth)?,
            SLICED => {
                let whole = self.text_within(self.word(address, layout.first)?, limit, depth)?;
                let from = usize::try_from(integer_of(self.word(address, layout.second)?)?).ok()?;
                whole.get(from..from.checked_add(length)?)?.to_vec()
            }
            EXTERNAL => {
                // Behind the resource, a pointer to what it holds.
                let at = self.word(address, layout.first.checked_add(8)?)?;
                characters(&self.bytes(at, length * width)?, width)
            }
            _ => return None,
        };
        (characters.len() == length).then_some(characters)
    }
}

fn characters(bytes: &[u8], width: usize) -> Vec<u16> {
    match width {
        1 => bytes.iter().copied().map(u16::from).collect(),
        _ => (bytes.as_chunks().0.iter())
            .map(|pair| u16::from_le_bytes(*pair))
            .collect(),
    }
}
