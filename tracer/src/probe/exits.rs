//! Where a function ends, for functions that may throw: an exception unwinds
//! past a return probe's trampoline and the program aborts, so a probe goes on
//! each of their `ret`s instead. Pure over the object's code; x86-64's own.

use std::collections::BTreeSet;

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, OpKind};

/// More than any allocator function has, with what it jumps to.
const MAX_INSTRUCTIONS: usize = 20_000;
/// Each costs a probe.
const MAX_EXITS: usize = 64;
/// The longest instruction of the processor.
const INSTRUCTION_BYTES: usize = 15;

/// An object's code, by the addresses of its own tables.
pub trait CodeReader {
    /// The bytes from an address on, [`INSTRUCTION_BYTES`] where there are as
    /// many; empty where no code is.
    fn code_at(&self, address: u64) -> &[u8];
    /// Where the function ends that holds this address, if one is known to.
    fn function_end(&self, address: u64) -> Option<u64>;
    /// Where the jump through this pointer leads, if it is to the object's own code.
    fn pointed_to(&self, pointer: u64) -> Option<u64>;
}

/// The ways out of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exits {
    /// Addresses of `ret`s.
    pub addresses: Vec<u64>,
    /// There may be others.
    pub has_unknown: bool,
}

/// All `ret`s by which the function at `entry` can end, also behind jumps
/// into other functions.
///
/// Each path is followed: a `ret` that is reached with another frame's stack
/// pointer is no harm, since a probe there compares it with the call's own.
/// A path that leaves its function other than by a jump went through a call
/// that does not return: what stands there may be no code, and a breakpoint
/// in the midst of an instruction would kill.
#[must_use]
pub fn exits(code: &impl CodeReader, entry: u64) -> Exits {
    let mut exits = BTreeSet::new();
    let mut has_unknown = false;
    let mut seen = BTreeSet::new();
    let mut open = vec![(entry, true)];
    while let Some((address, by_jump)) = open.pop() {
        if seen.contains(&address) {
            continue;
        }
        if seen.len() == MAX_INSTRUCTIONS || exits.len() == MAX_EXITS {
            return Exits {
                addresses: Vec::new(),
                has_unknown: true,
            };
        }
        let Some(end) = code.function_end(address) else {
            has_unknown |= by_jump;
            continue;
        };
        seen.insert(address);
        let bytes = code.code_at(address);
        let bytes = &bytes[..bytes.len().min(INSTRUCTION_BYTES)];
        let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
        let next = instruction.next_ip();
        if instruction.is_invalid() || next > end {
            has_unknown = true;
            continue;
        }
        let (jump, goes_on) = match instruction.flow_control() {
            FlowControl::Return => {
                exits.insert(address);
                continue;
            }
            FlowControl::UnconditionalBranch => (Some(near_target(&instruction)), false),
            FlowControl::IndirectBranch => {
                let pointer = pointer_of(&instruction);
                (Some(pointer.and_then(|it| code.pointed_to(it))), false)
            }
            FlowControl::ConditionalBranch => (Some(near_target(&instruction)), true),
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => (None, true),
            FlowControl::Interrupt | FlowControl::Exception | FlowControl::XbeginXabortXend => {
                (None, false)
            }
        };
        if goes_on && next < end {
            open.push((next, false));
        }
        match jump {
            Some(Some(target)) => open.push((target, true)),
            Some(None) => has_unknown = true,
            None => {}
        }
    }
    Exits {
        addresses: exits.into_iter().collect(),
        has_unknown,
    }
}

fn near_target(instruction: &Instruction) -> Option<u64> {
    (instruction.op0_kind() == OpKind::NearBranch64).then(|| instruction.near_branch_target())
}

/// The address of the pointer that `jmp *pointer(%rip)` reads.
fn pointer_of(instruction: &Instruction) -> Option<u64> {
    (instruction.code() == Code::Jmp_rm64 && instruction.is_ip_rel_memory_operand())
        .then(|| instruction.ip_rel_memory_address())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code of one function, and where it ends.
    struct Bytes<'a>(&'a [u8], u64);

    impl CodeReader for Bytes<'_> {
        fn code_at(&self, address: u64) -> &[u8] {
            self.0.get(address as usize..).unwrap_or_default()
        }

        fn function_end(&self, address: u64) -> Option<u64> {
            (address < self.1).then_some(self.1)
        }

        fn pointed_to(&self, pointer: u64) -> Option<u64> {
            (pointer == 0x20).then_some(15)
        }
    }

    /// Every way out is found: behind a branch, behind a jump, behind a jump
    /// through a pointer.
    #[test]
    fn finds_every_exit() {
        #[rustfmt::skip]
        let code = Bytes(&[
            0x74, 0x04,                         //  0: je 6
            0x75, 0x04,                         //  2: jne 8
            0x58,                               //  4: pop %rax
            0xc3,                               //  5: ret
            0xeb, 0x06,                         //  6: jmp 14
            0xff, 0x25, 0x12, 0x00, 0x00, 0x00, //  8: jmp *0x12(%rip) = 0x20
            0xc3,                               // 14: ret
            0x90,                               // 15: nop
            0xc3,                               // 16: ret
        ], 17);
        assert_eq!(exits(&code, 0), found(&[5, 14, 16], false));
    }

    /// Behind a call that does not return stands no exit, whatever the bytes say.
    #[test]
    fn stops_at_the_end_of_the_function() {
        let code: &[u8] = &[0x74, 0x01, 0xc3, 0xe8, 0, 0, 0, 0, 0xc3];
        assert_eq!(exits(&Bytes(code, 8), 0), found(&[2], false));
        assert_eq!(exits(&Bytes(code, 9), 0), found(&[2, 8], false));
        // An instruction across the end is none.
        assert_eq!(exits(&Bytes(code, 6), 0), found(&[2], true));
    }

    /// Where a jump leads is not known, or nothing is ever reached.
    #[test]
    fn tells_what_is_unknown() {
        assert_eq!(exits(&Bytes(&[0xff, 0xe0, 0xc3], 3), 0), found(&[], true));
        assert_eq!(exits(&Bytes(&[0x0f, 0x0b], 2), 0), found(&[], false));
        assert_eq!(exits(&Bytes(&[], 0), 0), found(&[], true));
        assert_eq!(exits(&Bytes(&[0xeb, 0xfe], 2), 0), found(&[], false));
        assert_eq!(exits(&Bytes(&[0x74, 0x70, 0xc3], 3), 0), found(&[2], true));
    }

    fn found(addresses: &[u64], has_unknown: bool) -> Exits {
        Exits {
            addresses: addresses.to_vec(),
            has_unknown,
        }
    }
}
