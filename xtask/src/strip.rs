//! Takes the DWARF out of the object, most of its bytes, which neither aya nor
//! the kernel reads, and the line numbers out of its BTF: aya 0.14 joins those of
//! functions that `bpf_loop` calls in a way that the kernel refuses.

use anyhow::Context as _;
use object::{
    build::elf::{Builder, SectionData},
    elf::SHT_STRTAB,
};

/// The object without its `.debug_*` sections.
///
/// # Errors
/// `object` is no ELF file that can be written again.
pub fn strip(object: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut builder = Builder::read(object).context("reading the object")?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        // Loaders take the numbers in .BTF.ext as they stand.
        if name.starts_with(b".debug_")
            || name.starts_with(b".rel.debug_")
            || name == b".rel.BTF.ext"
        {
            section.delete = true;
        }
        if name == b".BTF.ext"
            && let SectionData::Data(data) = &mut section.data
        {
            *data = without_lines(data)
                .context("a .BTF.ext that makes no sense")?
                .into();
        }
    }
    builder.delete_orphans();
    // LLVM keeps the names of sections among those of symbols; the writer wants them apart.
    let apart = builder
        .sections
        .iter()
        .any(|section| matches!(section.data, SectionData::SectionString));
    if !apart {
        let names = builder.sections.add();
        names.name = b".shstrtab"[..].into();
        names.sh_type = SHT_STRTAB;
        names.sh_addralign = 1;
        names.data = SectionData::SectionString;
    }
    let mut stripped = Vec::new();
    builder
        .write(&mut stripped)
        .context("writing the object without DWARF")?;
    Ok(stripped)
}

/// A `.BTF.ext` with what it says of functions only (`struct btf_ext_header`,
/// Documentation/bpf/btf.rst).
fn without_lines(data: &[u8]) -> Option<Vec<u8>> {
    const LINES_LENGTH: usize = 20;
    const RELOCATIONS_OFFSET: usize = 24;
    const RELOCATIONS_LENGTH: usize = 28;
    let word = |at: usize| Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?));
    let (header, functions_offset, functions_length) = (word(4)?, word(8)?, word(12)?);
    let end = header
        .checked_add(functions_offset)?
        .checked_add(functions_length)?;
    let mut kept = data.get(..end as usize)?.to_vec();
    let mut set = |at: usize, value: u32| {
        let field = kept.get_mut(at..at + 4)?;
        field.copy_from_slice(&value.to_le_bytes());
        Some(())
    };
    set(LINES_LENGTH, 0)?;
    if header as usize >= RELOCATIONS_LENGTH + 4 {
        set(RELOCATIONS_OFFSET, functions_offset + functions_length)?;
        set(RELOCATIONS_LENGTH, 0)?;
    }
    Some(kept)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::collections::BTreeMap;

    use object::{Object as _, ObjectSection as _};

    use super::*;

    /// The committed object, stripped or not.
    fn committed() -> Vec<u8> {
        std::fs::read("../tracer/ebpf/memtrace.bpf.o").unwrap()
    }

    fn sections(object: &[u8]) -> BTreeMap<String, Vec<u8>> {
        object::File::parse(object)
            .unwrap()
            .sections()
            .map(|section| {
                (
                    section.name().unwrap().to_owned(),
                    section.data().unwrap().to_vec(),
                )
            })
            .collect()
    }

    /// Programs, maps, licence and types come through unchanged, DWARF does not.
    #[test]
    fn what_the_kernel_reads_is_kept() {
        let stripped = sections(&strip(&committed()).unwrap());
        assert!(!stripped.keys().any(|name| name.contains(".debug_")));
        let committed = sections(&committed());
        for name in ["uprobe", "uretprobe", "maps", "license", ".rodata", ".BTF"] {
            assert_eq!(stripped[name], committed[name], "{name}");
        }
    }

    /// A second strip changes nothing, so that the bytes can be compared.
    #[test]
    fn stripping_is_stable() {
        let once = strip(&committed()).unwrap();
        assert_eq!(strip(&once).unwrap(), once);
    }
}
