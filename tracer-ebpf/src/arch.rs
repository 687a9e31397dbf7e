//! Everything that is the processor's: x86-64, System V calling convention.
//! System call numbers: arch/x86/entry/syscalls/syscall_64.tbl.

use aya_ebpf::{bindings::pt_regs, helpers::bpf_probe_read_kernel};

/// The registers at a probe.
#[derive(Clone, Copy)]
pub struct Registers(*mut pt_regs);

macro_rules! register {
    ($name:ident, $field:ident) => {
        #[inline(always)]
        pub fn $name(self) -> u64 {
            // SAFETY: the kernel passes the context of a probe program, whose
            // loads the verifier checks.
            unsafe { (*self.0).$field }
        }
    };
}

impl Registers {
    pub const fn new(context: *mut pt_regs) -> Self {
        Self(context)
    }

    register!(first_argument, rdi);
    register!(second_argument, rsi);
    register!(third_argument, rdx);
    register!(result, rax);
    register!(code, rip);
    register!(frame_pointer, rbp);
    // At a function's entry the return address stands here.
    register!(stack_pointer, rsp);

    /// Whether they are of code in user space: the privilege level is 3.
    #[inline(always)]
    pub fn is_user(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.0).cs & 3 == 3 }
    }
}

/// The registers with which a thread entered the kernel, as far as they are of use:
/// a piece of `struct pt_regs`, copied at once. The whole of it takes more of the
/// program's stack than there is.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Entered {
    rbp: u64,
    _rbx_and_r11: [u64; 2],
    r10: u64,
    _r9_to_rcx: [u64; 4],
    rdx: u64,
    rsi: u64,
    rdi: u64,
    _orig_rax: u64,
    rip: u64,
    _cs_and_eflags: [u64; 2],
    rsp: u64,
}

macro_rules! entered {
    ($name:ident, $field:ident) => {
        #[inline(always)]
        pub const fn $name(&self) -> u64 {
            self.$field
        }
    };
}

impl Entered {
    /// From where the kernel keeps them.
    #[inline(always)]
    pub fn read(registers: *const pt_regs) -> Option<Self> {
        // SAFETY: faults are handled by the helper.
        unsafe {
            let start = registers.byte_add(core::mem::offset_of!(pt_regs, rbp));
            bpf_probe_read_kernel(start.cast()).ok()
        }
    }

    entered!(first_argument, rdi);
    entered!(second_argument, rsi);
    entered!(third_argument, rdx);
    // Of a system call: a function's stands in rcx.
    entered!(fourth_argument, r10);
    entered!(code, rip);
    entered!(frame_pointer, rbp);
    entered!(stack_pointer, rsp);
}

/// Bytes of a thread's kernel stack, at whose top the registers stand with which it
/// entered the kernel (`THREAD_SIZE`, arch/x86/include/asm/page_64_types.h).
pub const KERNEL_STACK: u64 = 16 << 10;

/// Numbers of system calls.
pub mod system_call {
    pub const MMAP: u64 = 9;
    pub const MPROTECT: u64 = 10;
    pub const MUNMAP: u64 = 11;
    pub const BRK: u64 = 12;
    pub const MREMAP: u64 = 25;
    pub const CONNECT: u64 = 42;
    pub const ACCEPT: u64 = 43;
    pub const ACCEPT4: u64 = 288;
}

/// Whether the bytes before a return address end with a call: `call near`, or
/// `call` through a register or memory (opcode ff /2) of two, three or six
/// bytes. `before` holds the eight bytes, the last one highest.
#[inline(always)]
pub const fn ends_with_call(before: u64) -> bool {
    const fn is_indirect(opcode: u64, operand: u64) -> bool {
        opcode & 0xff == 0xff && operand & 0x38 == 0x10
    }
    (before >> 24) & 0xff == 0xe8
        || is_indirect(before >> 48, before >> 56)
        || is_indirect(before >> 40, before >> 48)
        || is_indirect(before >> 16, before >> 24)
}
