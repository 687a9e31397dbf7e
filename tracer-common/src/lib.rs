//! What the kernel side and user space share: the layout of the maps and the
//! pure parts of the kernel-side logic, tested in user space.
//!
//! No maps, no helpers, no `std`: those belong to `tracer-ebpf` and `tracer`.

#![cfg_attr(not(any(test, feature = "user")), no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

pub mod call;
pub mod control;
pub mod counter;
pub mod fault;
pub mod function;
pub mod javascript;
pub mod ledger;
pub mod mapping;
pub mod site;
pub mod socket;
pub mod source;
pub mod unwind;

/// The largest number of frames kept of one stack, as many as
/// `kernel.perf_event_max_stack` allows by default.
pub const FRAMES_MAX: usize = 127;

#[cfg(feature = "user")]
mod pod {
    use crate::{call, control, counter, fault, ledger, mapping, site, socket, unwind};

    macro_rules! pod {
        ($($type:ty),* $(,)?) => {
            $(
                // SAFETY: `repr(C)`, integers only, no padding, valid for every bit pattern.
                unsafe impl aya::Pod for $type {}
            )*
        };
    }

    pod!(
        call::ThreadCalls,
        control::BoundSpace,
        control::Control,
        control::Event,
        control::SpaceSettings,
        control::Target,
        counter::Count,
        fault::FaultCpu,
        fault::FaultSpace,
        ledger::Block,
        ledger::BlockKey,
        mapping::MappingEvent,
        site::Site,
        socket::AcceptRecord,
        socket::OwnerRecord,
        socket::SocketCalls,
        socket::SocketOffsets,
        socket::SocketRecord,
        unwind::code::CodeMapping,
        unwind::code::SpaceCode,
        unwind::row::Special,
    );
}
