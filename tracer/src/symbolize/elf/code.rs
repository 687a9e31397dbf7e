//! An object's code as `probe::exits` reads it, with the pointers by which it
//! calls its own functions through the procedure linkage table, and the bounds
//! of its functions by the unwind tables, which know the nameless ones too.

use std::{cell::OnceCell, collections::HashMap};

use gimli::{BaseAddresses, CieOrFde, EhFrame, LittleEndian, UnwindSection};
use object::elf::{R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, SHT_RELA};
use object::read::elf::{Rela, SectionHeader, Sym};

use super::image::{ENDIAN, ElfError, Image, Table, is_defined_function};
use crate::probe::exits::CodeReader;

/// Relocations looked at; libraries have some thousands of these kinds.
const MAX_RELOCATIONS: usize = 200_000;
/// Functions in unwind tables; node has some 150,000.
const MAX_FUNCTIONS: usize = 2_000_000;

/// The code, and its pointers to functions of its own.
pub(super) struct Code<'image, 'data> {
    image: &'image Image<'data>,
    pointers: HashMap<u64, u64>,
    /// `[start, end)`, sorted; read when first asked for.
    functions: OnceCell<Vec<(u64, u64)>>,
}

impl<'image, 'data> Code<'image, 'data> {
    pub fn of(image: &'image Image<'data>) -> Result<Self, ElfError> {
        let symbols = image.symbol_table(Table::Dynamic)?;
        let mut pointers = HashMap::new();
        for section in image
            .sections
            .iter()
            .filter(|it| it.sh_type(ENDIAN) == SHT_RELA)
        {
            let Ok(Some((relocations, _))) = section.rela(ENDIAN, image.bytes) else {
                continue;
            };
            for relocation in relocations.iter().take(MAX_RELOCATIONS) {
                let kind = relocation.r_type(ENDIAN, false);
                if kind != R_X86_64_JUMP_SLOT && kind != R_X86_64_GLOB_DAT {
                    continue;
                }
                let Some(index) = relocation.symbol(ENDIAN, false) else {
                    continue;
                };
                if let Ok(symbol) = symbols.symbol(index)
                    && is_defined_function(symbol)
                {
                    pointers.insert(relocation.r_offset(ENDIAN), symbol.st_value(ENDIAN));
                }
            }
        }
        Ok(Self {
            image,
            pointers,
            functions: OnceCell::new(),
        })
    }

    /// Up to the first entry that makes no sense.
    fn read_functions(&self) -> Vec<(u64, u64)> {
        let Some((address, bytes)) = self.image.section_at(".eh_frame") else {
            return Vec::new();
        };
        let table = EhFrame::new(bytes, LittleEndian);
        let bases = BaseAddresses::default().set_eh_frame(address);
        let mut entries = table.entries(&bases);
        let mut functions = Vec::new();
        while let Ok(Some(entry)) = entries.next()
            && functions.len() < MAX_FUNCTIONS
        {
            let CieOrFde::Fde(entry) = entry else {
                continue;
            };
            let Ok(entry) = entry.parse(EhFrame::cie_from_offset) else {
                break;
            };
            let start = entry.initial_address();
            functions.push((start, start.saturating_add(entry.len())));
        }
        functions.sort_unstable();
        functions
    }
}

impl CodeReader for Code<'_, '_> {
    fn code_at(&self, address: u64) -> &[u8] {
        let offset = self.image.code_offset_of_address(address);
        let start = offset.and_then(|offset| usize::try_from(offset).ok());
        start
            .and_then(|start| self.image.bytes.get(start..))
            .unwrap_or_default()
    }

    fn function_end(&self, address: u64) -> Option<u64> {
        let functions = self.functions.get_or_init(|| self.read_functions());
        let behind = functions.partition_point(|&(start, _)| start <= address);
        let (_, end) = *functions.get(behind.checked_sub(1)?)?;
        (address < end).then_some(end)
    }

    fn pointed_to(&self, pointer: u64) -> Option<u64> {
        self.pointers.get(&pointer).copied()
    }
}
