//! The functions of an object's symbol tables, sorted, and the one that holds
//! an address.

use object::elf::{SHF_EXECINSTR, STB_GLOBAL, STB_WEAK};
use object::read::StringTable;
use object::read::elf::{SectionHeader, Sym};

use super::image::{ENDIAN, ElfError, Image, Table, is_defined_function};
use crate::symbolize::{NEAR, text};

/// Functions kept of one object (24 bytes each); Chromium has about a million.
const MAX_FUNCTIONS: usize = 8_000_000;
/// How many functions that begin before an address are looked at. One that
/// spans more smaller ones is not found for an address between them.
const MAX_STEPS: usize = 256;

pub(super) struct Symbols<'data> {
    /// By start.
    functions: Vec<Function>,
    /// Start and end of each section that holds code, by start.
    code: Vec<(u64, u64)>,
    has_full_table: bool,
    full: StringTable<'data>,
    dynamic: StringTable<'data>,
}

struct Function {
    start: u64,
    /// First byte behind it.
    end: u64,
    /// Offset in the string table.
    name: u32,
    binding: u8,
    table: Table,
}

impl<'data> Symbols<'data> {
    /// Both tables together: `.symtab` knows more, but a stripped object keeps
    /// only `.dynsym`, and some linkers leave versions' aliases out of one.
    pub fn collect(image: &Image<'data>) -> Result<Self, ElfError> {
        let full = image.symbol_table(Table::Full)?;
        let dynamic = image.symbol_table(Table::Dynamic)?;
        let mut functions = Vec::new();
        for (symbols, table) in [(&full, Table::Full), (&dynamic, Table::Dynamic)] {
            let room = MAX_FUNCTIONS - functions.len();
            functions.extend(
                symbols
                    .iter()
                    .filter(|symbol| is_defined_function(symbol))
                    .take(room)
                    .map(|symbol| {
                        let start = symbol.st_value(ENDIAN);
                        Function {
                            start,
                            end: start.saturating_add(symbol.st_size(ENDIAN)),
                            name: symbol.st_name(ENDIAN),
                            binding: symbol.st_bind(),
                            table,
                        }
                    }),
            );
        }
        functions.sort_unstable_by_key(|function| function.start);
        let code = code_sections(image);
        give_ends(&mut functions, &code);
        Ok(Self {
            functions,
            code,
            has_full_table: !full.is_empty(),
            full: full.strings(),
            dynamic: dynamic.strings(),
        })
    }

    /// Demangled name of the innermost function that holds the address.
    pub fn name_at(&self, address: u64) -> Option<String> {
        let behind = self
            .functions
            .partition_point(|function| function.start <= address);
        let before = &self.functions[..behind];
        let mut holding = before
            .iter()
            .rev()
            .take(MAX_STEPS)
            .filter(|function| address < function.end)
            .peekable();
        let start = holding.peek()?.start;
        let name = holding
            .take_while(|function| function.start == start)
            .filter_map(|function| Some((function, self.raw_name(function)?)))
            .min_by_key(|(function, name)| preference(function, name))
            .map(|(_, name)| name)?;
        Some(text::function_name(name))
    }

    /// Of a stripped object, whose private functions have no names: the public
    /// one before the address, marked as no more than near.
    pub fn nearest(&self, address: u64) -> Option<String> {
        if self.has_full_table {
            return None;
        }
        let behind = self
            .functions
            .partition_point(|function| function.start <= address);
        let nearest = self.functions.get(behind.checked_sub(1)?)?;
        let section = self.code.partition_point(|&(start, _)| start <= address);
        let (start, end) = *self.code.get(section.checked_sub(1)?)?;
        let is_near = nearest.start >= start && address < end;
        let name = text::function_name(self.raw_name(nearest).filter(|_| is_near)?);
        Some(text::bounded(
            format!("{NEAR}{name}+{:#x}", address - nearest.start).as_bytes(),
        ))
    }

    fn raw_name(&self, function: &Function) -> Option<&'data [u8]> {
        let strings = match function.table {
            Table::Full => self.full,
            Table::Dynamic => self.dynamic,
        };
        let name = strings.get(function.name).ok()?;
        // `.symtab` may carry the version: `memcpy@@GLIBC_2.14`.
        let name = match name.iter().position(|&byte| byte == b'@') {
            Some(at) if at > 0 => &name[..at],
            _ => name,
        };
        (!name.is_empty()).then_some(name)
    }
}

/// Which of several names of one function to tell, least first: the one that
/// programs call it by (`free`, not `__libc_free`), the same in every run.
fn preference<'name>(
    function: &Function,
    name: &'name [u8],
) -> (usize, u8, usize, Table, &'name [u8]) {
    let mangled = name.starts_with(b"_Z") || name.starts_with(b"_R");
    let underscores = name.iter().take_while(|&&byte| byte == b'_').count();
    let binding = match function.binding {
        STB_GLOBAL => 0,
        STB_WEAK => 1,
        _ => 2,
    };
    (
        if mangled { 0 } else { underscores },
        binding,
        name.len(),
        function.table,
        name,
    )
}

/// Gives a function without a size the space to the next one, within its section.
fn give_ends(functions: &mut [Function], code: &[(u64, u64)]) {
    let mut next_start = u64::MAX;
    let mut behind = u64::MAX;
    for function in functions.iter_mut().rev() {
        if function.start != next_start {
            behind = next_start;
            next_start = function.start;
        }
        if function.end == function.start {
            let section_end = code
                .get(
                    code.partition_point(|&(start, _)| start <= function.start)
                        .wrapping_sub(1),
                )
                .map_or(function.start, |&(_, end)| end);
            function.end = behind.min(section_end).max(function.start);
        }
    }
}

/// Start and end of each section that holds code, by start.
fn code_sections(image: &Image<'_>) -> Vec<(u64, u64)> {
    let mut code: Vec<_> = image
        .sections
        .iter()
        .filter(|section| section.sh_flags(ENDIAN) & u64::from(SHF_EXECINSTR) != 0)
        .map(|section| {
            let start = section.sh_addr(ENDIAN);
            (start, start.saturating_add(section.sh_size(ENDIAN)))
        })
        .collect();
    code.sort_unstable();
    code
}
