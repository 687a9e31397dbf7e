//! The ledger against a model: the bytes are what a program does, and after
//! each step the ledger is held against what the program truly has.
//!
//! Always: what the ledger holds, the program has, with that size and from
//! that very call; `allocated − freed = live`; no free passes unseen; a block
//! that the ledger lacks is accounted for by a call that is pending or counted
//! as a missed return. Where no call was left by `longjmp` and no handler was
//! interrupted by another, at the end both are equal and nothing was missed.
//!
//! Three known defects, which the program modelled here keeps clear of:
//! - After a memalign or a realloc of NULL was left by `longjmp`, a malloc of
//!   the same size and stack pointer passes for what it jumped to, and is not
//!   recorded, each time again.
//! - After a signal handler's call came and went within a call, what the
//!   interrupted call calls is recorded as a call of the program's.
//! - After a call that the allocator made itself was left by `longjmp`, the
//!   program's next call from its very place passes for what it jumped to.

mod kernel;
mod program;

use tracer_common::{call::Call, function::Function, source::Source};

use kernel::Kernel;
use program::{Frame, Held, Memory, Running};

const REALLOC: u32 = Source::Realloc as u32;
/// Deeper nesting adds nothing.
const FRAMES_MAX: usize = 12;

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    Ok(vec![
        // Calls and their returns, a free; reallocs across threads; signals; jumps.
        vec![0, 0, 3, 0, 6, 0, 8, 0, 3, 1, 6, 0, 9, 0, 0, 3],
        vec![
            0, 40, 2, 6, 0, 8, 0, 1, 2, 1, 9, 2, 1, 6, 1, 9, 1, 6, 0, 8, 0, 12, 0,
        ],
        vec![
            0, 4, 3, 10, 1, 0, 1, 2, 6, 0, 8, 0, 12, 1, 2, 0, 8, 0, 6, 0, 8, 0,
        ],
        vec![
            0, 0, 3, 14, 0, 0, 2, 3, 6, 0, 8, 0, 0, 5, 3, 4, 0, 8, 0, 8, 0,
        ],
    ])
}

pub fn run(bytes: &[u8]) {
    let mut machine = Machine::new();
    let mut bytes = bytes.iter().copied();
    while let (Some(step), Some(detail)) = (bytes.next(), bytes.next()) {
        machine.step(step, detail);
        machine.check();
    }
    machine.finish();
}

struct Machine {
    kernel: Kernel,
    memory: Memory,
    threads: [Vec<Frame>; 2],
    calls: u32,
    /// A call was left without a return, or handlers were nested.
    disturbed: bool,
}

impl Machine {
    fn new() -> Self {
        let code = |thread: u64| {
            vec![Frame::Code {
                stack_pointer: 0x10_0000 * (thread + 1),
            }]
        };
        Self {
            kernel: Kernel::new(),
            memory: Memory::default(),
            threads: [code(0), code(1)],
            calls: 0,
            disturbed: false,
        }
    }

    fn step(&mut self, step: u8, detail: u8) {
        let thread = usize::from(step & 1);
        let Some(&top) = self.threads[thread].last() else {
            return;
        };
        match (step >> 1 & 7, top) {
            (0, Frame::Code { stack_pointer }) => self.call(thread, stack_pointer, detail),
            (1, Frame::Call(call)) => self.inner(thread, call, call.stack_pointer - 64, detail),
            (2, Frame::Call(call)) => self.inner(thread, call, call.stack_pointer, detail),
            (3, Frame::Call(call)) => self.perform(thread, call.outer, detail & 7 == 7),
            (4, Frame::Call(call)) => self.give_back(thread, call),
            (4, Frame::Code { .. }) if self.threads[thread].len() > 1 => {
                self.threads[thread].pop();
            }
            (5, _) => self.signal(thread, top, detail),
            (6, Frame::Code { .. }) => {
                if let Some(address) = self.memory.choose(detail) {
                    self.kernel.free(address);
                    self.memory.blocks.remove(&address);
                }
            }
            (7, _) => self.jump(thread, detail),
            _ => {}
        }
    }

    /// The program calls.
    fn call(&mut self, thread: usize, stack_pointer: u64, detail: u8) {
        const SOURCES: [u32; 4] = [
            Source::Malloc as u32,
            Source::Calloc as u32,
            REALLOC,
            Source::Memalign as u32,
        ];
        if self.threads[thread].len() >= FRAMES_MAX {
            return;
        }
        self.calls += 1;
        let source = SOURCES[usize::from(detail & 3)];
        let old = (source == REALLOC)
            .then(|| self.memory.choose(detail >> 4))
            .flatten();
        let mut call = Running {
            number: self.calls,
            source,
            size: u64::from(detail >> 2 & 3) * 8,
            old: old.unwrap_or(0),
            stack_pointer: stack_pointer - 16 - u64::from(detail >> 4 & 1) * 8,
            from_allocator: false,
            outer: self.threads[thread].len(),
            result: None,
        };
        self.memory.in_hand.extend(old);
        if self.kernel.threads[thread].current.is_pending()
            && self.kernel.threads[thread]
                .current
                .continues_as(&record(&call))
        {
            call.size += 32;
        }
        if self.kernel.threads[thread].inner_stack_pointer == call.stack_pointer {
            call.stack_pointer -= 4;
        }
        assert!(
            self.kernel.enter(thread, record(&call), false),
            "silenced: {call:?}"
        );
        self.threads[thread].push(Frame::Call(call));
    }

    /// The allocator calls itself, or goes on as another of its functions.
    fn inner(&mut self, thread: usize, by: Running, stack_pointer: u64, detail: u8) {
        let outer = self.threads[thread].get(by.outer);
        let done = matches!(outer, Some(Frame::Call(outer)) if outer.result.is_some());
        let interrupted = !self.kernel.threads[thread].current.is_pending();
        if done || interrupted || self.threads[thread].len() >= FRAMES_MAX {
            return;
        }
        let jumps = stack_pointer == by.stack_pointer;
        let lower = if jumps { 0 } else { u64::from(detail & 3) * 8 };
        let has_jump =
            by.source == Source::Memalign as u32 || (by.source == REALLOC && by.old == 0);
        if jumps && !has_jump {
            return;
        }
        let call = Running {
            source: Source::Malloc as u32,
            old: 0,
            stack_pointer: stack_pointer - lower,
            from_allocator: by.from_allocator || !jumps,
            result: None,
            ..by
        };
        self.kernel
            .enter(thread, record(&call), call.from_allocator);
        self.threads[thread].push(Frame::Call(call));
    }

    /// What the call is for happens: another thread may have the old address now.
    fn perform(&mut self, thread: usize, outer: usize, fails: bool) {
        if let Some(Frame::Call(call)) = self.threads[thread].get_mut(outer)
            && call.result.is_none()
        {
            self.memory.perform(call, fails);
        }
    }

    fn give_back(&mut self, thread: usize, call: Running) {
        self.perform(thread, call.outer, false);
        let Some(Frame::Call(outer)) = self.threads[thread].get(call.outer).copied() else {
            return;
        };
        let result = outer.result.unwrap_or(0);
        self.threads[thread].pop();
        self.kernel.leave(
            thread,
            function(call.source),
            call.stack_pointer + 8,
            result,
        );
        if self.threads[thread].len() == call.outer {
            // The program has it now, and after a failure the old one again.
            self.memory.in_hand.remove(&result);
            self.memory.in_hand.remove(&outer.old);
        }
    }

    /// A handler runs, on this stack or on an alternate one.
    fn signal(&mut self, thread: usize, top: Frame, detail: u8) {
        let (Frame::Code { stack_pointer } | Frame::Call(Running { stack_pointer, .. })) = top;
        let frames = &mut self.threads[thread];
        if frames.len() >= FRAMES_MAX {
            return;
        }
        let handlers = frames
            .iter()
            .filter(|frame| matches!(frame, Frame::Code { .. }))
            .count();
        self.disturbed |= handlers > 1;
        let stack_pointer = match detail & 3 {
            0 if handlers == 1 => stack_pointer + 0x1_0000,
            1 if handlers == 1 => stack_pointer - 0x1_0000,
            _ => stack_pointer - 256,
        };
        frames.push(Frame::Code { stack_pointer });
    }

    /// `longjmp`: to one of the codes that stand below.
    fn jump(&mut self, thread: usize, detail: u8) {
        let codes = self.threads[thread].iter().enumerate();
        let codes: Vec<usize> = codes
            .filter(|(_, frame)| matches!(frame, Frame::Code { .. }))
            .map(|(at, _)| at)
            .collect();
        let to = codes[usize::from(detail) % codes.len()];
        for frame in self.threads[thread].drain(to + 1..) {
            if let Frame::Call(call) = frame {
                self.memory.in_hand.remove(&call.old);
                self.disturbed = true;
            }
        }
    }

    fn check(&self) {
        let kernel = &self.kernel;
        for (address, block) in &kernel.ledger {
            let held = Held {
                size: block.size,
                number: block.site as u32,
            };
            assert_eq!(
                self.memory.blocks.get(address),
                Some(&held),
                "a block that is not there"
            );
        }
        let taken = kernel.pending().filter(|call| call.has_taken()).count();
        let live = (kernel.ledger.len() + taken) as u64;
        assert_eq!(kernel.allocated - kernel.freed, live);
        assert_eq!(kernel.unseen_frees, 0);
        let lacking = (self.memory.blocks.len() - kernel.ledger.len()) as u64;
        assert!(
            lacking <= kernel.missed_returns + kernel.pending().count() as u64,
            "unaccounted"
        );
    }

    /// Everything that is pending returns.
    fn finish(&mut self) {
        for thread in 0..2 {
            while let Some(Frame::Call(_)) | Some(Frame::Code { .. }) = self.threads[thread].get(1)
            {
                self.step(8 + thread as u8, 0);
                self.check();
            }
        }
        if !self.disturbed {
            assert_eq!(self.kernel.ledger.len(), self.memory.blocks.len());
            assert_eq!(self.kernel.missed_returns, 0);
        }
    }
}

/// The arguments are read by the model, not by their shape.
fn function(source: u32) -> Function {
    Function::from_cookie(u64::from(source))
}

/// The call as a probe sees it; `space` carries its number.
fn record(call: &Running) -> Call {
    Call {
        function: function(call.source),
        space: call.number,
        stack_pointer: call.stack_pointer,
        size: call.size,
        pointer: call.old,
        ..Call::default()
    }
}
