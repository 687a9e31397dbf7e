//! The ledger as `tracer-ebpf` keeps it (`heap.rs`, `ledger.rs`), step by step,
//! over the shared [`ThreadCalls`] and a hash map in place of the kernel's.

use std::collections::HashMap;

use tracer_common::{
    call::{Call, Return, ThreadCalls},
    function::Function,
    ledger::Block,
    site::{Site, SiteIdentity},
    unwind::{WINDOW_WORDS, Walk},
};

/// What the programs keep in their maps.
pub struct Kernel {
    pub ledger: HashMap<u64, Block>,
    pub threads: [ThreadCalls; 2],
    /// Blocks.
    pub allocated: u64,
    pub freed: u64,
    /// Calls.
    pub missed_returns: u64,
    pub unseen_frees: u64,
}

impl Kernel {
    pub fn new() -> Self {
        Self {
            ledger: HashMap::new(),
            threads: [idle(); 2],
            allocated: 0,
            freed: 0,
            missed_returns: 0,
            unseen_frees: 0,
        }
    }

    /// The entry of an allocating function; false if it is part of a pending call.
    pub fn enter(&mut self, thread: usize, mut call: Call, from_allocator: bool) -> bool {
        let calls = &mut self.threads[thread];
        if calls.is_inner(&call, || from_allocator) {
            return false;
        }
        let displaced = calls.begin_displaces().then_some(calls.suspended);
        if let Some(taken) = self.ledger.remove(&call.pointer) {
            call.taken = taken;
        }
        calls.begin(&call);
        if let Some(displaced) = displaced {
            self.missed_returns += 1;
            self.freed += u64::from(displaced.has_taken());
        }
        true
    }

    /// Its return. The number of the call is the block's site.
    pub fn leave(&mut self, thread: usize, function: Function, stack_pointer: u64, result: u64) {
        let calls = &mut self.threads[thread];
        let call = match calls.ended_by(function, stack_pointer) {
            Return::Unknown => return,
            Return::Current => calls.current.end(),
            Return::Suspended => calls.suspended.end(),
        };
        if call.has_taken() {
            if result == 0 && call.size != 0 {
                self.unseen_frees +=
                    u64::from(self.ledger.insert(call.pointer, call.taken).is_some());
            } else {
                self.freed += 1;
            }
        }
        if result != 0 {
            let block = Block {
                size: call.size,
                site: u64::from(call.space),
                ..Block::default()
            };
            self.allocated += 1;
            if self.ledger.insert(result, block).is_some() {
                self.unseen_frees += 1;
                self.freed += 1;
            }
        }
    }

    pub fn free(&mut self, address: u64) {
        self.freed += u64::from(self.ledger.remove(&address).is_some());
    }

    /// Records of calls whose return has not been seen.
    pub fn pending(&self) -> impl Iterator<Item = &Call> {
        self.threads
            .iter()
            .flat_map(|calls| [&calls.current, &calls.suspended])
            .filter(|call| call.is_pending())
    }
}

fn idle() -> ThreadCalls {
    ThreadCalls {
        current: Call::default(),
        suspended: Call::default(),
        inner_stack_pointer: 0,
        handed_on: 0,
        large_object: 0,
        scratch: Site {
            allocated_blocks: 0,
            allocated_bytes: 0,
            freed_blocks: 0,
            freed_bytes: 0,
            identity: SiteIdentity::default(),
            frames: [0; tracer_common::FRAMES_MAX],
        },
        walk: Walk::default(),
        window: [0; WINDOW_WORDS],
    }
}
