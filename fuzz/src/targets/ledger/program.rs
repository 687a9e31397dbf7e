//! A program of two threads that allocate, reallocate and free each other's
//! blocks, are interrupted by signals and leave calls by `longjmp`; and what
//! it truly has.

use std::collections::{BTreeMap, BTreeSet};

/// What a thread is doing, outermost first.
#[derive(Clone, Copy, Debug)]
pub enum Frame {
    /// The program's own code, or that of a signal handler.
    Code { stack_pointer: u64 },
    /// A call of an allocating function.
    Call(Running),
}

/// A call of an allocating function, as it truly goes.
#[derive(Clone, Copy, Debug)]
pub struct Running {
    /// Unique, from 1.
    pub number: u32,
    pub source: u32,
    pub size: u64,
    /// realloc: the block it was given, or 0.
    pub old: u64,
    pub stack_pointer: u64,
    /// The return address lies in the allocator. A jump keeps it.
    pub from_allocator: bool,
    /// The program's call that this one is part of, by its place in the frames;
    /// itself if the program made it.
    pub outer: usize,
    /// The result, once what it does is done.
    pub result: Option<u64>,
}

/// A block that the program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub size: u64,
    /// The number of the call that it came from.
    pub number: u32,
}

/// The program's memory.
#[derive(Default)]
pub struct Memory {
    pub blocks: BTreeMap<u64, Held>,
    /// Blocks given to a realloc that is not done.
    pub in_realloc: BTreeSet<u64>,
    /// Blocks whose call has not returned: nobody knows their addresses yet.
    pub unreturned: BTreeSet<u64>,
}

impl Memory {
    /// Does what the call does; its result. Addresses are used again at once.
    pub fn perform(&mut self, call: &Running, fails: bool) -> u64 {
        self.in_realloc.remove(&call.old);
        if call.old != 0 && call.size == 0 {
            self.blocks.remove(&call.old);
            return 0;
        }
        if fails {
            return 0;
        }
        self.blocks.remove(&call.old);
        let address = (1..)
            .map(|number| number * 16)
            .find(|address| !self.blocks.contains_key(address));
        let address = address.unwrap_or_default();
        let held = Held {
            size: call.size,
            number: call.number,
        };
        self.blocks.insert(address, held);
        self.unreturned.insert(address);
        address
    }

    /// One of the blocks that no call has in hand.
    pub fn choose(&self, choice: u8) -> Option<u64> {
        let free_to_use = || {
            self.blocks.keys().filter(|address| {
                !self.in_realloc.contains(address) && !self.unreturned.contains(address)
            })
        };
        let count = free_to_use().count();
        free_to_use()
            .nth(usize::from(choice) % count.max(1))
            .copied()
    }
}
