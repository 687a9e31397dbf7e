//! What an object is: its identity, the glibc or other allocator in it, and
//! where probes on its allocator functions go.

use std::fmt::Write as _;

use object::LittleEndian;
use object::elf::{
    DF_1_PIE, DT_FLAGS_1, DT_SONAME, ET_DYN, ET_EXEC, NT_GNU_BUILD_ID, PF_X, PT_INTERP, STB_GLOBAL,
    STB_WEAK, STT_FUNC, Sym64,
};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader, Sym};

use super::allocator::{Interface, interface, is_prefixed, marked_by};
use super::code::Code;
use super::image::{ENDIAN, ElfError, Image, Table, is_defined_function};
use super::v8;
use crate::probe::exits::{Exits, exits};
use crate::probe::placement::{self, MAX_FUNCTION_BYTES};
use crate::symbolize::text;
use crate::symbolize::{AllocatorFunction, ObjectSummary};

/// How functions of V8's begin.
const V8: &[u8] = b"_ZN2v8";
/// `v8::V8::Initialize(int)`, which V8 defines and nothing that only uses it.
const OWN_V8: &[u8] = b"_ZN2v82V810Initialize";
/// SHA-512 would need 64; linkers write 20 or 16.
const MAX_BUILD_ID_BYTES: usize = 64;
const MAX_NOTES: usize = 256;
/// As a file name may be (`NAME_MAX`).
const MAX_DEBUG_LINK: usize = 255;
const MAX_DYNAMIC_ENTRIES: usize = 4096;
const MAX_VERSIONS: usize = 4096;
/// glibc's constants are 150 KiB, node's 47 MiB.
const MAX_CONSTANTS: usize = 64 * 1024 * 1024;
/// glibc's has some 300 bytes.
const MAX_BANNER: usize = 512;
/// Different functions of one name are versions of it; more than a few is no
/// allocator.
const MAX_ALLOCATOR_FUNCTIONS: usize = 128;
/// Words of an allocator that a stripped object gives away: of messages that
/// it alone has.
const HINTS: [(&[u8], &str); 5] = [
    (b"<jemalloc>", "jemalloc"),
    (b"mimalloc: ", "mimalloc"),
    (b"Bytes in use by application", "tcmalloc"),
    // A libc is in the program only where that is static.
    (b"malloc(): corrupted", "glibc"),
    (b"musl libc", "musl"),
];
const HINTS_OF_LIBC: usize = 2;

/// Describes an object, see [`ObjectSummary`].
///
/// # Errors
/// The bytes are not an x86-64 ELF object, or their tables contradict each other.
pub fn inspect(bytes: &[u8]) -> Result<ObjectSummary, ElfError> {
    let image = Image::parse(bytes)?;
    let dynamic = Dynamic::read(&image)?;
    let mut summary = ObjectSummary {
        build_id: build_id(&image),
        debug_link: debug_link(&image),
        is_static: is_static(&image, dynamic.position_independent_program),
        ..ObjectSummary::default()
    };
    let code = Code::of(&image)?;
    let mut is_glibc = dynamic.soname == Some(b"libc.so.6");
    let (mut starts_programs, mut has_v8, mut is_v8) = (false, false, false);
    // Other objects reach a shared object's functions by `.dynsym` only; a
    // static program has no other than `.symtab`.
    for table in [Table::Dynamic, Table::Full] {
        let symbols = image.symbol_table(table)?;
        for symbol in symbols.iter().filter(|symbol| is_defined_function(symbol)) {
            let Ok(name) = symbols.symbol_name(ENDIAN, symbol) else {
                continue;
            };
            has_v8 |= name.starts_with(V8);
            is_v8 |= name.starts_with(OWN_V8);
            if summary.allocator_name.is_none() {
                summary.allocator_name = marked_by(name).map(str::to_owned);
            }
            let Ok(text) = str::from_utf8(name) else {
                continue;
            };
            if table == Table::Full && !summary.is_static && !is_prefixed(text) {
                continue;
            }
            match name {
                b"gnu_get_libc_version" | b"_int_malloc" => is_glibc = true,
                b"__libc_start_main" => starts_programs = true,
                b"_dl_debug_state" => {
                    summary.debug_state_offset = image.offset_of_address(symbol.st_value(ENDIAN));
                }
                _ => add_allocator_function(&mut summary.functions, &code, &image, symbol, text),
            }
        }
    }
    keep_what_belongs(&mut summary);
    summary.defines_malloc = summary.functions.iter().any(|f| f.name == "malloc");
    summary.code = code_of(&image);
    if summary.functions.is_empty() {
        summary.hint = hint(image.section(".rodata"), summary.is_static);
    }
    if is_glibc && summary.allocator_name.is_none() {
        summary.glibc_version = glibc_version(&image)?;
    } else if summary.allocator_name.is_none() && is_musl(&summary, starts_programs) {
        summary.allocator_name = Some("musl".to_owned());
    }
    if has_v8 {
        let looked = v8::look(&image);
        summary.javascript_heap = looked.as_ref().map(|it| it.allocation.clone());
        summary.v8 = looked.map(|it| it.layout.map(Box::new));
    }
    if is_v8 {
        summary.javascript_heap.get_or_insert_default();
    }
    summary.soname = dynamic.soname.map(text::bounded);
    Ok(summary)
}

/// Operators belong to an allocator where the object is one; elsewhere
/// (libstdc++, a program's own) they call malloc, which counts. The same name
/// under another's prefix is no allocator without its free.
fn keep_what_belongs(summary: &mut ObjectSummary) {
    let kind = |function: &AllocatorFunction| interface(&function.name);
    let is_c = |function: &&AllocatorFunction| !function.name.starts_with("_Z");
    let own = || summary.functions.iter().filter(is_c).filter_map(kind);
    let allocates = own().any(|it| matches!(it, Interface::Allocates(..)));
    let frees = own().any(|it| it == Interface::Frees);
    if !allocates || !frees {
        summary.functions.clear();
    }
    // A static program's operators are its C++ library's.
    let is_special = summary
        .allocator_name
        .as_deref()
        .map_or(!summary.is_static, |name| name != "musl");
    if !is_special {
        summary.functions.retain(|function| is_c(&function));
    }
}

/// File offsets of the object's code.
fn code_of(image: &Image<'_>) -> [u64; 2] {
    let code = image.loads().filter(|it| it.p_flags(ENDIAN) & PF_X != 0);
    code.fold([u64::MAX, 0], |[start, end], segment| {
        let offset = segment.p_offset(ENDIAN);
        let behind = offset.saturating_add(segment.p_filesz(ENDIAN));
        [start.min(offset), end.max(behind)]
    })
}

fn hint(constants: &[u8], is_static: bool) -> Option<String> {
    let constants = &constants[..constants.len().min(MAX_CONSTANTS)];
    let left_out = if is_static { 0 } else { HINTS_OF_LIBC };
    let mut found = HINTS[..HINTS.len() - left_out]
        .iter()
        .filter(|(words, _)| position(constants, words).is_some());
    found.next().map(|(_, name)| (*name).to_owned())
}

fn add_allocator_function(
    functions: &mut Vec<AllocatorFunction>,
    reader: &Code<'_, '_>,
    image: &Image<'_>,
    symbol: &Sym64<LittleEndian>,
    name: &str,
) {
    let Some(interface) = interface(name) else {
        return;
    };
    // An indirect function's address is that of its resolver.
    let callable = symbol.st_type() == STT_FUNC
        && (matches!(symbol.st_bind(), STB_GLOBAL | STB_WEAK) || is_prefixed(name));
    let address = symbol.st_value(ENDIAN);
    let Some(file_offset) = image.offset_of_address(address) else {
        return;
    };
    let known = functions
        .iter()
        .any(|known| known.name == name && known.file_offset == file_offset);
    let is_in_file = file_offset < image.bytes.len() as u64;
    if !callable || known || !is_in_file || functions.len() == MAX_ALLOCATOR_FUNCTIONS {
        return;
    }
    let size = symbol.st_size(ENDIAN);
    let bytes = code(image, file_offset, size);
    let placement = placement::place(bytes, address, interface.arguments());
    let exits = match interface {
        Interface::Throws(_) => exits(reader, address),
        _ => Exits::default(),
    };
    functions.push(AllocatorFunction {
        name: name.to_owned(),
        file_offset,
        probe_offset: file_offset + u64::from(placement.offset_from_entry),
        emulated: placement.emulated,
        size,
        jumps: placement::jumps_out(bytes, address),
        has_unknown_exits: exits.has_unknown,
        exits: (exits.addresses.into_iter())
            .filter_map(|exit| image.offset_of_address(exit))
            .collect(),
    });
}

/// The function's bytes. Of one too long to be searched, a byte more than is
/// searched, so that this shows; of one without a size, none.
pub(super) fn code<'data>(image: &Image<'data>, file_offset: u64, size: u64) -> &'data [u8] {
    let Ok(start) = usize::try_from(file_offset) else {
        return &[];
    };
    let rest = image.bytes.get(start..).unwrap_or_default();
    let wanted = usize::try_from(size).map_or(usize::MAX, |size| size);
    &rest[..wanted.min(MAX_FUNCTION_BYTES + 1).min(rest.len())]
}

/// What the dynamic section says.
#[derive(Default)]
struct Dynamic<'data> {
    soname: Option<&'data [u8]>,
    position_independent_program: bool,
}

impl<'data> Dynamic<'data> {
    fn read(image: &Image<'data>) -> Result<Self, ElfError> {
        let mut read = Self::default();
        let Some((entries, strings)) = image.sections.dynamic(ENDIAN, image.bytes)? else {
            return Ok(read);
        };
        let strings = image.sections.strings(ENDIAN, image.bytes, strings)?;
        for entry in entries.iter().take(MAX_DYNAMIC_ENTRIES) {
            match entry.tag32(ENDIAN) {
                Some(DT_SONAME) => read.soname = entry.string(ENDIAN, strings).ok(),
                Some(DT_FLAGS_1) => {
                    read.position_independent_program =
                        entry.d_val(ENDIAN) & u64::from(DF_1_PIE) != 0;
                }
                _ => {}
            }
        }
        Ok(read)
    }
}

/// A program, position-independent or not, that names no loader. Shared
/// objects name none either, but are no programs.
fn is_static(image: &Image<'_>, position_independent_program: bool) -> bool {
    let names_loader = image
        .segments
        .iter()
        .any(|segment| segment.p_type(ENDIAN) == PT_INTERP);
    let is_program = match image.header.e_type(ENDIAN) {
        ET_EXEC => true,
        ET_DYN => position_independent_program,
        _ => false,
    };
    is_program && !names_loader
}

/// musl's one library is its loader too.
fn is_musl(summary: &ObjectSummary, starts_programs: bool) -> bool {
    starts_programs && summary.debug_state_offset.is_some() && !summary.is_static
}

/// The name of the separate debug file, if it is one in a directory.
fn debug_link(image: &Image<'_>) -> Option<String> {
    let section = image.section(".gnu_debuglink");
    let end = section.iter().position(|byte| *byte == 0)?;
    let name = str::from_utf8(&section[..end]).ok()?;
    let is_plain = !name.is_empty() && name != ".." && name != "." && !name.contains('/');
    (is_plain && name.len() <= MAX_DEBUG_LINK).then(|| name.to_owned())
}

/// From the segments, or in a debug file, whose segments are empty, from the sections.
fn build_id(image: &Image<'_>) -> Option<String> {
    let of_segments = (image.segments.iter())
        .filter_map(|segment| segment.notes(ENDIAN, image.bytes).ok().flatten());
    let of_sections = (image.sections.iter())
        .filter_map(|section| section.notes(ENDIAN, image.bytes).ok().flatten());
    of_segments
        .chain(of_sections)
        .flatten()
        .take(MAX_NOTES)
        .filter_map(Result::ok)
        .find(|note| note.name() == b"GNU" && note.n_type(ENDIAN) == NT_GNU_BUILD_ID)
        .map(|note| hexadecimal(note.desc()))
        .filter(|id| !id.is_empty())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(MAX_BUILD_ID_BYTES)
        .fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _infallible = write!(text, "{byte:02x}");
            text
        })
}

/// The release in the library's banner ("… stable release version 2.36."), or
/// else the newest `GLIBC_` version that it defines: not every release defines
/// one (2.31 and 2.37 did not).
fn glibc_version(image: &Image<'_>) -> Result<Option<String>, ElfError> {
    let newest = match banner_release(image.section(".rodata")) {
        Some(release) => Some(release),
        None => newest_definition(image)?,
    };
    Ok(newest.map(|(major, minor)| format!("{major}.{minor}")))
}

fn banner_release(constants: &[u8]) -> Option<(u32, u32)> {
    const BANNER: &[u8] = b"GNU C Library ";
    const BEFORE_NUMBERS: &[u8] = b" release version ";
    let constants = &constants[..constants.len().min(MAX_CONSTANTS)];
    let banner = &constants[position(constants, BANNER)?..];
    let banner = &banner[..banner.len().min(MAX_BANNER)];
    let numbers = &banner[position(banner, BEFORE_NUMBERS)? + BEFORE_NUMBERS.len()..];
    let end = numbers
        .iter()
        .position(|&byte| !byte.is_ascii_digit() && byte != b'.')?;
    release(&numbers[..end])
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, wanted)
}

fn newest_definition(image: &Image<'_>) -> Result<Option<(u32, u32)>, ElfError> {
    let Some((definitions, strings)) = image.sections.gnu_verdef(ENDIAN, image.bytes)? else {
        return Ok(None);
    };
    let strings = image.sections.strings(ENDIAN, image.bytes, strings)?;
    Ok(definitions
        .take(MAX_VERSIONS)
        .filter_map(Result::ok)
        .filter_map(|(_, mut names)| names.next().ok().flatten())
        .filter_map(|name| name.name(ENDIAN, strings).ok())
        .filter_map(|name| release(name.strip_prefix(b"GLIBC_")?))
        .max())
}

/// `2.36` is release 2.36, `2.2.5` belongs to 2.2; `PRIVATE` is none.
fn release(numbers: &[u8]) -> Option<(u32, u32)> {
    let mut numbers = str::from_utf8(numbers).ok()?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}
