//! Heaps in order: a function with all that is told of it, in each version of
//! V8, interpreted, in baseline code and in optimised code.

use std::collections::HashMap;

use anyhow::anyhow;
use tracer::symbolize::v8::Layout;

use super::{BASE, COPY_WORDS, HEAD_BYTES, constants};

/// How strings are kept, each character in a byte.
const SEQUENTIAL: u32 = 0x08;
const JOINED: u32 = 0x29;
const EXTERNAL: u32 = 0x2a;
const SLICED: u32 = 0x2b;
const STANDING_FOR: u32 = 0x2d;
/// The compiler that puts functions into others.
const OPTIMISED: u32 = 14;
const SCRIPT_NUMBER: u32 = 31;
/// Where in code the exits begin.
const EXITS: u32 = 40;
/// Where the script's own number stands in it.
const NUMBER: u32 = 64;

#[derive(Clone, Copy)]
enum Kind {
    Interpreted,
    Baseline,
    Optimised,
    Maglev,
}

impl Kind {
    const ALL: [Self; 4] = [
        Self::Interpreted,
        Self::Baseline,
        Self::Optimised,
        Self::Maglev,
    ];
}

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    for version in 0..constants::VERSIONS.len() as u8 {
        let layout = Layout::new(&constants::of(version, &[])).map_err(|error| anyhow!(error))?;
        for kind in Kind::ALL {
            seeds.push(seed(version, kind, Heap::new(&layout)));
        }
    }
    Ok(seeds)
}

fn seed(version: u8, kind: Kind, mut heap: Heap<'_>) -> Vec<u8> {
    let layout = heap.layout;
    let script = heap.script();
    let other = heap.string("outer");
    let own = heap.named(script);
    let outer = heap.info(other, script);
    let function = heap.object(layout.function_types[0], 64);
    heap.set(function, layout.function_info, own);
    let table = table_of(kind, layout.has_flagged_positions());
    let table = heap.bytes(&table);
    let bytecode = heap.bytecode(&[4, 6, 0xff, 0xff, 4], table);
    let code = match kind {
        Kind::Interpreted => 0,
        Kind::Baseline => {
            let lengths = heap.bytes(&[10, 5, 20, 7]);
            heap.code(layout.code.baseline, lengths, 0)
        }
        Kind::Optimised => {
            let kept = heap.kept(own, &[outer], 0);
            heap.code(OPTIMISED, table, kept)
        }
        Kind::Maglev => {
            let kept = heap.kept(own, &[outer, own], bytecode);
            heap.code(layout.code.baseline + 1, table, kept)
        }
    };
    let bytecode_offset = match kind {
        Kind::Interpreted => layout.bytecode.elements + 1,
        _ => 0,
    };
    let copied = [function, own];
    let mut bytes = vec![version, 0, copied.len() as u8, 0];
    for word in [function, code, bytecode, script - 1] {
        bytes.extend(word.to_le_bytes());
    }
    for half_word in [bytecode_offset, SCRIPT_NUMBER] {
        bytes.extend(half_word.to_le_bytes());
    }
    assert_eq!(bytes.len(), HEAD_BYTES);
    for object in copied {
        let at = (object - 1 - BASE) as usize;
        bytes.extend((object - 1).to_le_bytes());
        bytes.extend(&heap.bytes[at..at + COPY_WORDS * 8]);
    }
    bytes.extend(heap.bytes);
    bytes
}

/// Positions 10, 20 and 30 of three bytecodes; or 12, in a function put into another.
fn table_of(kind: Kind, is_flagged: bool) -> Vec<u8> {
    let [one, three] = if is_flagged { [1 << 2, 3 << 2] } else { [2, 6] };
    match kind {
        Kind::Optimised => vec![one, 0xb4, 0x80, 0x80, 0x80, 0x10],
        _ => vec![one, 44, one, 40, three, 40],
    }
}

/// Objects, known by their tagged addresses.
struct Heap<'a> {
    layout: &'a Layout,
    bytes: Vec<u8>,
    maps: HashMap<u32, u64>,
}

fn small(number: u32) -> u64 {
    u64::from(number) << 32
}

impl<'a> Heap<'a> {
    fn new(layout: &'a Layout) -> Self {
        Self {
            layout,
            bytes: Vec::new(),
            maps: HashMap::new(),
        }
    }

    /// Room for an object, aligned as code is.
    fn room(&mut self, bytes: usize) -> u64 {
        let address = BASE + self.bytes.len() as u64;
        let end = (self.bytes.len() + bytes).next_multiple_of(64);
        self.bytes.resize(end, 0);
        address | 1
    }

    fn object(&mut self, kind: u32, bytes: usize) -> u64 {
        let map = match self.maps.get(&kind) {
            Some(map) => *map,
            None => {
                let map = self.room(16);
                self.set_half(map, self.layout.map_type, kind);
                self.maps.insert(kind, map);
                map
            }
        };
        let object = self.room(bytes);
        self.set(object, 0, map);
        object
    }

    fn write(&mut self, object: u64, offset: u32, bytes: &[u8]) {
        let at = (object - 1 - BASE) as usize + offset as usize;
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn set(&mut self, object: u64, offset: u32, word: u64) {
        self.write(object, offset, &word.to_le_bytes());
    }

    fn set_half(&mut self, object: u64, offset: u32, half_word: u32) {
        self.write(object, offset, &half_word.to_le_bytes());
    }

    fn string(&mut self, text: &str) -> u64 {
        let string = self.object(SEQUENTIAL, 16 + text.len());
        self.set_half(string, self.layout.string.length, text.len() as u32);
        self.write(string, self.layout.string.characters, text.as_bytes());
        string
    }

    /// A string that is made of others.
    fn string_of(&mut self, kind: u32, length: u32, first: u64, second: u64) -> u64 {
        let layout = self.layout.string;
        let string = self.object(kind, 32);
        self.set_half(string, layout.length, length);
        self.set(string, layout.first, first);
        self.set(string, layout.second, second);
        string
    }

    fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let layout = self.layout.array;
        let array = self.object(layout.bytes[1], 16 + bytes.len());
        self.set(array, layout.length, small(bytes.len() as u32));
        self.write(array, layout.elements, bytes);
        array
    }

    fn array(&mut self, elements: &[u64]) -> u64 {
        let layout = self.layout.array;
        let array = self.object(layout.kind, 16 + 8 * elements.len());
        self.set(array, layout.length, small(elements.len() as u32));
        for (index, element) in (0..).zip(elements) {
            self.set(array, layout.elements + 8 * index, *element);
        }
        array
    }

    /// A script whose name is joined, and its text a slice of one elsewhere.
    fn script(&mut self) -> u64 {
        const TEXT: &str = "// one\ntwo\r\nthree\rfour";
        let layout = self.layout.script;
        let characters = self.string(TEXT) - 1 + u64::from(self.layout.string.characters);
        let whole = self.string_of(EXTERNAL, TEXT.len() as u32, 0, characters);
        let source = self.string_of(SLICED, TEXT.len() as u32 - 3, whole, small(3));
        let (scheme, path) = (self.string("file://"), self.string("/srv/app.mjs"));
        let name = self.string_of(JOINED, 19, scheme, path);
        let script = self.object(layout.kind, 128);
        self.set(script, layout.source, source);
        self.set(script, layout.name, name);
        self.set(script, NUMBER, small(SCRIPT_NUMBER));
        script
    }

    fn info(&mut self, name: u64, script: u64) -> u64 {
        let layout = self.layout.info;
        let info = self.object(layout.kind, 64);
        self.set(info, layout.name, name);
        self.set(info, layout.script, script);
        info
    }

    /// A function with a scope of three local variables.
    fn named(&mut self, script: u64) -> u64 {
        let layout = self.layout.scope;
        let name = self.string("handle");
        let name = self.string_of(STANDING_FOR, 6, name, 0);
        let scope = self.object(layout.kind, 8 * 32);
        self.set(scope, 8 + 8 * layout.locals, small(3));
        self.set(scope, 8 + 8 * (layout.variables + 6), name);
        self.info(scope, script)
    }

    fn bytecode(&mut self, codes: &[u8], positions: u64) -> u64 {
        let layout = self.layout.bytecode;
        let bytecode = self.object(layout.kind, 64 + codes.len());
        self.set(
            bytecode,
            self.layout.array.length,
            small(codes.len() as u32),
        );
        self.set(bytecode, layout.positions, positions);
        self.write(bytecode, layout.elements, codes);
        bytecode
    }

    /// What the compiler kept of a function into which it put another; with an
    /// exit that says so.
    fn kept(&mut self, own: u64, literals: &[u64], bytecode: u64) -> u64 {
        let layout = self.layout.code;
        let call: u64 = 71 << 1;
        let calls = self.bytes(&[call.to_le_bytes(), [0; 8]].concat());
        let literals = self.array(literals);
        // A translation of two frames: of the second literal, and of the first.
        let translations = self.bytes(&[14, 0, 4, 4, 1, 2, 2, 0, 0, 1, 8, 0, 0, 0]);
        let mut elements = [0; 16];
        elements[0] = translations;
        elements[layout.literals as usize - 1] = self.array(&[bytecode]);
        if let Some(function) = layout.function {
            elements[function as usize] = own;
        }
        if layout.is_wrapped && layout.function.is_some() {
            let wrapper = self.array(&[]);
            self.set(wrapper, 8, own);
            elements[7] = wrapper;
        }
        elements[layout.literals as usize] = literals;
        elements[layout.inlining as usize] = calls;
        elements[layout.inlining as usize + 1] = small(EXITS);
        self.array(&elements)
    }

    /// Some code; where a frame in it goes on.
    fn code(&mut self, compiler: u32, positions: u64, kept: u64) -> u64 {
        const SIZE: u32 = 48;
        // Behind it a safepoint: the exit of the place where the frame goes on.
        const SAFEPOINTS: [u8; 20] = [
            1, 0, 0, 0, 1, 0, 0, 0, 145, 0, 0, 0, 0, 0, 0, 0, 20, 1, 41, 0,
        ];
        let layout = self.layout.code;
        let object = self.object(layout.kind, 192);
        let start = if layout.is_apart {
            // With the head that holds the object.
            let head = self.room(64 + SIZE as usize + SAFEPOINTS.len());
            self.set(head, 56, object);
            let start = head - 1 + 64;
            self.set(object, layout.start, start);
            self.write(head, 64 + SIZE, &SAFEPOINTS);
            start
        } else {
            object - 1 + u64::from(layout.start)
        };
        self.set_half(object, layout.size, SIZE);
        self.set_half(object, layout.flags, compiler);
        self.set(object, layout.positions, positions);
        self.set(object, layout.deoptimization, kept);
        start + 20
    }
}
