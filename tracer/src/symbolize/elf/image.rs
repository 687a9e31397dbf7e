//! The frame of an ELF object: its segments, sections and symbol tables, and
//! the way between file offsets and addresses.

use std::ops::Range;

use object::LittleEndian;
use object::elf::{
    EM_X86_64, FileHeader64, PF_X, PT_LOAD, SHF_COMPRESSED, SHN_ABS, SHN_COMMON, SHN_UNDEF,
    SHT_DYNSYM, SHT_SYMTAB, STT_FUNC, STT_GNU_IFUNC, Sym64,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, SectionTable, Sym, SymbolTable};
use thiserror::Error;

pub(super) type Header = FileHeader64<LittleEndian>;
pub(super) type Segment = <Header as FileHeader>::ProgramHeader;
pub(super) const ENDIAN: LittleEndian = LittleEndian;

/// Linkers write about ten program headers.
const MAX_SEGMENTS: usize = 128;
/// With `-ffunction-sections` and no link there are many; linked objects have
/// some tens.
const MAX_SECTIONS: usize = 65_535;

/// Why bytes were not taken for an object.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ElfError {
    /// Not an ELF file, or one of another word size or byte order.
    #[error("not a 64-bit little-endian ELF object")]
    NotElf,
    /// An ELF file for another processor.
    #[error("an ELF object for another processor (e_machine {0})")]
    OtherProcessor(u16),
    /// Its tables lead outside the file or contradict each other.
    #[error("a damaged ELF object: {0}")]
    Damaged(#[from] object::read::Error),
}

/// An ELF object's tables, found but not read.
pub(super) struct Image<'data> {
    pub bytes: &'data [u8],
    pub header: &'data Header,
    pub segments: &'data [Segment],
    pub sections: SectionTable<'data, Header>,
}

/// One of the two symbol tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    /// `.symtab`: complete, often stripped.
    Full,
    /// `.dynsym`: what other objects may use.
    Dynamic,
}

impl<'data> Image<'data> {
    pub fn parse(bytes: &'data [u8]) -> Result<Self, ElfError> {
        let header = Header::parse(bytes).map_err(|_| ElfError::NotElf)?;
        header.endian().map_err(|_| ElfError::NotElf)?;
        let machine = header.e_machine(ENDIAN);
        if machine != EM_X86_64 {
            return Err(ElfError::OtherProcessor(machine));
        }
        let segments = header.program_headers(ENDIAN, bytes)?;
        let sections = header.sections(ENDIAN, bytes)?;
        Ok(Self {
            bytes,
            header,
            segments: &segments[..segments.len().min(MAX_SEGMENTS)],
            sections: if sections.len() <= MAX_SECTIONS {
                sections
            } else {
                SectionTable::default()
            },
        })
    }

    pub fn symbol_table(&self, table: Table) -> Result<SymbolTable<'data, Header>, ElfError> {
        let kind = match table {
            Table::Full => SHT_SYMTAB,
            Table::Dynamic => SHT_DYNSYM,
        };
        Ok(self.sections.symbols(ENDIAN, self.bytes, kind)?)
    }

    /// The section's bytes; empty where it is missing, compressed or outside the file.
    pub fn section(&self, name: &str) -> &'data [u8] {
        self.section_at(name).map_or(&[], |(_, bytes)| bytes)
    }

    /// The same with its address.
    pub fn section_at(&self, name: &str) -> Option<(u64, &'data [u8])> {
        let (_, section) = self.sections.section_by_name(ENDIAN, name.as_bytes())?;
        let is_compressed = section.sh_flags(ENDIAN) & u64::from(SHF_COMPRESSED) != 0;
        let bytes = section.data(ENDIAN, self.bytes).ok()?;
        (!is_compressed).then_some((section.sh_addr(ENDIAN), bytes))
    }

    pub fn loads(&self) -> impl Iterator<Item = &'data Segment> {
        self.segments
            .iter()
            .filter(|segment| segment.p_type(ENDIAN) == PT_LOAD)
    }

    /// Where the loader puts the byte at this file offset, before relocation.
    /// Segments overlap at their edges in the file: code is meant.
    pub fn address_of_offset(&self, offset: u64) -> Option<u64> {
        self.code_first().find_map(|segment| {
            let inside = offset.checked_sub(segment.p_offset(ENDIAN))?;
            (inside < segment.p_filesz(ENDIAN))
                .then(|| segment.p_vaddr(ENDIAN).wrapping_add(inside))
        })
    }

    /// Where in the file the byte stands that the loader puts at this address.
    pub fn offset_of_address(&self, address: u64) -> Option<u64> {
        self.code_first().find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr(ENDIAN))?;
            (inside < segment.p_filesz(ENDIAN))
                .then(|| segment.p_offset(ENDIAN).checked_add(inside))?
        })
    }

    /// The same for code only.
    pub fn code_offset_of_address(&self, address: u64) -> Option<u64> {
        let code = |segment: &&Segment| segment.p_flags(ENDIAN) & PF_X != 0;
        self.loads().filter(code).find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr(ENDIAN))?;
            (inside < segment.p_filesz(ENDIAN))
                .then(|| segment.p_offset(ENDIAN).checked_add(inside))?
        })
    }

    /// The offsets in the file between which all its code stands.
    pub fn code_offsets(&self) -> Range<u64> {
        let code = self.loads().filter(|it| it.p_flags(ENDIAN) & PF_X != 0);
        let ranges = code.map(|segment| {
            let start = segment.p_offset(ENDIAN);
            let end = start.saturating_add(segment.p_filesz(ENDIAN));
            start..end.min(self.bytes.len() as u64)
        });
        ranges
            .filter(|range| !range.is_empty())
            .reduce(|all, range| all.start.min(range.start)..all.end.max(range.end))
            .unwrap_or_default()
    }

    fn code_first(&self) -> impl Iterator<Item = &'data Segment> {
        let is_code = |segment: &&Segment| segment.p_flags(ENDIAN) & PF_X != 0;
        self.loads()
            .filter(is_code)
            .chain(self.loads().filter(move |segment| !is_code(segment)))
    }
}

/// Whether the symbol is a function whose code stands in this object.
pub(super) fn is_defined_function(symbol: &Sym64<LittleEndian>) -> bool {
    matches!(symbol.st_type(), STT_FUNC | STT_GNU_IFUNC)
        && !matches!(symbol.st_shndx(ENDIAN), SHN_UNDEF | SHN_ABS | SHN_COMMON)
}
