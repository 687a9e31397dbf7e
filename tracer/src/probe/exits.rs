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
    /// Where the jump through this pointer leads, if it is to the object's own code.
    fn pointed_to(&self, pointer: u64) -> Option<u64>;
}

/// The addresses of all `ret`s by which the function at `entry` can end, also
/// behind jumps into other functions; `None` where that cannot be told.
///
/// Each path is followed: a `ret` that is reached with another frame's stack
/// pointer is no harm, since a probe there compares it with the call's own.
#[must_use]
pub fn exits(code: &impl CodeReader, entry: u64) -> Option<Vec<u64>> {
    let mut exits = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = vec![entry];
    while let Some(address) = open.pop() {
        if !seen.insert(address) {
            continue;
        }
        if seen.len() > MAX_INSTRUCTIONS || exits.len() > MAX_EXITS {
            return None;
        }
        let bytes = code.code_at(address);
        let bytes = &bytes[..bytes.len().min(INSTRUCTION_BYTES)];
        let instruction = Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).decode();
        if instruction.is_invalid() {
            // Behind a call that does not return stands anything.
            if seen.len() == 1 {
                return None;
            }
            continue;
        }
        match instruction.flow_control() {
            FlowControl::Return => {
                exits.insert(address);
            }
            FlowControl::UnconditionalBranch => open.push(near_target(&instruction)?),
            FlowControl::IndirectBranch => open.push(code.pointed_to(pointer_of(&instruction)?)?),
            FlowControl::ConditionalBranch => {
                open.push(near_target(&instruction)?);
                open.push(instruction.next_ip());
            }
            FlowControl::Next | FlowControl::Call | FlowControl::IndirectCall => {
                open.push(instruction.next_ip());
            }
            FlowControl::Interrupt | FlowControl::Exception | FlowControl::XbeginXabortXend => {}
        }
    }
    (!exits.is_empty()).then(|| exits.into_iter().collect())
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

    struct Bytes(&'static [u8]);

    impl CodeReader for Bytes {
        fn code_at(&self, address: u64) -> &[u8] {
            self.0.get(address as usize..).unwrap_or_default()
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
        ]);
        assert_eq!(exits(&code, 0), Some(vec![5, 14, 16]));
    }

    /// Where a jump leads is not known, or nothing is ever reached: no answer.
    #[test]
    fn gives_up() {
        assert_eq!(exits(&Bytes(&[0xff, 0xe0, 0xc3]), 0), None);
        assert_eq!(exits(&Bytes(&[0x0f, 0x0b]), 0), None);
        assert_eq!(exits(&Bytes(&[]), 0), None);
        assert_eq!(exits(&Bytes(&[0xeb, 0xfe]), 0), None);
    }
}
