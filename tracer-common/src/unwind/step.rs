//! From a frame to its caller's.

use super::{
    code::Found,
    frame, reread,
    row::{PAGE_SHIFT, Rule, Saved, SpecialKind},
    walk::{Ending, Environment, LOST, OUTSIDE, SAME, WINDOW_WORDS, Walk, Window},
};
use crate::{
    FRAMES_MAX,
    javascript::{JavascriptFrame, Slots, identify},
};

/// Words below the CFA that hold all that a row tells of.
const TOP_WORDS: usize = 8;
const TOP_BYTES: u64 = TOP_WORDS as u64 * 8;
const WINDOW_BYTES: u64 = WINDOW_WORDS as u64 * 8;

/// Farther apart than this, a stack and a frame pointer are not of one frame.
const FRAME_BYTES_MAX: u64 = 1 << 20;

/// Writes the frame that `walk` stands in down, and goes on to its caller's;
/// `false` when there is none, and [`Walk::ending`] tells why.
#[inline(always)]
pub fn step<E: Environment>(
    walk: &mut Walk,
    frames: &mut [u64; FRAMES_MAX],
    window: &mut Window,
    environment: &E,
) -> bool {
    let index = walk.frames as usize;
    if index >= FRAMES_MAX {
        return end(walk, Ending::Truncated);
    }
    frames[index] = frame::word(walk.code, walk.mark);
    walk.frames = index as u32 + 1;
    walk.mark = 0;
    find_rule(walk, environment);
    // Through memory, here and below: see the module's text.
    let rule = reread(&walk.rule);
    let goes_on = if rule == OUTSIDE {
        outside_files(walk, environment)
    } else if Rule(rule as u16).kind() == 0 {
        special(walk, window, environment, Rule(rule as u16))
    } else {
        plain(walk, Rule(rule as u16))
    };
    match goes_on {
        Next::Caller => to_caller(walk, frames, window, environment),
        Next::Again => true,
        Next::End => false,
    }
}

/// How a step goes on.
enum Next {
    /// CFA and saved frame pointer are known.
    Caller,
    /// The walk stands in another frame already.
    Again,
    /// It has ended.
    End,
}

#[inline(always)]
fn end(walk: &mut Walk, ending: Ending) -> bool {
    walk.ending = ending as u32;
    false
}

/// Finds the rule at the frame's code, or recalls it.
#[inline(always)]
fn find_rule<E: Environment>(walk: &mut Walk, environment: &E) {
    // A return address stands behind its call, which may be the last
    // instruction of its function.
    let place = walk.code.wrapping_sub(1 - u64::from(walk.interrupted & 1));
    walk.interrupted = 0;
    let index = Found::index(place);
    let found = environment.found(index);
    walk.rule = u32::from(found.rule().0);
    if !found.is_of(place) {
        walk.rule = search(walk, environment, place);
        if walk.rule != OUTSIDE {
            environment.keep(index, Found::new(place, Rule(walk.rule as u16)));
        }
    }
}

/// The rule at a place: the special one of number 0 where the table has none,
/// [`OUTSIDE`] where there is no table.
#[inline(always)]
fn search<E: Environment>(walk: &mut Walk, environment: &E, place: u64) -> u32 {
    const MASK: usize = super::code::MAPPINGS_MAX - 1;
    let unknown = u32::from(Rule::special(0).0);
    let mapped = environment.mapped();
    let last = &mapped.mappings[walk.mapping as usize & MASK];
    if place.wrapping_sub(last.start) >= last.length {
        walk.mapping = mapped.candidate(place) as u32;
    }
    let mapping = &mapped.mappings[reread(&walk.mapping) as usize & MASK];
    if place.wrapping_sub(mapping.start) >= mapping.length {
        return OUTSIDE;
    }
    environment.used(mapping.table);
    let offset = place.wrapping_sub(mapping.origin);
    let page = offset >> PAGE_SHIFT;
    if page >= u64::from(mapping.pages) {
        return unknown;
    }
    let page = environment.page(mapping.first_page.wrapping_add(page as u32));
    match environment.rows(page.chunk()) {
        Some(rows) if page.0 != 0 => u32::from(page.rule(rows, offset).0),
        _ => unknown,
    }
}

/// By a rule that fits a row.
#[inline(always)]
fn plain(walk: &mut Walk, rule: Rule) -> Next {
    let by_stack = u64::from(rule.kind() & 1).wrapping_neg();
    let base = (walk.stack_pointer & by_stack) | (walk.frame_pointer & !by_stack);
    let cfa = base.wrapping_add(rule.offset());
    let is_saved = u64::from(rule.saved() != 0).wrapping_neg();
    walk.cfa = cfa;
    walk.saved = cfa.wrapping_sub((rule.saved() + 1) * 8) & is_saved;
    Next::Caller
}

/// In code without a file, or at the trampoline that a return probe puts in
/// place of a return address: then the frame is where that would have led.
#[inline(always)]
fn outside_files<E: Environment>(walk: &mut Walk, environment: &E) -> Next {
    let real = environment.displaced(walk.stack_pointer.wrapping_sub(8));
    if real == 0 || real == walk.code {
        walk.is_managed = environment.runtime().is_known;
        return by_frame_pointer(walk);
    }
    walk.code = real;
    walk.frames -= 1;
    Next::Again
}

/// In code without a row: as if it kept the frame pointer, and if that can be.
#[inline(always)]
fn by_frame_pointer(walk: &mut Walk) -> Next {
    let apart = walk.frame_pointer.wrapping_sub(walk.stack_pointer);
    if apart >= FRAME_BYTES_MAX || !walk.frame_pointer.is_multiple_of(8) {
        end(walk, Ending::NoRule);
        return Next::End;
    }
    // All that V8 makes keeps the frame pointer.
    walk.mark = frame::APPROXIMATE * u64::from(1 - (walk.is_managed & 1));
    plain(walk, Rule::FRAME_POINTER)
}

#[inline(always)]
fn special<E: Environment>(
    walk: &mut Walk,
    window: &mut Window,
    environment: &E,
    rule: Rule,
) -> Next {
    const FRAME_POINTER: u32 = SpecialKind::FramePointer as u32;
    const PROCEDURE_LINKAGE: u32 = SpecialKind::ProcedureLinkage as u32;
    const AT_STACK_POINTER: u32 = SpecialKind::AtStackPointer as u32;
    const AT_FRAME_POINTER: u32 = SpecialKind::AtFramePointer as u32;
    const SIGNAL: u32 = SpecialKind::Signal as u32;
    const ROOT: u32 = SpecialKind::Root as u32;
    const UNKNOWN: u32 = SpecialKind::Unknown as u32;
    let Some(special) = environment.special(rule.number()) else {
        end(walk, Ending::NoRule);
        return Next::End;
    };
    match special.kind {
        UNKNOWN => {
            let runtime = environment.runtime();
            walk.is_managed = u32::from(runtime.is_builtin(walk.code));
            return by_frame_pointer(walk);
        }
        SIGNAL => return out_of_handler(walk, window, environment),
        ROOT => {
            end(walk, Ending::Root);
            return Next::End;
        }
        _ => {}
    }
    let offset = i64::from(special.offset).cast_unsigned();
    walk.cfa = match special.kind {
        FRAME_POINTER | AT_FRAME_POINTER => walk.frame_pointer.wrapping_add(offset),
        PROCEDURE_LINKAGE => {
            let deeper = u64::from(walk.code & 15 >= offset);
            walk.stack_pointer.wrapping_add(8 + deeper * 8)
        }
        _ => walk.stack_pointer.wrapping_add(offset),
    };
    if special.kind == AT_STACK_POINTER || special.kind == AT_FRAME_POINTER {
        let mut word = [0];
        if !environment.read(reread(&walk.cfa), &mut word) {
            end(walk, Ending::Unreadable);
            return Next::End;
        }
        walk.cfa = word[0].wrapping_add(i64::from(special.addend).cast_unsigned());
    }
    const AT_CFA: u32 = Saved::AtCfa as u32;
    const SAVED_AT_FRAME_POINTER: u32 = Saved::AtFramePointer as u32;
    const SAVED_NOWHERE: u32 = Saved::Lost as u32;
    let saved_offset = i64::from(special.saved_offset).cast_unsigned();
    walk.saved = match special.saved {
        AT_CFA => reread(&walk.cfa).wrapping_add(saved_offset),
        SAVED_AT_FRAME_POINTER => walk.frame_pointer.wrapping_add(saved_offset),
        SAVED_NOWHERE => LOST,
        _ => SAME,
    };
    Next::Caller
}

/// From a signal handler's frame to what it interrupted. Above the handler's
/// return address stands a `struct ucontext` (arch/x86/include/uapi/asm:
/// ucontext.h, sigcontext.h), with the registers from byte 40 on: r8 to r15,
/// rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
#[inline(always)]
fn out_of_handler<E: Environment>(walk: &mut Walk, window: &mut Window, environment: &E) -> Next {
    const REGISTERS: u64 = 40;
    const RBP: usize = 10;
    const RSP: usize = 15;
    const RIP: usize = 16;
    walk.window_start = 0;
    let registers = walk.stack_pointer.wrapping_add(REGISTERS);
    if !environment.read(registers, &mut window[..=RIP]) {
        end(walk, Ending::Unreadable);
        return Next::End;
    }
    // The handler may run on a stack of its own, above or below.
    walk.frame_pointer = window[RBP];
    walk.stack_pointer = window[RSP];
    walk.code = window[RIP];
    walk.interrupted = 1;
    Next::Again
}

/// To the caller's frame: the return address stands below the CFA, and mostly
/// the frame pointer too.
#[inline(always)]
fn to_caller<E: Environment>(
    walk: &mut Walk,
    frames: &mut [u64; FRAMES_MAX],
    window: &mut Window,
    environment: &E,
) -> bool {
    let (cfa, saved) = (reread(&walk.cfa), reread(&walk.saved));
    let start = cfa.wrapping_sub(TOP_BYTES);
    let offset = start.wrapping_sub(walk.window_start);
    if (offset > WINDOW_BYTES - TOP_BYTES || offset % 8 != 0)
        && !fill(walk, window, environment, start)
    {
        return end(walk, Ending::Unreadable);
    }
    let top = (start.wrapping_sub(reread(&walk.window_start)) / 8) as usize + TOP_WORDS - 1;
    if reread(&walk.is_managed) != 0 {
        walk.is_managed = 0;
        let slot = |below: usize| window[top.wrapping_sub(below) & (WINDOW_WORDS - 1)];
        walk.slots = Slots {
            code: walk.code,
            function: slot(3),
            bytecode: slot(5),
            offset: slot(6),
        };
        if E::TELLS_FUNCTIONS && walk.slots.are_of_function(slot(2)) {
            name_function(walk, frames, environment);
        }
    }
    let return_address = window[top & (WINDOW_WORDS - 1)];
    if return_address == 0 {
        return end(walk, Ending::Root);
    }
    // Of the difference, as everywhere: see the module's text.
    if cfa.wrapping_sub(walk.stack_pointer).wrapping_sub(1) >> 47 != 0 {
        return end(walk, Ending::Senseless);
    }
    let below = cfa.wrapping_sub(saved);
    if saved == SAME {
    } else if below <= TOP_BYTES && below % 8 == 0 {
        walk.frame_pointer =
            window[(top + 1).wrapping_sub((below / 8) as usize) & (WINDOW_WORDS - 1)];
    } else if saved == LOST {
        walk.frame_pointer = 0;
    } else {
        let mut word = [0];
        if !environment.read(saved, &mut word) {
            return end(walk, Ending::Unreadable);
        }
        walk.frame_pointer = word[0];
    }
    walk.code = return_address;
    walk.stack_pointer = cfa;
    true
}

/// Writes a JavaScript function down in place of its frame's address, if it
/// can be told which it is.
#[inline(always)]
fn name_function<E: Environment>(walk: &mut Walk, frames: &mut [u64; FRAMES_MAX], environment: &E) {
    let runtime = environment.runtime();
    let Some(identity) = identify(environment, runtime, &walk.slots, &mut walk.object) else {
        return;
    };
    if !environment.knows(identity, &walk.slots) {
        return;
    }
    let word = JavascriptFrame::word(identity, walk.slots.bytecode_offset());
    // Only now: Linux 5.10 forgets the bounds of what is put aside.
    let index = (reread(&walk.frames) as usize).wrapping_sub(1);
    if index < FRAMES_MAX {
        frames[index] = word | frames[index] & frame::APPROXIMATE;
    }
}

/// Reads a piece of the stack from `start` on.
#[inline(always)]
fn fill<E: Environment>(walk: &mut Walk, window: &mut Window, environment: &E, start: u64) -> bool {
    walk.window_start = start;
    if environment.read(start, window) {
        return true;
    }
    // Less than a window is left of the stack.
    walk.window_start = start.wrapping_sub(WINDOW_BYTES - TOP_BYTES);
    let is_read = environment.read(start, &mut window[WINDOW_WORDS - TOP_WORDS..]);
    if !is_read {
        walk.window_start = 0;
    }
    is_read
}
