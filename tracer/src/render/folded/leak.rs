//! Stacks of what outlives a window and keeps growing.

use super::{push, root, stack};
use crate::{
    analyze::leak_weight::{Origin, Weights},
    model::Report,
    render::names,
};

/// Stack, weight and origin, the most first.
pub fn leak_stacks(report: &Report, weights: &Weights<'_>) -> Vec<(String, u64, Origin)> {
    let of = weights.sites.iter().map(|it| {
        let line = match it.frames {
            Some(frames) => stack(report, it.process, frames, it.source),
            None => {
                let mut line = root(&names::process_of(report, it.process));
                push(&mut line, without_stack(it.origin));
                line
            }
        };
        (line, it.bytes, it.origin)
    });
    of.collect()
}

const fn without_stack(origin: Origin) -> &'static str {
    match origin {
        Origin::Malloc => "[blocks without a stack]",
        Origin::Mapped => "[memory that rose, mapped by nobody who was seen]",
        Origin::JsHeap => "[JS heap that rose, without a script on the stack]",
        Origin::Sockets => "[socket queues that rose, without a stack]",
    }
}
