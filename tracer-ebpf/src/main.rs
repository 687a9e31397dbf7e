//! memtrace's eBPF programs: the ledger of a process's outstanding blocks is
//! kept here, in the kernel, so that short-lived blocks never reach user space.
//!
//! One file a concern. Policy (which process, which rate) is not here: it
//! comes in through maps and globals.
//!
//! Programs can be preempted and another can run on the same CPU meanwhile:
//! no per-CPU scratch, no counter that is not atomic.
#![no_std]
#![no_main]
#![feature(core_intrinsics)]
#![expect(internal_features, reason = "atomic_xadd, see maps.rs")]

mod arch;
mod faults;
mod floor;
mod heap;
mod javascript;
mod javascript_heap;
mod ledger;
mod life;
mod maps;
mod socket;
mod space;
mod stack;
mod unwind;
mod vm;

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Required by the helpers for stacks, signals and kernel memory.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
