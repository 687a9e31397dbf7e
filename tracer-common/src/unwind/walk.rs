//! A walk under way, why it ends, and what it reads.

use super::{
    code::{Chunk, Found, MappedCode, Page},
    row::Special,
};
use crate::javascript::{INFO_WORDS, Identity, Reader, Runtime, Slots};

/// How many words of a stack are read at once. A read costs 70 ns whatever
/// its length, and callers' frames are near.
pub const WINDOW_WORDS: usize = 64;
/// A piece of a stack.
pub type Window = [u64; WINDOW_WORDS];

/// A walk under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Walk {
    /// Where the frame's code goes on: behind its call, or where it was interrupted.
    pub code: u64,
    /// rsp in the frame.
    pub stack_pointer: u64,
    /// rbp in the frame.
    pub frame_pointer: u64,
    /// The address that the window begins with.
    pub window_start: u64,
    /// [`frame::APPROXIMATE`] if the frame is so, or 0.
    pub mark: u64,
    /// The frame's CFA, once it is known.
    pub cfa: u64,
    /// Where the caller's frame pointer was saved; [`SAME`], [`LOST`].
    pub saved: u64,
    /// How many frames are written.
    pub frames: u32,
    /// 1: the frame was interrupted at `code`, and called nothing.
    pub interrupted: u32,
    /// The mapping that held the frame before.
    pub mapping: u32,
    /// [`Ending`], by number; 0 while it goes on.
    pub ending: u32,
    /// The frame's rule, or [`OUTSIDE`].
    pub rule: u32,
    /// 1: the frame is one of V8's.
    pub is_managed: u32,
    /// What such a frame says.
    pub slots: Slots,
    /// A piece of an object that it points to.
    pub object: [u64; INFO_WORDS],
}

impl Walk {
    /// Sets out in a frame that called. Member by member: the record is large
    /// for a program's stack, and what is scratch in it need not be cleared.
    #[inline(always)]
    pub fn start(&mut self, code: u64, stack_pointer: u64, frame_pointer: u64) {
        self.code = code;
        self.stack_pointer = stack_pointer;
        self.frame_pointer = frame_pointer;
        self.window_start = 0;
        self.mark = 0;
        self.frames = 0;
        self.interrupted = 0;
        self.mapping = 0;
        self.ending = 0;
        self.is_managed = 0;
    }
}

/// [`Walk::saved`]: the frame pointer is as it was.
pub(super) const SAME: u64 = 0;
/// [`Walk::saved`]: the frame pointer is lost.
pub(super) const LOST: u64 = 1;
/// [`Walk::rule`]: the code is in no file.
pub(super) const OUTSIDE: u32 = 1 << 16;

/// Why a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Ending {
    /// At the outermost frame.
    Root = 1,
    /// After [`FRAMES_MAX`] frames, with more to come.
    Truncated = 2,
    /// The stack could not be read on: it is not in memory, or was never one.
    Unreadable = 3,
    /// In code that no table tells of and that keeps no frame pointer.
    NoRule = 4,
    /// The rule led back down the stack.
    Senseless = 5,
}

/// What a walk reads.
pub trait Environment: Reader {
    /// Whether JavaScript functions are told apart: more than the verifier of
    /// old kernels goes through.
    const TELLS_FUNCTIONS: bool;
    /// The mappings of the address space.
    fn mapped(&self) -> &MappedCode;
    /// What was found at this index of [`super::code::SpaceCode::found`].
    fn found(&self, index: usize) -> Found;
    /// Keeps what was found.
    fn keep(&self, index: usize, found: Found);
    /// An element of the map of pages; [`Page`] 0 if there is none.
    fn page(&self, number: u32) -> Page;
    /// A chunk of rows.
    fn rows(&self, chunk: u32) -> Option<&Chunk>;
    /// A special rule.
    fn special(&self, number: u16) -> Option<&Special>;
    /// The V8 of the address space.
    fn runtime(&self) -> &Runtime;
    /// Whether a function can be named by its identity; tells of it at its first sight.
    fn knows(&self, identity: Identity, slots: &Slots) -> bool;
    /// Notes that a table was used.
    fn used(&self, table: u32);
    /// The return address that a return probe of the kernel's has taken from
    /// this place on the stack; 0 if none has.
    fn displaced(&self, place: u64) -> u64;
}
