//! Walking the user stack by the unwind tables: `tracer_common::unwind` over
//! this kernel's maps and memory.

use core::{ffi::c_void, marker::PhantomData, mem::MaybeUninit};

use aya_ebpf::helpers::generated::{
    bpf_get_current_task, bpf_loop, bpf_probe_read_kernel, bpf_probe_read_user,
};
use tracer_common::{
    FRAMES_MAX,
    call::ThreadCalls,
    control::Control,
    javascript::{Identity, Reader, Runtime, Slots},
    unwind::{
        Ending, Environment,
        code::{Chunk, FOUND_MAX, Found, MappedCode, Page, SpaceCode},
        equal,
        row::Special,
        step,
    },
};

use crate::{
    javascript,
    maps::{PAGES, ROWS, SPACE_CODE, SPECIALS, TABLE_USES},
};

/// Offsets in the kernel's structures, from its BTF. Set when loading.
#[unsafe(no_mangle)]
static UTASK_OFFSET: u64 = 0;
/// Of `return_instances` in `struct uprobe_task`.
#[unsafe(no_mangle)]
static RETURNS_OFFSET: u64 = 0;
/// Of members of `struct return_instance`.
#[unsafe(no_mangle)]
static RETURN_STACK_OFFSET: u64 = 0;
#[unsafe(no_mangle)]
static RETURN_ADDRESS_OFFSET: u64 = 0;
#[unsafe(no_mangle)]
static RETURN_NEXT_OFFSET: u64 = 0;

/// Return probes pending in one another that are looked at.
const RETURNS_MAX: usize = 6;
/// Words of a `struct return_instance` (include/linux/uprobes.h), its shortest
/// form: they hold all that is read of it.
const RETURN_WORDS: usize = 6;

/// How a walk goes round. The verifier checks the body of a `bpf_loop` once.
pub trait Rounds: Sized {
    /// See [`Environment::TELLS_FUNCTIONS`].
    const TELLS_FUNCTIONS: bool;
    /// Whether it is told who accepted and connected sockets: the verifier would
    /// follow the turns of a bounded loop twice for it.
    const TELLS_OPENERS: bool;
    /// Walks on until the end. `walking` lives on the program's stack.
    fn walk(walking: &mut Walking<Self>);
}

/// By `bpf_loop` (Linux 5.17).
pub struct Loop;
/// By a loop of which the verifier follows each turn: of [`BOUNDED_FRAMES`].
pub struct Bounded;

/// Linux 5.10 follows a million instructions, 10,000 a turn.
const BOUNDED_FRAMES: usize = 40;

/// What a walk needs, at hand for each turn.
pub struct Walking<R> {
    calls: *mut ThreadCalls,
    code: *mut SpaceCode,
    space: u32,
    now_mark: u32,
    rounds: PhantomData<R>,
}

impl Rounds for Loop {
    const TELLS_FUNCTIONS: bool = true;
    const TELLS_OPENERS: bool = true;

    #[inline(always)]
    fn walk(walking: &mut Walking<Self>) {
        // SAFETY: `turn` takes what it is given, and returns before `walking` goes.
        unsafe {
            bpf_loop(
                FRAMES_MAX as u32 + 1,
                turn as *mut c_void,
                (&raw mut *walking).cast(),
                0,
            );
        }
    }
}

impl Rounds for Bounded {
    const TELLS_FUNCTIONS: bool = false;
    const TELLS_OPENERS: bool = false;

    #[inline(always)]
    fn walk(walking: &mut Walking<Self>) {
        for _ in 0..BOUNDED_FRAMES {
            if !walking.step() {
                return;
            }
        }
        // SAFETY: the thread's own record; only this thread's programs use its scratch.
        unsafe { (*walking.calls).walk.ending = Ending::Truncated as u32 };
    }
}

extern "C" fn turn(_index: u64, walking: *mut c_void) -> i64 {
    // SAFETY: what `Loop::walk` passed.
    let walking = unsafe { &mut *walking.cast::<Walking<Loop>>() };
    i64::from(!walking.step())
}

/// Walks the stack of an address space from where `calls.walk` stands; whether
/// there is a table of its mappings at all.
#[inline(always)]
pub fn walk<R: Rounds>(calls: *mut ThreadCalls, space: u32, control: &Control) -> bool {
    let Some(code) = SPACE_CODE.get_ptr_mut(space) else {
        return false;
    };
    let mut walking = Walking {
        calls,
        code,
        space,
        now_mark: control.now_mark,
        rounds: PhantomData,
    };
    R::walk(&mut walking);
    true
}

impl<R: Rounds> Walking<R> {
    #[inline(always)]
    fn step(&mut self) -> bool {
        // SAFETY: the thread's own record; only this thread's programs use its scratch.
        let calls = unsafe { &mut *self.calls };
        step(
            &mut calls.walk,
            &mut calls.scratch.frames,
            &mut calls.window,
            self,
        )
    }
}

impl<R: Rounds> Environment for Walking<R> {
    const TELLS_FUNCTIONS: bool = R::TELLS_FUNCTIONS;

    #[inline(always)]
    fn mapped(&self) -> &MappedCode {
        // SAFETY: values are replaced whole, and kept while programs run.
        unsafe { &(*self.code).mapped }
    }

    #[inline(always)]
    fn found(&self, index: usize) -> Found {
        // SAFETY: a word of a map value; other threads write it whole.
        unsafe {
            let found = (&raw const (*self.code).found).cast::<u64>();
            Found(core::ptr::read_volatile(found.add(index & (FOUND_MAX - 1))))
        }
    }

    #[inline(always)]
    fn keep(&self, index: usize, found: Found) {
        // SAFETY: a word of a map value; other threads read and write it whole.
        unsafe {
            let kept = (&raw mut (*self.code).found).cast::<u64>();
            core::ptr::write_volatile(kept.add(index & (FOUND_MAX - 1)), found.0);
        }
    }

    #[inline(always)]
    fn page(&self, number: u32) -> Page {
        PAGES.get(number).copied().unwrap_or_default()
    }

    #[inline(always)]
    fn rows(&self, chunk: u32) -> Option<&Chunk> {
        ROWS.get(chunk)
    }

    #[inline(always)]
    fn special(&self, number: u16) -> Option<&Special> {
        SPECIALS.get(u32::from(number))
    }

    #[inline(always)]
    fn runtime(&self) -> &Runtime {
        // SAFETY: as in `mapped`.
        unsafe { &(*self.code).runtime }
    }

    #[inline(always)]
    fn knows(&self, identity: Identity, slots: &Slots) -> bool {
        javascript::knows(self.space, self.runtime(), identity, slots)
    }

    #[inline(always)]
    fn used(&self, table: u32) {
        if let Some(mark) = TABLE_USES.get_ptr_mut(table) {
            // SAFETY: a map value; who races here writes nearly the same.
            unsafe { core::ptr::write_volatile(mark, self.now_mark) };
        }
    }

    #[inline(always)]
    fn displaced(&self, place: u64) -> u64 {
        displaced(place)
    }
}

impl<R> Reader for Walking<R> {
    #[inline(always)]
    fn read(&self, address: u64, words: &mut [u64]) -> bool {
        read_user(address, words)
    }
}

/// Reads words of the current process.
#[inline(always)]
pub fn read_user(address: u64, words: &mut [u64]) -> bool {
    // SAFETY: of the slice's length; faults are handled by the helper.
    unsafe {
        bpf_probe_read_user(
            words.as_mut_ptr().cast(),
            size_of_val(words) as u32,
            address as *const c_void,
        ) == 0
    }
}

/// The return address that a pending return probe has taken from a place on
/// the stack. Without branches: what cannot be read is zero.
#[inline(always)]
fn displaced(place: u64) -> u64 {
    // SAFETY: globals that user space sets before the object is loaded.
    let [stack, address, next] = unsafe {
        [
            core::ptr::read_volatile(&raw const RETURN_STACK_OFFSET),
            core::ptr::read_volatile(&raw const RETURN_ADDRESS_OFFSET),
            core::ptr::read_volatile(&raw const RETURN_NEXT_OFFSET),
        ]
    };
    // SAFETY: no arguments.
    let task = unsafe { bpf_get_current_task() };
    let mut instance = member(member(task, &UTASK_OFFSET), &RETURNS_OFFSET);
    let mut found = 0;
    for _ in 0..RETURNS_MAX {
        // Of a length whose indexes a mask bounds. Not cleared, which is done
        // byte by byte: the helper does.
        let mut words = MaybeUninit::<[u64; RETURN_WORDS.next_power_of_two()]>::uninit();
        read_kernel(words.as_mut_ptr().cast(), RETURN_WORDS, instance);
        let word = |offset: u64| {
            let index = (offset / 8) as usize & (RETURN_WORDS.next_power_of_two() - 1);
            // SAFETY: written by the helper, readable or not.
            unsafe { words.as_ptr().cast::<u64>().add(index).read() }
        };
        found |= word(address) * equal(word(stack), place);
        instance = word(next);
    }
    found
}

/// A word of a kernel structure, 0 if it cannot be read.
#[inline(always)]
fn member(structure: u64, offset: &u64) -> u64 {
    // SAFETY: a global that user space sets before the object is loaded.
    let offset = unsafe { core::ptr::read_volatile(offset) };
    let mut word = 0;
    read_kernel(&raw mut word, 1, structure.wrapping_add(offset));
    word
}

/// Reads so many words of kernel memory; zeroes if they cannot be read.
#[inline(always)]
fn read_kernel(words: *mut u64, count: usize, address: u64) {
    // SAFETY: the callers have room for as many; the helper handles faults, and
    // clears what it could not read.
    unsafe {
        bpf_probe_read_kernel(
            words.cast(),
            (count * size_of::<u64>()) as u32,
            address as *const c_void,
        );
    }
}
