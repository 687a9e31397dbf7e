//! Source files, lines and inlined functions, from DWARF within the object.
//!
//! In separate debug files too: what is compressed there was unpacked before.

use addr2line::gimli::{Dwarf, EndianSlice, LittleEndian, SectionId};
use addr2line::{Context, Frame};

use super::MAX_SYMBOLS_PER_OFFSET;
use super::image::Image;
use super::unpack::Unpacked;
use crate::symbolize::{Symbol, text};

type Slice<'data> = EndianSlice<'data, LittleEndian>;

/// The index of the object's debug information; units are read when an
/// address falls into them.
pub(super) struct Lines<'data>(Context<Slice<'data>>);

impl<'data> Lines<'data> {
    /// `None` where there is no debug information or its index is damaged.
    pub fn load(image: &Image<'data>, unpacked: &'data Unpacked) -> Option<Self> {
        let section = |id: SectionId| {
            let bytes = unpacked.section(id.name());
            EndianSlice::new(
                bytes.unwrap_or_else(|| image.section(id.name())),
                LittleEndian,
            )
        };
        if section(SectionId::DebugInfo).is_empty() || section(SectionId::DebugLine).is_empty() {
            return None;
        }
        let loaded: Result<_, gimli::Error> = Dwarf::load(|id| Ok(section(id)));
        Context::from_dwarf(loaded.ok()?).ok().map(Self)
    }

    /// The functions that hold the address, innermost first; damaged units
    /// know nothing.
    pub fn frames(&self, address: u64) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        if let Ok(mut frames) = self.0.find_frames(address).skip_all_loads() {
            while let Ok(Some(frame)) = frames.next() {
                symbols.push(symbol(&frame));
                if symbols.len() == MAX_SYMBOLS_PER_OFFSET {
                    break;
                }
            }
        }
        if let Some((_outermost, inlined)) = symbols.split_last_mut() {
            for symbol in inlined {
                symbol.inlined = true;
            }
        }
        symbols
    }
}

fn symbol(frame: &Frame<'_, Slice<'_>>) -> Symbol {
    let location = frame.location.as_ref();
    Symbol {
        function: frame
            .function
            .as_ref()
            .map(|function| text::function_name(function.name.slice())),
        file: location
            .and_then(|location| location.file)
            .map(|file| text::bounded(file.as_bytes())),
        // DWARF's line 0 means "no line".
        line: location
            .and_then(|location| location.line)
            .filter(|&line| line != 0),
        inlined: false,
    }
}
