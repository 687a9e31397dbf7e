//! What a program with V8 in it says of that V8's objects: constants that V8's
//! build writes for post-mortem debuggers (`tools/gen-postmortem-metadata.py`),
//! its version, where its builtins stand, and where its heap counts what it allocates.

use std::collections::HashMap;

use object::LittleEndian;
use object::elf::{SHN_UNDEF, Sym64};
use object::read::elf::Sym;

use super::image::{ENDIAN, Image, Table};
use super::inspect::code;
use crate::probe::placement;
use crate::symbolize::SamplingPoint;
use crate::symbolize::v8::{Constants, Layout};

const CONSTANT: &[u8] = b"v8dbg_";
const VERSION: [&[u8]; 3] = [
    b"_ZN2v88internal7Version6major_E",
    b"_ZN2v88internal7Version6minor_E",
    b"_ZN2v88internal7Version6build_E",
];
/// The builtins themselves; in V8 10 the second is a pointer to the first.
const BUILTINS: [&[u8]; 2] = [
    b"v8_Default_embedded_blob_code_data_",
    b"v8_Default_embedded_blob_code_",
];
const BUILTINS_SIZE: &[u8] = b"v8_Default_embedded_blob_code_size_";
const BYTECODE_SIZES: &[u8] = b"_ZN2v88internal11interpreter9Bytecodes14kBytecodeSizesE";
/// `v8::internal::AllocationCounter::AdvanceAllocationObservers(unsigned long)`: a linear
/// allocation buffer of so many bytes was used up. Not inlined in any node from 18 to 26.
const BUFFERS: &[u8] = b"_ZN2v88internal17AllocationCounter26AdvanceAllocationObserversEm";
/// `v8::internal::MemoryAllocator::AllocateLargePage(LargeObjectSpace*, unsigned long,
/// Executability)`: an object of its own. V8 10 tells the function above of it only where
/// somebody observes, later versions always.
const LARGE_OBJECTS: &[u8] =
    b"_ZN2v88internal15MemoryAllocator17AllocateLargePageEPNS0_16LargeObjectSpaceEmNS0_13ExecutabilityE";
/// The last major version in which large objects have to be seen on their own.
const TELLS_LARGE_APART: u32 = 10;
/// How many integer arguments the probe reads.
const ARGUMENTS: usize = 3;

/// V8 has some 600.
const MAX_CONSTANTS: usize = 4096;
/// Names of constants that are read.
const MAX_NAME: usize = 160;
/// V8 has some 200 bytecodes, each in three widths.
const MAX_BYTECODE_SIZES: u64 = 3 * 256;

/// The V8 in an object.
pub(super) struct Looked {
    /// How its objects are laid out, or why that cannot be told.
    pub layout: Result<Layout, String>,
    /// Where its allocation is sampled; empty where its symbols do not say.
    pub allocation: Vec<SamplingPoint>,
}

/// The V8 that is in this object; `None`: there is none.
pub(super) fn look(image: &Image<'_>) -> Option<Looked> {
    let symbols = Symbols::of(image)?;
    let version = VERSION.map(|name| symbols.number(image, name));
    let [Some(major), Some(minor), Some(build)] = version else {
        return Some(Looked {
            layout: Err("its version is not among its symbols".to_owned()),
            allocation: Vec::new(),
        });
    };
    let allocation = symbols.allocation(image, major);
    let constants = Constants {
        version: [major, minor, build],
        builtins: symbols.builtins(image),
        bytecode_sizes: symbols.bytecode_sizes(image),
        numbers: symbols.constants,
    };
    Some(Looked {
        layout: Layout::new(&constants),
        allocation,
    })
}

/// The symbols that count, by name.
struct Symbols<'data> {
    constants: HashMap<String, u32>,
    others: HashMap<&'data [u8], &'data Sym64<LittleEndian>>,
}

impl<'data> Symbols<'data> {
    /// `None`: V8 is not in this object.
    fn of(image: &Image<'data>) -> Option<Self> {
        let mut found = Self {
            constants: HashMap::new(),
            others: HashMap::new(),
        };
        for table in [Table::Full, Table::Dynamic] {
            let symbols = image.symbol_table(table).ok()?;
            for symbol in symbols.iter() {
                let Ok(name) = symbols.symbol_name(ENDIAN, symbol) else {
                    continue;
                };
                if symbol.st_shndx(ENDIAN) == SHN_UNDEF {
                    continue;
                }
                if let Some(constant) = name.strip_prefix(CONSTANT) {
                    found.add_constant(image, constant, symbol);
                } else if VERSION.contains(&name)
                    || BUILTINS.contains(&name)
                    || name == BUILTINS_SIZE
                    || name == BYTECODE_SIZES
                    || name == BUFFERS
                    || name == LARGE_OBJECTS
                {
                    found.others.insert(name, symbol);
                }
            }
            if found.others.len() >= VERSION.len() {
                break;
            }
        }
        (!found.constants.is_empty()).then_some(found)
    }

    fn add_constant(&mut self, image: &Image<'_>, name: &[u8], symbol: &Sym64<LittleEndian>) {
        let has_room = self.constants.len() < MAX_CONSTANTS && name.len() <= MAX_NAME;
        if let Ok(name) = str::from_utf8(name)
            && has_room
        {
            (self.constants).insert(name.to_owned(), number_at(image, symbol));
        }
    }

    fn number(&self, image: &Image<'_>, name: &[u8]) -> Option<u32> {
        Some(number_at(image, self.others.get(name)?))
    }

    /// File offsets `[start, end)`.
    fn builtins(&self, image: &Image<'_>) -> Option<[u64; 2]> {
        let symbol = BUILTINS.iter().find_map(|name| self.others.get(name))?;
        let start = image.code_offset_of_address(symbol.st_value(ENDIAN))?;
        let size = u64::from(self.number(image, BUILTINS_SIZE)?);
        Some([start, start.checked_add(size)?])
    }

    fn allocation(&self, image: &Image<'_>, major: u32) -> Vec<SamplingPoint> {
        let point = |name: &[u8], is_large| {
            let symbol = self.others.get(name)?;
            let address = symbol.st_value(ENDIAN);
            let offset = image.code_offset_of_address(address)?;
            let code = code(image, offset, symbol.st_size(ENDIAN));
            let placement = placement::place(code, address, ARGUMENTS);
            Some(SamplingPoint {
                probe_offset: offset + u64::from(placement.offset_from_entry),
                is_large,
            })
        };
        let Some(buffers) = point(BUFFERS, false) else {
            return Vec::new();
        };
        let apart = (major <= TELLS_LARGE_APART).then(|| point(LARGE_OBJECTS, true));
        // What is told to both is known to be one by whom it comes to first.
        apart.flatten().into_iter().chain([buffers]).collect()
    }

    fn bytecode_sizes(&self, image: &Image<'_>) -> Vec<u8> {
        let table = self.others.get(BYTECODE_SIZES).and_then(|symbol| {
            let size = symbol.st_size(ENDIAN);
            let start = image.offset_of_address(symbol.st_value(ENDIAN))?;
            let range = usize::try_from(start).ok()?..usize::try_from(start + size).ok()?;
            (size <= MAX_BYTECODE_SIZES).then(|| image.bytes.get(range))?
        });
        table.unwrap_or_default().to_vec()
    }
}

/// The `int` that a symbol names; what is not in the file is zero when loaded.
fn number_at(image: &Image<'_>, symbol: &Sym64<LittleEndian>) -> u32 {
    let bytes = (image.offset_of_address(symbol.st_value(ENDIAN)))
        .and_then(|offset| usize::try_from(offset).ok())
        .and_then(|offset| image.bytes.get(offset..)?.first_chunk());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
