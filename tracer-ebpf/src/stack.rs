//! Taking a stack and finding its site.
//!
//! Taken at the return probe: the registers then stand in the caller, so that
//! the direct caller is never lost, and failed calls cost nothing.

use core::ffi::c_void;

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_probe_read_user};
use tracer_common::{
    FRAMES_MAX,
    call::{Call, ThreadCalls, WINDOW_WORDS},
    control::Control,
    counter::Counter,
    site::{self, Site, SiteIdentity},
    unwind::walk_frame_pointers,
};

use crate::maps::{SITES, SPACE_SETTINGS, count};

const EEXIST: i32 = -17;
const WINDOW_BYTES: u64 = (WINDOW_WORDS * 8) as u64;

/// The site of the current stack, by key and in the map; where the stack
/// cannot be had or kept, the site that takes what has none, and the reason is counted.
#[inline(always)]
pub fn site_of(
    code: u64,
    frame_pointer: u64,
    control: &Control,
    calls: *mut ThreadCalls,
    call: &Call,
) -> Option<(u64, *mut Site)> {
    match take(code, frame_pointer, control, calls, call) {
        Ok(found) => Some(found),
        Err(reason) => {
            count(reason, 1, call.size);
            let key = site::without_stack(call.space);
            Some((key, SITES.get_ptr_mut(key)?))
        }
    }
}

#[inline(always)]
fn take(
    code: u64,
    frame_pointer: u64,
    control: &Control,
    calls: *mut ThreadCalls,
    call: &Call,
) -> Result<(u64, *mut Site), Counter> {
    // SAFETY: the thread's own record; only this thread's programs use its scratch.
    let (scratch, window) = unsafe { (&mut (*calls).scratch, &mut (*calls).window) };
    let settings = SPACE_SETTINGS
        .get(call.space)
        .ok_or(Counter::StackUnreadable)?;
    // Below every frame: the first is read where the walk starts.
    let mut window_start = u64::MAX;
    let walk = walk_frame_pointers(
        code,
        frame_pointer,
        &mut scratch.frames,
        |address, next, code| frame_at(address, window, &mut window_start, next, code),
    );
    scratch.identity = SiteIdentity {
        mapping_generation: settings.mapping_generation,
        space: call.space,
        source: call.source(),
        frames: walk.frames as u32,
        truncated: u32::from(walk.truncated),
    };
    if walk.truncated {
        count(Counter::StackTruncated, 1, call.size);
    }
    // Read back from the map: the verifier then no longer knows how many
    // frames each way out of the walk has, and checks what follows once, not
    // once for each (131,000 instructions, 0.5 s).
    // SAFETY: just written.
    scratch.identity.frames =
        unsafe { core::ptr::read_volatile(&raw const scratch.identity.frames) };
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

/// The two words at an address of the stack, out of the window where it has them.
#[inline(always)]
fn frame_at(
    address: u64,
    window: &mut [u64; WINDOW_WORDS],
    window_start: &mut u64,
    first: &mut u64,
    second: &mut u64,
) -> bool {
    let mut offset = address.wrapping_sub(*window_start);
    if offset > WINDOW_BYTES - 16 {
        *window_start = address;
        offset = 0;
        if !read_user(address, window, WINDOW_BYTES as u32) {
            // Less than a window is left of the stack.
            *window_start = u64::MAX;
            if !read_user(address, window, 16) {
                return false;
            }
        }
    }
    let index = (offset / 8) as usize & (WINDOW_WORDS - 1);
    if index < WINDOW_WORDS - 1 {
        *first = window[index];
        *second = window[index + 1];
    }
    true
}

#[inline(always)]
fn read_user(address: u64, window: &mut [u64; WINDOW_WORDS], bytes: u32) -> bool {
    // SAFETY: at most the window's size; faults are handled by the helper.
    unsafe { bpf_probe_read_user(window.as_mut_ptr().cast(), bytes, address as *const c_void) == 0 }
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
