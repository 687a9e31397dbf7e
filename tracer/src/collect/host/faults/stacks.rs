//! The stacks of samples, and their frames once somebody asks for them.

use std::{collections::HashMap, time::Instant};

use super::{
    processes::{Process, Processes},
    samples::{Program, Sample},
};
use crate::{
    collect::{
        javascript::Javascript,
        names::{Located, Names, places},
    },
    model::Frame,
    symbolize::FileWorker,
};

/// The file worker may hold so much while names are looked up; what it read goes with it.
const WORKER_BYTES: u64 = 64 << 20;
/// Stacks that are kept, of 1 KiB and their frames.
const STACKS_MAX: usize = 4096;
/// Names that are kept until all are forgotten: a busy host has some thousand.
const NAMED_MAX: usize = 16_384;

struct Stack {
    program: Program,
    space: u32,
    words: Vec<u64>,
    frames: Vec<Frame>,
    is_named: bool,
    /// The round of samples it was last seen in.
    seen: u64,
}

/// By key.
#[derive(Default)]
pub struct Stacks {
    known: HashMap<u64, Stack>,
    names: Names,
    named: usize,
    /// Stacks that were forgotten, to make room for others.
    pub evicted: u64,
}

impl Stacks {
    /// Keeps the stack of a sample.
    pub fn keep(&mut self, key: u64, sample: &Sample, turn: u64) {
        let stack = self.known.entry(key).or_insert_with(|| Stack {
            program: sample.program,
            space: sample.space,
            words: sample.stack.clone(),
            frames: Vec::new(),
            is_named: false,
            seen: turn,
        });
        stack.seen = turn;
    }

    /// Forgets those not seen for the longest time, down to three quarters of what may
    /// be kept. Those of this round stay.
    pub fn make_room(&mut self, turn: u64) {
        if self.known.len() <= STACKS_MAX {
            return;
        }
        let mut seen: Vec<u64> = self.known.values().map(|stack| stack.seen).collect();
        seen.sort_unstable();
        let excess = seen.len().saturating_sub(STACKS_MAX / 4 * 3);
        let until = seen.get(excess).copied().unwrap_or(0).min(turn);
        let before = self.known.len();
        self.known.retain(|_, stack| stack.seen >= until);
        self.evicted += (before - self.known.len()) as u64;
    }

    /// The frames of a stack, innermost first; `None`: it is not known (any more). Names
    /// are looked up `until` then.
    pub fn frames(
        &mut self,
        key: u64,
        processes: &mut Processes,
        javascript: &Javascript,
        worker: &mut FileWorker,
        until: Option<Instant>,
    ) -> Option<&[Frame]> {
        let stack = self.known.get_mut(&key)?;
        if stack.is_named {
            return Some(&stack.frames);
        }
        let names = &mut self.names;
        stack.is_named = until.is_none_or(|until| Instant::now() < until);
        stack.frames = match processes.look(stack.program) {
            None => unknown(stack),
            Some(process) => {
                let places = places_of(stack, process, javascript);
                if stack.is_named {
                    if self.named > NAMED_MAX {
                        *names = Names::default();
                        self.named = 0;
                    }
                    self.named += stack.words.len();
                    let (pid, perf_map) = (stack.program.pid, process.perf_map.as_ref());
                    names.look_up(places.iter(), Some(pid), perf_map, worker);
                    worker.rest_above(WORKER_BYTES);
                }
                names.frames(&places)
            }
        };
        if stack.frames.is_empty() {
            stack.frames = unknown(stack);
        }
        Some(&stack.frames)
    }

    /// What could not be named, and why.
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        self.names.notes.iter()
    }
}

fn places_of(stack: &Stack, process: &Process, javascript: &Javascript) -> Vec<Located> {
    let mappings = &process.mappings;
    // Looks are two apart (`Mappings::refresh`).
    let newest = mappings.changes().saturating_sub(1) as u64 * 2;
    places(stack.space, mappings, javascript, newest, &stack.words).0
}

/// Of a process that had gone before anyone looked what is mapped in it: where its
/// code stood is all that is known.
fn unknown(stack: &Stack) -> Vec<Frame> {
    let first = stack.words.first().copied().unwrap_or(0);
    vec![Frame {
        module: "[gone]".to_owned(),
        offset: tracer_common::unwind::frame::address(first),
        approximate: true,
        ..Frame::default()
    }]
}
