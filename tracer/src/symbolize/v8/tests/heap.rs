//! A heap made by hand, with objects where V8 12.4 (Node.js 22) has them: the
//! offsets are from its sources, not from the layout that is under test.

use std::cell::Cell;
use std::collections::HashMap;

use crate::symbolize::v8::{Described, Layout, Memory, Script, SeenFunction, Types, describe};

/// Where its objects stand, and its compiled code.
pub const HEAP: u64 = 0x2000_0000;
pub const CODE: u64 = 0x3000_0000;
const CODE_BYTES: usize = 0x4_0000;

/// Types of objects (`InstanceType`).
pub const FUNCTION: u32 = 2070;
pub const INFO: u32 = 274;
pub const SCOPE: u32 = 272;
pub const SCRIPT: u32 = 167;
pub const ARRAY: u32 = 174;
pub const BYTES: u32 = 212;
pub const BYTECODE: u32 = 205;
pub const COMPILED: u32 = 206;
/// How a string is kept: with these bits it is not of two bytes, and not internal.
pub const ONE_BYTE: u32 = 8;
const JOINED: u32 = 0x21;
const EXTERNAL: u32 = 0x22;
const SLICED: u32 = 0x23;
const STANDING_FOR: u32 = 0x25;

/// Which compiler made some code.
pub const BASELINE: u32 = 10;
pub const MAGLEV: u32 = 11;
pub const OPTIMISED: u32 = 12;

/// A small integer.
pub fn small(number: i32) -> u64 {
    u64::from(number.cast_unsigned()) << 32
}

/// Bytes as words, the rest of the last one filled up.
pub fn packed(bytes: &[u8]) -> Vec<u64> {
    let words = bytes.chunks(8).map(|chunk| {
        let mut word = [0xee; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    words.collect()
}

/// Memory with objects in it. Objects are known by their tagged addresses.
pub struct MadeHeap {
    pub layout: Layout,
    /// How often it was read from.
    pub reads: Cell<usize>,
    objects: Vec<u8>,
    code: Vec<u8>,
    maps: HashMap<u32, u64>,
}

impl Memory for MadeHeap {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        self.reads.set(self.reads.get() + 1);
        let within = |start: u64, region: &[u8]| {
            let from = usize::try_from(address.checked_sub(start)?).ok()?;
            let found = region.get(from..from.checked_add(bytes.len())?)?;
            bytes.copy_from_slice(found);
            Some(())
        };
        let mut within = within;
        within(HEAP, &self.objects)
            .or_else(|| within(CODE, &self.code))
            .is_some()
    }
}

impl MadeHeap {
    pub fn new() -> Self {
        Self {
            layout: super::layout::of_node_22(),
            reads: Cell::new(0),
            objects: Vec::new(),
            code: vec![0xcc; CODE_BYTES],
            maps: HashMap::new(),
        }
    }

    /// An object of this type: its words behind the map.
    pub fn object(&mut self, kind: u32, words: &[u64]) -> u64 {
        let map = self.map(kind);
        self.put(&[&[map], words].concat())
    }

    /// What all objects of one type point to.
    pub fn map(&mut self, kind: u32) -> u64 {
        if let Some(map) = self.maps.get(&kind) {
            return *map;
        }
        // Around the type stands what is none of it.
        let map = self.put(&[0x11, u64::from(kind) << 32 | 0xbeef_0000_0004_0302]);
        self.maps.insert(kind, map);
        map
    }

    /// Words that are no object.
    pub fn put(&mut self, words: &[u64]) -> u64 {
        let address = HEAP + self.objects.len() as u64;
        (self.objects).extend(words.iter().flat_map(|word| word.to_le_bytes()));
        address | 1
    }

    /// How many words there are of all objects.
    pub fn words(&self) -> usize {
        self.objects.len() / 8
    }

    /// Changes a word of an object.
    pub fn set(&mut self, object: u64, offset: u64, word: u64) {
        let at = (object - 1 + offset - HEAP) as usize;
        self.objects[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// A copy of so many words of an object, as the kernel side makes it.
    pub fn copy(&self, object: u64, words: usize) -> (u64, Vec<u64>) {
        let mut bytes = vec![0; words * 8];
        assert!(self.read(object - 1, &mut bytes));
        let words = bytes.as_chunks().0.iter();
        (
            object - 1,
            words.map(|word| u64::from_le_bytes(*word)).collect(),
        )
    }

    fn text_object(&mut self, kind: u32, length: usize, words: &[u64]) -> u64 {
        // In one word with the hash.
        let head = (length as u64) << 32 | 0x5eed_5eed;
        self.object(kind, &[&[head], words].concat())
    }

    /// Its characters behind its head; of two bytes where one does not do.
    pub fn string(&mut self, text: &str) -> u64 {
        let (kind, length, bytes) = encoded(text);
        self.text_object(kind, length, &packed(&bytes))
    }

    /// Its characters elsewhere, behind the resource that holds them.
    pub fn external(&mut self, text: &str) -> u64 {
        let (kind, length, bytes) = encoded(text);
        let characters = self.put(&packed(&bytes)) - 1;
        self.text_object(EXTERNAL | kind, length, &[0xabc0, characters])
    }

    pub fn joined(&mut self, length: usize, first: u64, second: u64) -> u64 {
        self.text_object(JOINED | ONE_BYTE, length, &[first, second])
    }

    pub fn sliced(&mut self, whole: u64, from: i32, length: usize) -> u64 {
        self.text_object(SLICED | ONE_BYTE, length, &[whole, small(from)])
    }

    pub fn standing_for(&mut self, length: usize, actual: u64) -> u64 {
        self.text_object(STANDING_FOR | ONE_BYTE, length, &[actual])
    }

    pub fn array(&mut self, elements: &[u64]) -> u64 {
        let length = small(elements.len() as i32);
        self.object(ARRAY, &[&[length], elements].concat())
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let length = small(bytes.len() as i32);
        self.object(BYTES, &[&[length], &packed(bytes)[..]].concat())
    }

    /// Its source text has not been searched for lines.
    pub fn script(&mut self, number: i32, name: u64, source: u64) -> u64 {
        let no_ends = small(0);
        let head = [source, name, small(0), small(0), small(0), small(0)];
        self.object(SCRIPT, &[&head[..], &[no_ends, small(number)]].concat())
    }

    /// A shared function info.
    pub fn info(&mut self, name: u64, script: u64) -> u64 {
        self.object(INFO, &[small(0), name, small(0), script, small(0)])
    }

    /// A scope info with these words behind its local variables, whose names
    /// must not be taken for the function's.
    pub fn scope(&mut self, locals: usize, behind: &[u64]) -> u64 {
        let local = self.string("local");
        // From 75 on their names are in a table of their own.
        let mut slots = match locals {
            ..75 => vec![local; locals],
            _ => vec![self.bytes(&[1, 2, 3])],
        };
        slots.extend(vec![small(7); locals]);
        let head = [small(0x55), small(2), small(locals as i32)];
        self.object(SCOPE, &[&head, &slots[..], behind].concat())
    }

    pub fn function(&mut self, info: u64) -> u64 {
        self.object(FUNCTION, &[small(0), small(0), small(0), info])
    }

    pub fn bytecode(&mut self, codes: &[u8], positions: u64) -> u64 {
        let mut words = vec![small(codes.len() as i32), small(0), positions];
        words.extend([small(0); 4]);
        words.extend(packed(codes));
        self.object(BYTECODE, &words)
    }

    /// Some code, so far behind [`CODE`].
    pub fn code(&mut self, at: usize, size: u32, compiler: u32, data: u64, table: u64) -> u64 {
        let start = CODE + at as u64;
        // Only the lowest four bits of the flags are of the compiler.
        let flags = u64::from(size) << 32 | 0xab0 | u64::from(compiler);
        let words = [data, table, small(0), small(0), start, flags];
        let code = self.object(COMPILED, &words);
        self.set_code(at - 8, code);
        code
    }

    /// Changes a word among the code.
    pub fn set_code(&mut self, at: usize, word: u64) {
        self.code[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// A function of this name in a script of its own.
    pub fn function_named(&mut self, name: u64) -> (u64, Script) {
        let path = self.string("/srv/app.js");
        let source = self.string("");
        let script = self.script(31, path, source);
        let info = self.info(name, script);
        let told = Script {
            address: script - 1,
            number: 31,
            name: Some("/srv/app.js".to_owned()),
        };
        (self.function(info), told)
    }

    pub fn describe(&self, seen: &SeenFunction) -> Option<Described> {
        describe(self, &self.layout, &Types::default(), seen)
    }
}

/// A function of which nothing else is known.
pub fn seen(function: u64) -> SeenFunction {
    SeenFunction {
        function,
        ..SeenFunction::default()
    }
}

/// Type, count of characters, and characters.
fn encoded(text: &str) -> (u32, usize, Vec<u8>) {
    let units: Vec<u16> = text.encode_utf16().collect();
    let narrow: Option<Vec<u8>> = units.iter().map(|it| u8::try_from(*it).ok()).collect();
    match narrow {
        Some(bytes) => (ONE_BYTE, units.len(), bytes),
        None => {
            let bytes = units.iter().flat_map(|it| it.to_le_bytes()).collect();
            (0, units.len(), bytes)
        }
    }
}
