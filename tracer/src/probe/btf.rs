//! Offsets of kernel structure members, from the kernel's own BTF
//! (`/sys/kernel/btf/vmlinux`, Linux 5.4; format: Documentation/bpf/btf.rst).
//!
//! aya resolves type names but not members, and Rust has no CO-RE relocations,
//! so the few offsets needed are read here and handed over as globals.

use std::{cell::OnceCell, collections::HashMap};

use aya::{Btf, Endianness};

use super::{ProbeError, object::chain};

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_FUNCTION: u32 = 12;
const KIND_FUNCTION_TYPE: u32 = 13;
/// Typedefs and qualifiers in a row, and anonymous members within each other.
const DEPTH_MAX: u32 = 16;

/// The kernel's types: megabytes, and tens of milliseconds to read. One copy serves all
/// that is loaded, and goes when that is done.
pub struct KernelTypes {
    bytes: Vec<u8>,
    /// The same for aya.
    of_aya: OnceCell<Btf>,
    /// Where strings begin.
    strings: usize,
    /// Where each type stands, by its number less one.
    types: Vec<usize>,
    /// Structures by name.
    structures: HashMap<Vec<u8>, usize>,
}

impl KernelTypes {
    /// Those of the running kernel.
    ///
    /// # Errors
    /// [`ProbeError::NoBtf`].
    pub fn of_this_kernel() -> Result<Self, ProbeError> {
        let no_btf = |reason: String| ProbeError::NoBtf {
            path: VMLINUX,
            reason,
        };
        let bytes = std::fs::read(VMLINUX).map_err(|error| no_btf(error.to_string()))?;
        Self::parse(bytes)
            .ok_or_else(|| no_btf("it is damaged, or newer than this memtrace".into()))
    }

    fn parse(bytes: Vec<u8>) -> Option<Self> {
        if u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?) != MAGIC {
            return None;
        }
        let header_length = word(&bytes, 4)? as usize;
        let mut at = header_length.checked_add(word(&bytes, 8)? as usize)?;
        let types_end = at.checked_add(word(&bytes, 12)? as usize)?;
        let strings = header_length.checked_add(word(&bytes, 16)? as usize)?;
        let mut found = Self {
            bytes,
            of_aya: OnceCell::new(),
            strings,
            types: Vec::new(),
            structures: HashMap::new(),
        };
        while at < types_end {
            let Type { kind, members, .. } = found.type_at(at)?;
            found.types.push(at);
            if kind == KIND_STRUCT {
                let name = found.name(word(&found.bytes, at)?)?.to_vec();
                found.structures.entry(name).or_insert(at);
            }
            at += 12 + trailing_bytes(kind, members)?;
        }
        Some(found)
    }

    /// As aya wants them: to find what a program is attached to by its name.
    ///
    /// # Errors
    /// [`ProbeError::Load`].
    pub fn of_aya(&self) -> Result<&Btf, ProbeError> {
        if let Some(types) = self.of_aya.get() {
            return Ok(types);
        }
        let types = Btf::parse(&self.bytes, Endianness::default());
        let types = types.map_err(|error| ProbeError::Load(chain(&error)))?;
        Ok(self.of_aya.get_or_init(|| types))
    }

    /// The byte offset of a member of `struct name`, such as `sk_backlog.len`. Members
    /// of anonymous structures and unions are the outer one's.
    pub fn offset(&self, name: &str, member: &str) -> Option<u32> {
        let mut at = *self.structures.get(name.as_bytes())?;
        let mut offset = 0_u32;
        for part in member.split('.') {
            let (bits, type_number) = self.member(at, part.as_bytes(), 0)?;
            offset = offset.checked_add(bits / 8)?;
            at = self.resolve(type_number).unwrap_or(at);
        }
        Some(offset)
    }

    /// The same for several that every kernel has.
    ///
    /// # Errors
    /// [`ProbeError::NoBtf`] without one of them.
    pub fn offsets<const N: usize>(
        &self,
        name: &str,
        members: [&str; N],
    ) -> Result<[u64; N], ProbeError> {
        let mut offsets = [0; N];
        for (offset, member) in offsets.iter_mut().zip(members) {
            let found = self.offset(name, member).ok_or_else(|| ProbeError::NoBtf {
                path: VMLINUX,
                reason: format!("no member {member} of struct {name} in it"),
            })?;
            *offset = u64::from(found);
        }
        Ok(offsets)
    }

    /// How many arguments a function of the kernel's takes, if it has such a function.
    pub fn arguments(&self, function: &str) -> Option<u32> {
        let (_, at) = self.find_function(function)?;
        let shape = self.resolve(word(&self.bytes, at + 8)?)?;
        let Type { kind, members, .. } = self.type_at(shape)?;
        (kind == KIND_FUNCTION_TYPE).then_some(members)
    }

    /// The number of a function's type, as bpf(2) wants it.
    pub fn function(&self, function: &str) -> Option<u32> {
        let (index, _) = self.find_function(function)?;
        u32::try_from(index + 1).ok()
    }

    /// Few are asked for of many: no table is made of them.
    fn find_function(&self, function: &str) -> Option<(usize, usize)> {
        let is_it = |at: usize| {
            let of = self.type_at(at)?;
            let is_function = of.kind == KIND_FUNCTION;
            Some(is_function && self.name(word(&self.bytes, at)?)? == function.as_bytes())
        };
        let mut types = self.types.iter().copied().enumerate();
        types.find(|(_, at)| is_it(*at) == Some(true))
    }

    /// A member's offset in bits, and the number of its type.
    fn member(&self, at: usize, wanted: &[u8], depth: u32) -> Option<(u32, u32)> {
        let of = self.type_at(at)?;
        if !matches!(of.kind, KIND_STRUCT | KIND_UNION) || depth > DEPTH_MAX {
            return None;
        }
        (0..of.members as usize).find_map(|index| {
            let entry = at + 12 + index * 12;
            let name = self.name(word(&self.bytes, entry)?)?;
            let type_number = word(&self.bytes, entry + 4)?;
            let bits = word(&self.bytes, entry + 8)?;
            let bits = match of.has_bit_fields {
                true => bits & 0x00ff_ffff,
                false => bits,
            };
            if name == wanted {
                return Some((bits, type_number));
            }
            if !name.is_empty() {
                return None;
            }
            let within = self.resolve(type_number)?;
            let (more, type_number) = self.member(within, wanted, depth + 1)?;
            Some((bits.checked_add(more)?, type_number))
        })
    }

    /// Where a type stands, behind typedefs and qualifiers.
    fn resolve(&self, mut number: u32) -> Option<usize> {
        for _ in 0..DEPTH_MAX {
            let at = *self.types.get((number as usize).checked_sub(1)?)?;
            match self.type_at(at)?.kind {
                // TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG
                8..=11 | 18 => number = word(&self.bytes, at + 8)?,
                _ => return Some(at),
            }
        }
        None
    }

    fn type_at(&self, at: usize) -> Option<Type> {
        let info = word(&self.bytes, at.checked_add(4)?)?;
        Some(Type {
            kind: info >> 24 & 0x1f,
            members: info & 0xffff,
            has_bit_fields: info >> 31 == 1,
        })
    }

    fn name(&self, offset: u32) -> Option<&[u8]> {
        let rest = self
            .bytes
            .get(self.strings.checked_add(offset as usize)?..)?;
        rest.get(..memchr::memchr(0, rest)?)
    }
}

#[derive(Clone, Copy)]
struct Type {
    kind: u32,
    members: u32,
    has_bit_fields: bool,
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
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// In the running kernel members are found: plain ones, those of a member, and
    /// those of anonymous unions.
    #[test]
    fn finds_members_in_this_kernel() {
        let Ok(types) = KernelTypes::of_this_kernel() else {
            eprintln!("SKIPPED finds_members_in_this_kernel: no {VMLINUX}");
            return;
        };
        let mm = types.offset("task_struct", "mm").unwrap();
        assert!(mm > 0 && mm < 16384 && mm.is_multiple_of(8), "offset {mm}");
        assert_eq!(types.offset("task_struct", "no_such_member"), None);
        // The first words of `struct sock_common` are the kernel's ABI for BPF.
        assert_eq!(types.offset("sock", "__sk_common.skc_daddr"), Some(0));
        assert_eq!(types.offset("sock", "__sk_common.skc_rcv_saddr"), Some(4));
        assert_eq!(types.offset("sock", "__sk_common.skc_dport"), Some(12));
        assert_eq!(types.arguments("tcp_sendmsg"), Some(3));
        assert_eq!(types.arguments("no_such_function"), None);
    }

    proptest! {
        /// Arbitrary bytes behind a valid magic never panic.
        #[test]
        fn arbitrary_bytes_do_not_panic(mut bytes in proptest::collection::vec(any::<u8>(), 24..512)) {
            bytes[..2].copy_from_slice(&MAGIC.to_le_bytes());
            bytes[4..8].copy_from_slice(&24u32.to_le_bytes());
            if let Some(types) = KernelTypes::parse(bytes) {
                let _ = types.offset("task_struct", "mm");
                let _ = types.arguments("a");
                for number in 0..4 {
                    let _ = types.resolve(number).map(|at| types.member(at, b"", 0));
                }
            }
        }
    }
}
