//! The site of whoever is in a system call: its stack in user space.

use aya_ebpf::{
    bindings::pt_regs,
    helpers::generated::{bpf_get_current_task, bpf_get_current_task_btf, bpf_task_pt_regs},
};
use tracer_common::{
    call::Call,
    control::Control,
    function::{Function, Shape},
    ledger::Block,
    source::Source,
};

use super::{global, member, offset};
use crate::{
    arch::{Entered, KERNEL_STACK},
    heap::{open_gate, thread_calls},
    stack::{self, Start},
    unwind::{Bounded, Loop, Rounds},
};

/// 1 where there is `bpf_task_pt_regs` (Linux 5.15). Set when loading.
#[unsafe(no_mangle)]
static HAS_TASK_REGISTERS: u32 = 0;
/// How the site of a stack is found.
pub trait Sites: Rounds {
    /// The site of the current thread's stack in user space, by key.
    fn site(control: &Control, space: u32, source: Source) -> Option<u64>;
}

impl Sites for Loop {
    #[inline(always)]
    fn site(control: &Control, space: u32, source: Source) -> Option<u64> {
        site::<Self>(control, space, source)
    }
}

impl Sites for Bounded {
    #[inline(always)]
    fn site(_control: &Control, space: u32, source: Source) -> Option<u64> {
        match bounded_site(space, source as u32) {
            0 => None,
            site => Some(site),
        }
    }
}

/// A function of its own, with a stack of its own: its callers have no room left.
#[inline(never)]
fn bounded_site(space: u32, source: u32) -> u64 {
    let source = if source == Source::Send as u32 {
        Source::Send
    } else {
        Source::Receive
    };
    let site = open_gate().and_then(|control| site::<Bounded>(control, space, source));
    site.unwrap_or(0)
}

/// No bytes: a stack that is lost here is no allocation's.
#[inline(always)]
fn site<R: Rounds>(control: &Control, space: u32, source: Source) -> Option<u64> {
    let calls = thread_calls(0)?;
    let start = user_start()?;
    let call = Call {
        function: Function::new(source, Shape::Size, 0),
        space,
        stack_pointer: start.stack_pointer,
        size: 0,
        pointer: 0,
        taken: Block::default(),
        slice: 0,
        reserved: 0,
    };
    let (site, _) = stack::site_of::<R>(start, control, calls, &call)?;
    Some(site)
}

/// Where the thread entered the kernel.
#[inline(always)]
pub fn user_start() -> Option<Start> {
    let registers: *const pt_regs = if global!(HAS_TASK_REGISTERS) != 0 {
        // SAFETY: the current task's own.
        unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) as *const pt_regs }
    } else {
        // SAFETY: no arguments.
        let task = unsafe { bpf_get_current_task() };
        let stack: u64 = member(task, offset!(task_stack))?;
        (stack + KERNEL_STACK - size_of::<pt_regs>() as u64) as *const pt_regs
    };
    let registers = Entered::read(registers)?;
    Some(Start {
        code: registers.code(),
        stack_pointer: registers.stack_pointer(),
        frame_pointer: registers.frame_pointer(),
    })
}
