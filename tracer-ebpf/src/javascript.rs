//! Telling user space of JavaScript functions, each at its first sight.

use aya_ebpf::{bindings::BPF_NOEXIST, maps::ring_buf::RingBufEntry};
use tracer_common::{
    counter::Counter,
    javascript::{FunctionSeen, Identity, Reader, Runtime, Slots, copy},
};

use crate::{
    maps::{FUNCTIONS, FUNCTIONS_SEEN, count},
    unwind::read_user,
};

struct Memory;

impl Reader for Memory {
    #[inline(always)]
    fn read(&self, address: u64, words: &mut [u64]) -> bool {
        read_user(address, words)
    }
}

/// Whether user space knows the function, or has just been told.
#[inline(always)]
pub fn knows(space: u32, runtime: &Runtime, identity: Identity, slots: &Slots) -> bool {
    let key = identity.key(space).0;
    // SAFETY: values are inserted whole and never change.
    match unsafe { FUNCTIONS.get(key) } {
        Some(known) => *known == identity,
        None => tell(space, runtime, identity, slots),
    }
}

/// Tells of a function that was not seen before.
#[inline(never)]
fn tell(space: u32, runtime: &Runtime, identity: Identity, slots: &Slots) -> bool {
    let key = identity.key(space).0;
    let Some(mut seen) = FUNCTIONS_SEEN.reserve::<FunctionSeen>(0) else {
        count(Counter::FunctionNotTold, 1, 0);
        return false;
    };
    // Two threads may tell of the same; one of two functions of the same key
    // stays unknown.
    if FUNCTIONS
        .insert(key, &identity, u64::from(BPF_NOEXIST))
        .is_err()
    {
        seen.discard(0);
        count(Counter::FunctionNotTold, 1, 0);
        return false;
    }
    fill(&mut seen, space, runtime, identity, slots);
    seen.submit(0);
    true
}

#[inline(always)]
fn fill(
    entry: &mut RingBufEntry<FunctionSeen>,
    space: u32,
    runtime: &Runtime,
    identity: Identity,
    slots: &Slots,
) {
    // SAFETY: reserved for this; all fields are integers, and user space looks
    // at those parts only whose addresses say that they were read.
    let seen = unsafe { &mut *entry.as_mut_ptr() };
    seen.identity = identity;
    seen.space = u64::from(space);
    seen.slots = *slots;
    copy(&Memory, runtime, seen);
}
