//! Where in an allocator function the entry probe goes.
//!
//! A uprobe is cheap only on an instruction that the kernel emulates; any other
//! is single-stepped out of line, a second trap that costs 10 µs and more in a
//! virtual machine. This module decodes a function's first instructions and
//! finds the first emulated one that stands for the entry as well. It is pure
//! over the function's bytes, and it is x86-64's own: another processor gets
//! a file of its own. Attaching does not live here.

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess, OpKind,
    Register,
};

/// Functions longer than this are probed at their entry: their body is not
/// searched for branches back into the prologue.
pub const MAX_FUNCTION_BYTES: usize = 64 * 1024;

/// The integer argument registers of the System V calling convention, in order.
const ARGUMENTS: [Register; 6] = [
    Register::RDI,
    Register::RSI,
    Register::RDX,
    Register::RCX,
    Register::R8,
    Register::R9,
];

/// Where the probe goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Bytes from the function's entry; always the start of an instruction.
    pub offset_from_entry: u32,
    /// The kernel emulates the instruction there; otherwise it is single-stepped.
    pub emulated: bool,
}

/// The cheapest place for the entry probe of a function.
///
/// `code` is the whole function, `address` that of its first byte, and
/// `argument_count` how many integer arguments the probe reads. At the place
/// returned these arguments and the stack pointer are as they were at the
/// entry (so `[rsp]` is the return address, and a return probe may share the
/// place), nothing was written to memory yet, and each call passes it once:
/// before it there is no branch, and none of the function's branches leads
/// between the entry and it. Where no such place exists it is the entry.
///
/// Branches through registers are not followed: compilers do not lead them
/// into a prologue.
#[must_use]
pub fn place(code: &[u8], address: u64, argument_count: usize) -> Placement {
    let chosen = first_emulated(code, address, argument_count)
        .filter(|&offset| offset == 0 || !is_entered_behind_entry(code, address, offset));
    Placement {
        offset_from_entry: chosen.unwrap_or(0),
        emulated: chosen.is_some(),
    }
}

/// Offset of the first emulated instruction before which nothing is changed
/// that the probe needs.
fn first_emulated(code: &[u8], address: u64, argument_count: usize) -> Option<u32> {
    let kept = &ARGUMENTS[..argument_count.min(ARGUMENTS.len())];
    let mut decoder = Decoder::with_ip(64, code, address, DecoderOptions::NONE);
    let mut information = InstructionInfoFactory::new();
    while decoder.can_decode() {
        let start = decoder.position();
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return None;
        }
        let bytes = code.get(start..decoder.position())?;
        if is_emulated(bytes) {
            return u32::try_from(start).ok();
        }
        if instruction.flow_control() != FlowControl::Next
            || changes_entry_state(&instruction, &mut information, kept)
        {
            return None;
        }
    }
    None
}

/// Whether the kernel emulates this instruction (jumps and calls since 3.16, push since 4.16).
///
/// Follows `push_setup_xol_ops` and `branch_setup_xol_ops` in
/// <https://elixir.bootlin.com/linux/v6.1/source/arch/x86/kernel/uprobes.c>.
/// Stricter in one point: prefixes are not accepted but for `66` before a nop
/// and REX.B before a push, so that no version can read the bytes otherwise
/// (`41 90` is an exchange, `f3 90` a pause, `66 e8` is refused).
fn is_emulated(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x50..=0x57]
            | [0x41, 0x50..=0x57]
            | [0x90]
            | [0x66, 0x90]
            | [0xeb, _]
            | [0x70..=0x7f, _]
            | [0xe8 | 0xe9, _, _, _, _]
            | [0x0f, 0x80..=0x8f, _, _, _, _]
    )
}

/// Whether the instruction writes to memory, the stack pointer or a kept argument.
fn changes_entry_state(
    instruction: &Instruction,
    information: &mut InstructionInfoFactory,
    kept: &[Register],
) -> bool {
    let used = information.info(instruction);
    let writes_memory = used
        .used_memory()
        .iter()
        .any(|memory| is_write(memory.access()));
    let writes_kept = used.used_registers().iter().any(|register| {
        let whole = register.register().full_register();
        is_write(register.access()) && (whole == Register::RSP || kept.contains(&whole))
    });
    writes_memory || writes_kept
}

fn is_write(access: OpAccess) -> bool {
    matches!(
        access,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
    )
}

/// Whether a direct branch of the function leads behind its entry, up to `offset`:
/// a probe there would be hit twice in one call, or reached past the entry.
fn is_entered_behind_entry(code: &[u8], address: u64, offset: u32) -> bool {
    if code.len() > MAX_FUNCTION_BYTES {
        return true;
    }
    Decoder::with_ip(64, code, address, DecoderOptions::NONE)
        .iter()
        .filter(|instruction| {
            matches!(
                instruction.op0_kind(),
                OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64
            )
        })
        .map(|branch| branch.near_branch_target().wrapping_sub(address))
        .any(|target| (1..=u64::from(offset)).contains(&target))
}

/// Whether the function may end by jumping to another: a direct branch of its
/// leads outside it, or an unconditional one through a register or memory.
#[must_use]
pub fn jumps_out(code: &[u8], address: u64) -> bool {
    if code.len() > MAX_FUNCTION_BYTES {
        return true;
    }
    Decoder::with_ip(64, code, address, DecoderOptions::NONE)
        .iter()
        .any(|instruction| match instruction.flow_control() {
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch => {
                let target = instruction.near_branch_target().wrapping_sub(address);
                target >= code.len() as u64
            }
            FlowControl::IndirectBranch => true,
            _ => false,
        })
}

#[cfg(test)]
mod tests;
