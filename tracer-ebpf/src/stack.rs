//! Taking a stack and finding its site.
//!
//! Taken at the return probe: the registers then stand in the caller, so that
//! the direct caller is never lost, and failed calls cost nothing.

use aya_ebpf::bindings::BPF_NOEXIST;
use tracer_common::{
    FRAMES_MAX,
    call::{Call, ThreadCalls},
    control::Control,
    counter::Counter,
    site::{self, Site, SiteIdentity},
    unwind::Ending,
};

use crate::{
    maps::{SITES, SPACE_SETTINGS, count},
    unwind::{self, Rounds},
};

const EEXIST: i32 = -17;

/// Where a stack begins: in the function that called.
#[derive(Clone, Copy)]
pub struct Start {
    /// Where it goes on.
    pub code: u64,
    /// Its stack pointer.
    pub stack_pointer: u64,
    /// Its frame pointer.
    pub frame_pointer: u64,
}

/// The site of the current stack, by key and in the map; where the stack
/// cannot be had or kept, the site that takes what has none, and the reason is counted.
#[inline(always)]
pub fn site_of<R: Rounds>(
    start: Start,
    control: &Control,
    calls: *mut ThreadCalls,
    call: &Call,
) -> Option<(u64, *mut Site)> {
    match take::<R>(start, control, calls, call) {
        Ok(found) => Some(found),
        Err(reason) => {
            count(reason, 1, call.size);
            let key = site::without_stack(call.space);
            Some((key, SITES.get_ptr_mut(key)?))
        }
    }
}

/// The site of the current stack, or why it cannot be had or kept.
#[inline(always)]
pub fn take<R: Rounds>(
    start: Start,
    control: &Control,
    calls: *mut ThreadCalls,
    call: &Call,
) -> Result<(u64, *mut Site), Counter> {
    let settings = SPACE_SETTINGS
        .get(call.space)
        .ok_or(Counter::StackUnreadable)?;
    // SAFETY: the thread's own record; only this thread's programs use its scratch.
    unsafe {
        (*calls)
            .walk
            .start(start.code, start.stack_pointer, start.frame_pointer);
    }
    if !unwind::walk::<R>(calls, call.space, control) {
        return Err(Counter::StackUnreadable);
    }
    // SAFETY: as above.
    let (scratch, walk) = unsafe { (&mut (*calls).scratch, &raw const (*calls).walk) };
    // SAFETY: just written. Volatile: the verifier then does not know which
    // way out of the walk it was, and checks what follows once.
    let (frames, ending) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*walk).frames),
            core::ptr::read_volatile(&raw const (*walk).ending),
        )
    };
    scratch.identity = SiteIdentity {
        mapping_generation: settings.mapping_generation,
        space: call.space,
        source: call.source(),
        frames,
        ending,
    };
    if ending == Ending::Truncated as u32 {
        count(Counter::StackTruncated, 1, call.size);
    }
    find(key_of(control, scratch), scratch)
}

/// The key of the site in the making.
#[inline(always)]
fn key_of(control: &Control, scratch: &Site) -> u64 {
    let frames = scratch.identity.frames as usize;
    let mut hash = control.seed;
    for index in 0..FRAMES_MAX {
        if index >= frames {
            break;
        }
        hash = site::mix(hash, scratch.frames[index]);
    }
    scratch.identity.key(hash)
}

#[inline(always)]
fn find(key: u64, scratch: &Site) -> Result<(u64, *mut Site), Counter> {
    let known = match SITES.get_ptr_mut(key) {
        Some(known) => known,
        None => {
            match SITES.insert(key, scratch, u64::from(BPF_NOEXIST)) {
                Ok(()) | Err(EEXIST) => {}
                Err(_) => return Err(Counter::SiteTableFull),
            }
            SITES.get_ptr_mut(key).ok_or(Counter::SiteTableFull)?
        }
    };
    // SAFETY: sites are never removed within a trace, and what is compared never changes.
    if same(unsafe { &*known }, scratch) {
        Ok((key, known))
    } else {
        Err(Counter::StackCollision)
    }
}

#[inline(always)]
fn same(known: &Site, scratch: &Site) -> bool {
    let frames = scratch.identity.frames as usize;
    let mut different = u64::from(known.identity != scratch.identity);
    for index in 0..FRAMES_MAX {
        if index >= frames {
            break;
        }
        different |= known.frames[index] ^ scratch.frames[index];
    }
    different == 0
}
