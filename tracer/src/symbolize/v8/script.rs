//! A script's lines.

use serde::{Deserialize, Serialize};

use super::heap::{Heap, Types, integer_of};
use super::{Layout, Memory, Script};

/// Characters of a script; V8's strings hold no more than 2^29.
const MAX_SOURCE: usize = 64 << 20;
/// Characters of a script's name.
const MAX_NAME: usize = 4096;
/// Lines of a script.
const MAX_LINES: usize = 2 << 20;
/// Offset of a script's number.
const NUMBER: u32 = tracer_common::javascript::SCRIPT_NUMBER as u32;

const NEW_LINE: u16 = 0x0a;
const RETURN: u16 = 0x0d;
const LINE_SEPARATOR: u16 = 0x2028;
const PARAGRAPH_SEPARATOR: u16 = 0x2029;

/// A script's name, and where its lines end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptLines {
    /// Its name by now: V8 puts names together late, and moves them.
    pub name: Option<String>,
    /// Lines of the file before it.
    pub before: u32,
    /// How many characters stand before each line's end, rising.
    pub ends: Vec<u32>,
}

impl ScriptLines {
    /// The line of a position, from 1.
    #[must_use]
    pub fn line(&self, position: u32) -> Option<u32> {
        let ended = self.ends.partition_point(|end| *end < position);
        // Behind the last end there is nothing.
        (ended < self.ends.len()).then(|| self.before.saturating_add(ended as u32 + 1))
    }
}

/// Where the lines of a script end, if it still stands where it stood.
pub fn line_ends(
    memory: &impl Memory,
    layout: &Layout,
    types: &Types,
    script: &Script,
) -> Option<ScriptLines> {
    let heap = Heap::new(memory, layout, types);
    let address = heap.object(script.address | 1, layout.script.kind)?;
    if number_of(&heap, address)? != script.number {
        return None;
    }
    let first_line = heap.word(address, layout.script.first_line)?;
    let before = integer_of(first_line).unwrap_or(0).max(0);
    let ends = match told(&heap, address) {
        Some(ends) => ends,
        None => found(&heap.text(heap.word(address, layout.script.source)?, MAX_SOURCE)?),
    };
    Some(ScriptLines {
        name: name_of(&heap, address),
        before: before.unsigned_abs(),
        ends,
    })
}

/// A script's name: path or URL.
pub(super) fn name_of<M: Memory>(heap: &Heap<'_, M>, script: u64) -> Option<String> {
    let name = heap.string(heap.word(script, heap.layout.script.name)?, MAX_NAME)?;
    (!name.is_empty()).then_some(name)
}

/// A script's number.
pub(super) fn number_of<M: Memory>(heap: &Heap<'_, M>, script: u64) -> Option<u32> {
    u32::try_from(integer_of(heap.word(script, NUMBER)?)?).ok()
}

/// V8 has looked for them already, as for an error's stack.
fn told<M: Memory>(heap: &Heap<'_, M>, script: u64) -> Option<Vec<u32>> {
    let array = &heap.layout.array;
    let word = heap.word(script, heap.layout.script.line_ends)?;
    let address = heap.object(word, array.kind)?;
    let count = heap.length(address)?;
    if count == 0 || count > MAX_LINES {
        return None;
    }
    let bytes = heap.bytes(address.checked_add(u64::from(array.elements))?, count * 8)?;
    let words = bytes.as_chunks().0.iter();
    let ends = words.map(|word| u32::try_from(integer_of(u64::from_le_bytes(*word))?).ok());
    ends.collect()
}

/// As V8 does it (`String::CalculateLineEnds`).
fn found(source: &[u16]) -> Vec<u32> {
    let next = source.iter().skip(1).map(Some).chain([None]);
    let ends = (0..).zip(source.iter().zip(next));
    let ends = ends.filter(|(_, (character, next))| match **character {
        NEW_LINE | LINE_SEPARATOR | PARAGRAPH_SEPARATOR => true,
        RETURN => *next != Some(&NEW_LINE),
        _ => false,
    });
    let mut ends: Vec<u32> = ends.map(|(at, _)| at).take(MAX_LINES).collect();
    ends.push(source.len() as u32);
    ends
}
