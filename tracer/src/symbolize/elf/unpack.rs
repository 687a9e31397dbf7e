//! Compressed debug sections (gABI, "Compressed Sections"): distributions'
//! separate debug files have them.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use object::elf::{ELFCOMPRESS_ZLIB, SHF_COMPRESSED};
use object::read::elf::SectionHeader;

use super::image::{ENDIAN, Image};

/// Most bytes unpacked of one object; node's debug sections have some 600 MB.
const MAX_UNPACKED_BYTES: u64 = 1 << 30;

/// Debug sections that were compressed, by name.
#[derive(Debug, Default)]
pub struct Unpacked(Vec<(Vec<u8>, Vec<u8>)>);

impl Unpacked {
    /// Unpacks the debug sections of an object; what is damaged, too large or
    /// packed otherwise than by zlib is left out.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let Ok(image) = Image::parse(bytes) else {
            return Self::default();
        };
        let mut left = MAX_UNPACKED_BYTES;
        let mut unpacked = Vec::new();
        for section in image.sections.iter() {
            let name = image.sections.section_name(ENDIAN, section);
            let is_packed = section.sh_flags(ENDIAN) & u64::from(SHF_COMPRESSED) != 0;
            let Some(name) = name
                .ok()
                .filter(|it| is_packed && it.starts_with(b".debug_"))
            else {
                continue;
            };
            let Ok(Some((header, offset, length))) = section.compression(ENDIAN, bytes) else {
                continue;
            };
            let (Ok(start), Ok(length)) = (usize::try_from(offset), usize::try_from(length)) else {
                continue;
            };
            let packed = start
                .checked_add(length)
                .and_then(|end| bytes.get(start..end));
            let size = header.ch_size.get(ENDIAN);
            let Some(packed) = packed.filter(|_| size <= left) else {
                continue;
            };
            if header.ch_type.get(ENDIAN) != ELFCOMPRESS_ZLIB {
                continue;
            }
            // Grows as bytes arrive: a size alone takes no memory.
            let mut section = Vec::new();
            let read = ZlibDecoder::new(packed)
                .take(size)
                .read_to_end(&mut section);
            if read.is_ok() && section.len() as u64 == size {
                left -= size;
                unpacked.push((name.to_vec(), section));
            }
        }
        Self(unpacked)
    }

    /// The section's bytes, if it was compressed.
    pub(super) fn section(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(known, _)| known == name.as_bytes());
        found.map(|(_, bytes)| bytes.as_slice())
    }
}
