//! Which address space the current thread runs in, and whether it is traced.
//!
//! Blocks belong to an address space, not to a process: a vfork child
//! allocates in its parent's. It is told by the address of its `mm_struct`,
//! bound to a number at the first probe hit of the target's thread group.
//! When the group execs the binding goes (see `life`), so that a later
//! `mm_struct` at the same address is not taken for it.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::{
        bpf_get_current_pid_tgid, bpf_probe_read_kernel,
        generated::{bpf_get_current_task, bpf_get_current_task_btf},
    },
};

use crate::maps::{CONTROL, FIRST_SPACE, SPACES, TARGETS};

/// Offset of `mm` in `struct task_struct`, from the kernel's BTF. Set when loading.
#[unsafe(no_mangle)]
static MM_OFFSET: u64 = 0;

/// 1 where the kernel has `bpf_get_current_task_btf` (Linux 5.11). Set when loading.
#[unsafe(no_mangle)]
static HAS_TYPED_TASK: u32 = 0;

/// The number of the current address space, if it is under trace.
#[inline(always)]
pub fn current() -> Option<u32> {
    let mm = current_mm()?;
    let first = FIRST_SPACE.get(0)?;
    if first.mm == mm {
        return Some(first.space as u32);
    }
    // Most hits of the tracepoints are bystanders': two look-ups less for them.
    if first.mm != 0 && CONTROL.get(0)?.is_alone != 0 {
        return None;
    }
    // SAFETY: values are only ever inserted and removed whole.
    if let Some(space) = unsafe { SPACES.get(mm) } {
        return Some(*space);
    }
    bind(mm)
}

/// The address of another task's `mm_struct`.
#[inline(always)]
pub fn mm_of(task: u64) -> Option<u64> {
    // SAFETY: a global that user space sets before the object is loaded.
    let offset = unsafe { core::ptr::read_volatile(&raw const MM_OFFSET) };
    // SAFETY: faults are handled by the helper.
    unsafe { bpf_probe_read_kernel((task + offset) as *const u64) }.ok()
}

/// The address of the current task's `mm_struct`.
#[inline(always)]
pub fn current_mm() -> Option<u64> {
    // SAFETY: globals that user space sets before the object is loaded; the
    // verifier knows their values and never sees the branch not taken.
    let (offset, typed) = unsafe {
        (
            core::ptr::read_volatile(&raw const MM_OFFSET),
            core::ptr::read_volatile(&raw const HAS_TYPED_TASK),
        )
    };
    let mm = if typed != 0 {
        // SAFETY: the verifier knows the type, so this is a plain load that cannot fault.
        unsafe {
            bpf_get_current_task_btf()
                .byte_add(offset as usize)
                .cast::<u64>()
                .read()
        }
    } else {
        // SAFETY: reads the current task's own structure; faults are handled by the helper.
        unsafe { bpf_probe_read_kernel((bpf_get_current_task() + offset) as *const u64) }.ok()?
    };
    (mm != 0).then_some(mm)
}

/// Binds the address space to its target, at its first hit.
#[inline(never)]
fn bind(mm: u64) -> Option<u32> {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let target = TARGETS.get_ptr_mut(tgid)?;
    // SAFETY: a map value; threads that race here write the same.
    unsafe {
        if (*target).space == 0 || ((*target).mm != 0 && (*target).mm != mm) {
            return None;
        }
        (*target).mm = mm;
        let space = (*target).space;
        let _ = SPACES.insert(mm, space, u64::from(BPF_NOEXIST));
        if let Some(first) = FIRST_SPACE.get_ptr_mut(0)
            && (*first).mm == 0
        {
            (*first).space = u64::from(space);
            // After the number, so that whoever reads the address finds it.
            core::ptr::write_volatile(&raw mut (*first).mm, mm);
        }
        Some(space)
    }
}

/// Forgets an address space: its process has another now.
#[inline(always)]
pub fn unbind(mm: u64) {
    if mm == 0 {
        return;
    }
    let _ = SPACES.remove(mm);
    if let Some(first) = FIRST_SPACE.get_ptr_mut(0) {
        // SAFETY: a map value.
        unsafe {
            if (*first).mm == mm {
                (*first).mm = 0;
            }
        }
    }
}
