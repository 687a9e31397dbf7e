//! Everything that is the processor's: x86-64, System V calling convention.

use aya_ebpf::bindings::pt_regs;

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
}
