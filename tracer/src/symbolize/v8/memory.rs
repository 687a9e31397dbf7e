//! The memory of another process, and copies of it that go first.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// Memory at addresses.
pub trait Memory {
    /// Reads from an address; whether all of it could be read.
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool;
}

/// `/proc/PID/mem`, of which no more than a budget is read.
pub struct MemoryFile<'file> {
    file: &'file File,
    budget: Cell<usize>,
}

/// Bytes read for one request: a large bundle's source, twice.
const BUDGET_BYTES: usize = 256 << 20;
/// What a read costs at least: a call takes its time, however few bytes it reads.
const MIN_READ_BYTES: usize = 64;

impl<'file> MemoryFile<'file> {
    /// Reads from this.
    #[must_use]
    pub fn new(file: &'file File) -> Self {
        Self {
            file,
            budget: Cell::new(BUDGET_BYTES),
        }
    }
}

impl Memory for MemoryFile<'_> {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let left = self
            .budget
            .get()
            .checked_sub(bytes.len().max(MIN_READ_BYTES));
        self.budget.set(left.unwrap_or(0));
        left.is_some() && self.file.read_exact_at(bytes, address).is_ok()
    }
}

/// Memory with copies of some of it as it once was.
pub(super) struct Copied<'a, M> {
    pub memory: &'a M,
    pub parts: &'a [(u64, Vec<u64>)],
}

impl<M: Memory> Memory for Copied<'_, M> {
    /// From a copy, if the first byte is in one. What goes beyond it is read
    /// only where memory still is as it was copied.
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let Some((offset, words)) = self.parts.iter().find_map(|(start, words)| {
            let offset = usize::try_from(address.checked_sub(*start)?).ok()?;
            (offset < words.len() * 8).then_some((offset, words))
        }) else {
            return self.memory.read(address, bytes);
        };
        let copy = || {
            words
                .iter()
                .flat_map(|word| word.to_le_bytes())
                .skip(offset)
        };
        if words.len() * 8 - offset >= bytes.len() {
            bytes
                .iter_mut()
                .zip(copy())
                .for_each(|(to, byte)| *to = byte);
            return true;
        }
        self.memory.read(address, bytes)
            && copy().zip(&*bytes).all(|(copied, byte)| copied == *byte)
    }
}
