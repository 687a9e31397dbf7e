//! Walks in user space, over tables and a piece of stack at hand: for tests
//! and fuzzing, by the code that runs in the kernel.

use std::cell::RefCell;

use super::{
    Environment, Walk,
    code::{CHUNK_ROWS, Chunk, CodeMapping, FOUND_MAX, Found, MAPPINGS_MAX, MappedCode, Page},
    code::{SpaceCode, UNUSED},
    row::{PAGE_SHIFT, Rule, Special, row},
    step,
    walk::WINDOW_WORDS,
};
use crate::{
    FRAMES_MAX,
    javascript::{Identity, Reader, Runtime, Slots},
};

/// A table, as its maker has it.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// The page of the file that `pages` begins with.
    pub first_page: u32,
    /// How many rows each page has.
    pub pages: &'a [u16],
    /// The rows, page after page.
    pub rows: &'a [u32],
    /// The special rules by number.
    pub specials: &'a [Special],
}

/// An address space at one moment.
pub struct Replay {
    code: Box<SpaceCode>,
    mappings: usize,
    pages: Vec<Page>,
    chunks: Vec<Box<Chunk>>,
    specials: Vec<Special>,
    found: RefCell<Vec<u64>>,
    /// The lowest address of the stack.
    pub stack_start: u64,
    /// What stands there.
    pub stack: Vec<u8>,
    /// Return addresses that return probes have taken, by their place.
    pub displaced: Vec<(u64, u64)>,
    /// JavaScript functions that were met.
    pub functions: RefCell<Vec<(Identity, Slots)>>,
}

impl Default for Replay {
    fn default() -> Self {
        Self {
            code: Box::default(),
            mappings: 0,
            pages: Vec::new(),
            chunks: Vec::new(),
            specials: vec![Special::default()],
            found: RefCell::new(vec![0; FOUND_MAX]),
            stack_start: 0,
            stack: Vec::new(),
            displaced: Vec::new(),
            functions: RefCell::default(),
        }
    }
}

impl Replay {
    /// No code, and this stack from this address on.
    #[must_use]
    pub fn new(stack_start: u64, stack: Vec<u8>) -> Self {
        Self {
            stack_start,
            stack,
            ..Self::default()
        }
    }

    /// Adds a mapping of a file, from `offset` on; in order of their addresses.
    ///
    /// # Panics
    /// There are more than [`MAPPINGS_MAX`], or a table with more specials than fit.
    pub fn map(&mut self, start: u64, length: u64, offset: u64, table: &Table<'_>) {
        assert!(self.mappings < MAPPINGS_MAX, "too many mappings");
        let first_special = self.specials.len() as u16;
        self.specials.extend_from_slice(table.specials);
        let renumbered = |it: &u32| {
            let rule = Rule(*it as u16);
            match rule.kind() {
                0 => row(
                    (it >> 16) as u16,
                    Rule::special(rule.number() + first_special),
                ),
                _ => *it,
            }
        };
        let first_page = self.pages.len() as u32;
        let mut rest = table.rows;
        for count in table.pages {
            let (rows, behind) = rest.split_at(usize::from(*count).min(rest.len()));
            rest = behind;
            let mut chunk = Box::new([0; CHUNK_ROWS]);
            for (to, row) in chunk.iter_mut().zip(rows) {
                *to = renumbered(row);
            }
            self.pages.push(match rows.len() {
                0 => Page::default(),
                count => Page::new(self.chunks.len() as u32, 0, count as u16),
            });
            self.chunks.push(chunk);
        }
        let of_table = u64::from(table.first_page) << PAGE_SHIFT;
        self.code.mapped.starts[self.mappings] = start;
        self.code.mapped.mappings[self.mappings] = CodeMapping {
            start,
            length,
            origin: start.wrapping_sub(offset).wrapping_add(of_table),
            first_page,
            pages: table.pages.len() as u32,
            table: self.mappings as u32,
            reserved: 0,
        };
        self.mappings += 1;
        debug_assert!(
            self.code.mapped.starts[self.mappings..]
                .iter()
                .all(|it| *it == UNUSED)
        );
    }

    /// Sets the V8 of the address space.
    pub fn set_runtime(&mut self, runtime: Runtime) {
        self.code.runtime = runtime;
    }

    /// Walks from a frame to the end; the frames, innermost first.
    ///
    /// # Panics
    /// The walk does not end, which would be a fault of [`step`].
    #[must_use]
    pub fn walk(&self, start: Walk) -> (Walk, Vec<u64>) {
        let mut walk = start;
        let mut frames = [0; FRAMES_MAX];
        let mut window = [0; WINDOW_WORDS];
        let end = (0..=FRAMES_MAX * 2).find(|_| !step(&mut walk, &mut frames, &mut window, self));
        assert!(end.is_some(), "it goes on and on");
        (walk, frames[..walk.frames as usize].to_vec())
    }
}

impl Environment for Replay {
    const TELLS_FUNCTIONS: bool = true;

    fn mapped(&self) -> &MappedCode {
        &self.code.mapped
    }

    fn found(&self, index: usize) -> Found {
        Found(self.found.borrow()[index])
    }

    fn keep(&self, index: usize, found: Found) {
        self.found.borrow_mut()[index] = found.0;
    }

    fn page(&self, number: u32) -> Page {
        self.pages.get(number as usize).copied().unwrap_or_default()
    }

    fn rows(&self, chunk: u32) -> Option<&Chunk> {
        self.chunks.get(chunk as usize).map(|chunk| &**chunk)
    }

    fn special(&self, number: u16) -> Option<&Special> {
        self.specials.get(usize::from(number))
    }

    fn runtime(&self) -> &Runtime {
        &self.code.runtime
    }

    fn knows(&self, identity: Identity, slots: &Slots) -> bool {
        self.functions.borrow_mut().push((identity, *slots));
        true
    }

    fn used(&self, _table: u32) {}

    fn displaced(&self, place: u64) -> u64 {
        let known = self.displaced.iter().find(|(at, _)| *at == place);
        known.map_or(0, |(_, address)| *address)
    }
}

impl Reader for Replay {
    fn read(&self, address: u64, words: &mut [u64]) -> bool {
        let bytes = address
            .checked_sub(self.stack_start)
            .and_then(|from| usize::try_from(from).ok())
            .and_then(|from| self.stack.get(from..from.checked_add(size_of_val(words))?));
        let Some(bytes) = bytes else {
            words.fill(0);
            return false;
        };
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        true
    }
}
