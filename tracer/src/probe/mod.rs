//! What touches the kernel and the traced process: where probes go and how.
//!
//! Meaning (what a site or a leak is) does not live here.

pub mod placement;
