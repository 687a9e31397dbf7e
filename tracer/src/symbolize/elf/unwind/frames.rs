//! Reading `.eh_frame` (LSB 5.0, 10.6; DWARF 5, 6.4).

use std::collections::HashMap;

use gimli::{
    BaseAddresses, CieOrFde, EhFrame, EhFrameHdr, EhFrameOffset, EndianSlice, LittleEndian,
    StoreOnHeap, UnwindContext, UnwindSection,
};
use object::elf::PT_GNU_EH_FRAME;
use object::read::elf::ProgramHeader;
use tracer_common::unwind::row::Rule;

use super::{Change, rules::Rules};
use crate::symbolize::elf::image::{ENDIAN, Image};
use crate::symbolize::unwind_table::MAX_ROWS;

pub(super) type Slice<'data> = EndianSlice<'data, LittleEndian>;
type Common<'data> = gimli::CommonInformationEntry<Slice<'data>>;

/// Kinds of entries that functions share; compilers write a handful.
const MAX_COMMON: usize = 65_536;

/// Every change of rule, in no order, up to the first entry that makes no sense.
pub(super) fn changes(image: &Image<'_>, rules: &mut Rules) -> Vec<Change> {
    let Some((address, bytes)) = section(image) else {
        return Vec::new();
    };
    let table = EhFrame::new(bytes, LittleEndian);
    let text = image.section_at(".text").map_or(0, |(address, _)| address);
    let bases = BaseAddresses::default()
        .set_eh_frame(address)
        .set_text(text);
    let mut common: HashMap<EhFrameOffset, Common<'_>> = HashMap::new();
    let mut context = UnwindContext::<usize, StoreOnHeap>::new_in();
    let mut changes = Vec::new();
    let mut entries = table.entries(&bases);
    while let Ok(Some(entry)) = entries.next()
        && changes.len() < MAX_ROWS
    {
        let CieOrFde::Fde(entry) = entry else {
            continue;
        };
        let entry = entry.parse(|table: &EhFrame<Slice<'_>>, bases, offset| {
            if let Some(known) = common.get(&offset) {
                return Ok(known.clone());
            }
            let new = table.cie_from_offset(bases, offset)?;
            if common.len() < MAX_COMMON {
                common.insert(offset, new.clone());
            }
            Ok(new)
        });
        let Ok(entry) = entry else {
            continue;
        };
        let (start, length) = (entry.initial_address(), entry.len());
        let Some(offset) = image.code_offset_of_address(start) else {
            continue;
        };
        let Some(end) = offset.checked_add(length).filter(|_| length > 0) else {
            continue;
        };
        if let Ok(mut rows) = entry.rows(&table, &bases, &mut context) {
            let is_handler = entry.is_signal_trampoline();
            while let Ok(Some(row)) = rows.next_row()
                && changes.len() < MAX_ROWS
            {
                changes.push(Change {
                    offset: offset.saturating_add(row.start_address().wrapping_sub(start)),
                    begins: true,
                    rule: rules.rule(row, &table, entry.cie().encoding(), is_handler),
                });
            }
        }
        changes.push(Change {
            offset: end,
            begins: false,
            rule: Rule::special(0),
        });
    }
    changes
}

/// `.eh_frame` and its address; where the object has no sections any more, by
/// the header that the C++ runtime finds it with.
pub(super) fn section<'data>(image: &Image<'data>) -> Option<(u64, &'data [u8])> {
    if let Some(found) = image.section_at(".eh_frame") {
        return Some(found);
    }
    let segment = (image.segments.iter()).find(|it| it.p_type(ENDIAN) == PT_GNU_EH_FRAME)?;
    let bases = BaseAddresses::default().set_eh_frame_hdr(segment.p_vaddr(ENDIAN));
    let header = EhFrameHdr::new(segment.data(ENDIAN, image.bytes).ok()?, LittleEndian)
        .parse(&bases, 8)
        .ok()?;
    let address = match header.eh_frame_ptr() {
        gimli::Pointer::Direct(address) => address,
        gimli::Pointer::Indirect(_) => return None,
    };
    let start = usize::try_from(image.offset_of_address(address)?).ok()?;
    Some((address, image.bytes.get(start..)?))
}
