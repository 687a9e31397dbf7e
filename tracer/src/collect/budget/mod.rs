//! A trace under an absolute budget: slices of time in which allocations are recorded,
//! and frees watched for as long as they can be.

mod account;
mod phase;
mod plan;
mod probes;
mod turn;

pub(super) use account::Unresolved;
pub(super) use probes::{AllocatorProbes, Wanted};
pub(super) use turn::Slices;
