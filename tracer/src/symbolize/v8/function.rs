//! Functions: what they are called, and where they are in which script
//! (`src/objects/shared-function-info.tq`, `scope-info.tq`).

use tracer_common::javascript::words_of_locals;

use super::answer::{Described, DescribedFrame, Script, SeenFunction};
use super::code::Code;
use super::heap::{Heap, Types, integer_of};
use super::memory::Copied;
use super::positions::{self, Position};
use super::{Layout, Memory, script};

/// Characters of a name.
const MAX_NAME: usize = 1024;
/// Bytes of one function's bytecode.
const MAX_BYTECODE: usize = 4 << 20;
/// Positions told of one function.
const MAX_POSITIONS: usize = 1 << 15;
/// Local variables of one scope.
const MAX_LOCALS: u32 = 1 << 16;
/// Words behind those of the local variables among which the name is.
const NAME_WORDS: u32 = 8;

/// A function, whatever runs it.
pub(super) struct Info {
    pub address: u64,
    name: String,
    script: Option<Script>,
}

/// What is known of a function that was seen on a stack; `None`: it is none,
/// or V8's own.
#[must_use]
pub fn describe(
    memory: &impl Memory,
    layout: &Layout,
    types: &Types,
    seen: &SeenFunction,
) -> Option<Described> {
    let copied = Copied {
        memory,
        parts: &seen.parts,
    };
    let heap = Heap::new(&copied, layout, types);
    let function = super::heap::address_of(seen.function)?;
    let [first, last] = layout.function_types;
    // Its map may have gone with the process; that of its info is remembered.
    if (heap.kind(function)).is_some_and(|kind| !(first..=last).contains(&kind)) {
        return None;
    }
    let info = Info::of(&heap, heap.word(function, layout.function_info)?)?;
    // V8's own functions are of no script, and in another language.
    info.script.as_ref()?;
    let bytecode = heap.object(seen.bytecode, layout.bytecode.kind);
    if let Some(bytecode) = bytecode.filter(|_| seen.bytecode_offset != 0) {
        return Some(interpreted(&heap, &info, bytecode));
    }
    if seen.in_builtin {
        return None;
    }
    let frames = Code::at(&heap, seen.code).and_then(|code| {
        if code.is_baseline(&heap) {
            let position = baseline(&heap, &code, seen.code, bytecode?);
            return Some(vec![info.frame_at(position)]);
        }
        code.frames(&heap, seen.code, &info)
    });
    Some(Described {
        may_lack_some: frames.is_none(),
        frames: frames.unwrap_or_else(|| vec![info.frame_at(None)]),
        ..Described::default()
    })
}

/// Of a function that is interpreted: all positions of its bytecode.
fn interpreted<M: Memory>(heap: &Heap<'_, M>, info: &Info, bytecode: u64) -> Described {
    let table = table_of(heap, bytecode).unwrap_or_default();
    let head = heap.layout.bytecode.elements.saturating_sub(1);
    let entries = positions::entries(&table, heap.layout.has_flagged_positions());
    let mut positions: Vec<_> = entries
        .filter_map(|(offset, position)| Some((offset.checked_add(head)?, position.in_script()?)))
        .take(MAX_POSITIONS + 1)
        .collect();
    if positions.len() > MAX_POSITIONS {
        // The last one would seem to hold for all that is left out.
        positions.clear();
    }
    Described {
        frames: vec![info.frame_at(None)],
        positions,
        ..Described::default()
    }
}

/// Where a baseline function is.
fn baseline<M: Memory>(
    heap: &Heap<'_, M>,
    code: &Code,
    place: u64,
    bytecode: u64,
) -> Option<Position> {
    let bytes = bytes_of(heap, bytecode)?;
    position_in(heap, bytecode, code.bytecode_at(heap, place, &bytes)?)
}

/// The position of a place in bytecode.
pub(super) fn position_in<M: Memory>(
    heap: &Heap<'_, M>,
    bytecode: u64,
    offset: u32,
) -> Option<Position> {
    let table = table_of(heap, bytecode)?;
    positions::at(&table, heap.layout.has_flagged_positions(), offset)
}

impl Info {
    /// The function that a tagged word points to.
    pub fn of<M: Memory>(heap: &Heap<'_, M>, word: u64) -> Option<Self> {
        let layout = &heap.layout.info;
        let address = heap.object(word, layout.kind)?;
        let script = heap.word(address, layout.script)?;
        Some(Self {
            address,
            name: name_of(heap, heap.word(address, layout.name)?)?,
            script: script_of(heap, script),
        })
    }

    /// Its frame at a position of the script.
    pub fn frame(&self, position: Position) -> DescribedFrame {
        self.frame_at(Some(position))
    }

    pub fn frame_at(&self, position: Option<Position>) -> DescribedFrame {
        DescribedFrame {
            name: self.name.clone(),
            script: self.script.clone(),
            position: position.and_then(Position::in_script),
        }
    }
}

/// The name itself, or what the scope says; empty if there is none.
fn name_of<M: Memory>(heap: &Heap<'_, M>, word: u64) -> Option<String> {
    let layout = &heap.layout.scope;
    let Some(scope) = heap.object(word, layout.kind) else {
        return Some(heap.string(word, MAX_NAME).unwrap_or_default());
    };
    let locals = u32::try_from(integer_of(scope_word(heap, scope, layout.locals)?)?).ok()?;
    if locals > MAX_LOCALS {
        return None;
    }
    let first = layout.variables + words_of_locals(locals.into()) as u32;
    let mut number_before = None;
    for index in first..first + NAME_WORDS {
        let word = scope_word(heap, scope, index)?;
        if let Some(number) = integer_of(word) {
            // Where the function begins and ends: its name would stand before.
            if layout.positions == 0 && number_before.is_some_and(|before| before < number) {
                break;
            }
            number_before = Some(number);
            continue;
        }
        number_before = None;
        // So does the scope around it stand behind.
        if heap.object(word, layout.kind).is_some() {
            break;
        }
        match heap.string(word, MAX_NAME) {
            Some(name) if !name.is_empty() => return Some(name),
            _ => {}
        }
    }
    Some(String::new())
}

fn scope_word<M: Memory>(heap: &Heap<'_, M>, scope: u64, index: u32) -> Option<u64> {
    heap.word(scope, 8 + 8 * index)
}

fn script_of<M: Memory>(heap: &Heap<'_, M>, word: u64) -> Option<Script> {
    let address = heap.object(word, heap.layout.script.kind)?;
    Some(Script {
        address,
        number: script::number_of(heap, address)?,
        name: script::name_of(heap, address),
    })
}

fn table_of<M: Memory>(heap: &Heap<'_, M>, bytecode: u64) -> Option<Vec<u8>> {
    heap.byte_array(heap.word(bytecode, heap.layout.bytecode.positions)?)
}

/// The bytecodes of a function.
fn bytes_of<M: Memory>(heap: &Heap<'_, M>, bytecode: u64) -> Option<Vec<u8>> {
    let length = heap.length(bytecode)?;
    let elements = bytecode.checked_add(u64::from(heap.layout.bytecode.elements))?;
    (length <= MAX_BYTECODE).then(|| heap.bytes(elements, length))?
}
