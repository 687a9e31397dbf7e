//! ELF objects: what they are, and which function holds an offset.
//!
//! Pure over the object's bytes, which are hostile: every table is bounded, and
//! nothing here panics. Offsets are offsets in the file, as mappings and
//! uprobes count; the addresses in the object's own tables stay in here.

pub mod allocator;
mod code;
mod image;
mod inspect;
mod lines;
mod symbols;
mod unpack;
mod unwind;
mod v8;

pub use image::ElfError;
pub use inspect::inspect;
pub use unpack::Unpacked;
pub use unwind::{unwind_digest, unwind_table};

use super::Symbol;
use image::Image;
use lines::Lines;
use symbols::Symbols;

/// Inlined functions told at one offset; compilers go some ten deep.
pub const MAX_SYMBOLS_PER_OFFSET: usize = 32;

/// An object prepared for many look-ups: its functions sorted, its debug
/// information at hand.
pub struct Object<'data> {
    image: Image<'data>,
    symbols: Symbols<'data>,
    lines: Option<Lines<'data>>,
}

impl<'data> Object<'data> {
    /// Reads the symbol tables and the index of the debug information, of which
    /// `unpacked` is what was compressed.
    ///
    /// # Errors
    /// The bytes are not an x86-64 ELF object, or their tables contradict each
    /// other. Damaged debug information is not an error: there are no lines then.
    pub fn parse(bytes: &'data [u8], unpacked: &'data Unpacked) -> Result<Self, ElfError> {
        let image = Image::parse(bytes)?;
        let symbols = Symbols::collect(&image)?;
        let lines = Lines::load(&image, unpacked);
        Ok(Self {
            image,
            symbols,
            lines,
        })
    }

    /// The functions that hold the instruction at this file offset, innermost
    /// first; empty where none is known.
    ///
    /// For a frame that called another, pass the offset of its return address
    /// less one: the call may be the last instruction of its function or line.
    #[must_use]
    pub fn symbolize(&self, offset: u64) -> Vec<Symbol> {
        match self.address_of(offset) {
            Some(address) => self.symbolize_address(address),
            None => Vec::new(),
        }
    }

    /// Where the loader puts the byte at this file offset, before relocation:
    /// what a separate debug file knows it by.
    #[must_use]
    pub fn address_of(&self, offset: u64) -> Option<u64> {
        self.image.address_of_offset(offset)
    }

    /// As [`Self::symbolize`], by address.
    #[must_use]
    pub fn symbolize_address(&self, address: u64) -> Vec<Symbol> {
        let mut frames = match &self.lines {
            Some(lines) => lines.frames(address),
            None => Vec::new(),
        };
        if frames.is_empty() {
            frames.push(Symbol::default());
        }
        // Debug information of part of a program, or without names: the symbol
        // table knows the function that everything else was put into.
        if let Some(outermost) = frames.last_mut()
            && outermost.function.is_none()
        {
            outermost.function =
                (self.symbols.name_at(address)).or_else(|| self.symbols.nearest(address));
        }
        frames.retain(|frame| frame.function.is_some() || frame.file.is_some());
        frames
    }
}

/// The functions that hold each of these file offsets, see [`Object::symbolize`].
///
/// # Errors
/// As [`Object::parse`].
pub fn symbolize(bytes: &[u8], offsets: &[u64]) -> Result<Vec<Vec<Symbol>>, ElfError> {
    let unpacked = Unpacked::of(bytes);
    let object = Object::parse(bytes, &unpacked)?;
    Ok(offsets
        .iter()
        .map(|&offset| object.symbolize(offset))
        .collect())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
