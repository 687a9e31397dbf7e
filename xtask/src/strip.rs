//! Takes the DWARF out of the object: most of its bytes, and neither aya nor
//! the kernel reads it. BTF, with its line numbers for the verifier's log, stays.

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
        if name.starts_with(b".debug_") || name.starts_with(b".rel.debug_") {
            section.delete = true;
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
