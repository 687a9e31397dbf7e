//! Offsets of kernel structure members, from the kernel's own BTF
//! (`/sys/kernel/btf/vmlinux`, Linux 5.4; format: Documentation/bpf/btf.rst).
//!
//! aya resolves type names but not members, and Rust has no CO-RE relocations,
//! so the few offsets needed are read here and handed over as globals.

use super::ProbeError;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;

/// Byte offsets of members of the kernel's `struct name`.
pub fn kernel_member_offsets<const N: usize>(
    name: &str,
    members: [&str; N],
) -> Result<[u64; N], ProbeError> {
    let no_btf = |reason: String| ProbeError::NoBtf {
        path: VMLINUX,
        reason,
    };
    let bytes = std::fs::read(VMLINUX).map_err(|error| no_btf(error.to_string()))?;
    let mut offsets = [0; N];
    for (offset, member) in offsets.iter_mut().zip(members) {
        *offset = member_offset(&bytes, name, member)
            .ok_or_else(|| no_btf(format!("no member {member} of struct {name} in it")))?;
    }
    Ok(offsets)
}

fn member_offset(bytes: &[u8], name: &str, member: &str) -> Option<u64> {
    if u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?) != MAGIC {
        return None;
    }
    let header_length = word(bytes, 4)? as usize;
    let types = header_length + word(bytes, 8)? as usize;
    let types_end = types + word(bytes, 12)? as usize;
    let strings = header_length + word(bytes, 16)? as usize;
    let is_named = |offset: u32, text: &str| {
        let start = strings + offset as usize;
        bytes.get(start..start + text.len()) == Some(text.as_bytes())
            && bytes.get(start + text.len()) == Some(&0)
    };
    let mut at = types;
    while at < types_end {
        let info = word(bytes, at + 4)?;
        let (kind, members, large_offsets) = (info >> 24 & 0x1f, info & 0xffff, info >> 31 == 1);
        if kind == KIND_STRUCT && is_named(word(bytes, at)?, name) {
            for index in 0..members as usize {
                let entry = at + 12 + index * 12;
                if is_named(word(bytes, entry)?, member) {
                    let bits = word(bytes, entry + 8)?;
                    let bits = if large_offsets {
                        bits & 0x00ff_ffff
                    } else {
                        bits
                    };
                    return Some(u64::from(bits / 8));
                }
            }
        }
        at += 12 + trailing_bytes(kind, members)?;
    }
    None
}

/// What follows the 12 bytes that every type has.
fn trailing_bytes(kind: u32, members: u32) -> Option<usize> {
    let members = members as usize;
    Some(match kind {
        1 | 14 | 17 => 4,                // INT, VAR, DECL_TAG
        3 => 12,                         // ARRAY
        4 | 5 | 15 | 19 => 12 * members, // STRUCT, UNION, DATASEC, ENUM64
        6 | 13 => 8 * members,           // ENUM, FUNC_PROTO
        2 | 7..=12 | 16 | 18 => 0,       // PTR, FWD, TYPEDEF, …, FUNC, FLOAT, TYPE_TAG
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(
        bytes.get(at..at.checked_add(4)?)?.try_into().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The running kernel's `task_struct.mm` is found, at a plausible, aligned offset.
    #[test]
    fn finds_mm_in_this_kernel() {
        let Ok(bytes) = std::fs::read(VMLINUX) else {
            eprintln!("SKIPPED finds_mm_in_this_kernel: no {VMLINUX}");
            return;
        };
        let offset = member_offset(&bytes, "task_struct", "mm").expect("task_struct has mm");
        assert!(
            offset > 0 && offset < 16384 && offset.is_multiple_of(8),
            "offset {offset}"
        );
        assert_eq!(member_offset(&bytes, "task_struct", "no_such_member"), None);
    }

    proptest! {
        /// Arbitrary bytes behind a valid magic never panic.
        #[test]
        fn arbitrary_bytes_do_not_panic(mut bytes in proptest::collection::vec(any::<u8>(), 24..512)) {
            bytes[..2].copy_from_slice(&MAGIC.to_le_bytes());
            bytes[4..8].copy_from_slice(&24u32.to_le_bytes());
            let _ = member_offset(&bytes, "task_struct", "mm");
        }
    }
}
