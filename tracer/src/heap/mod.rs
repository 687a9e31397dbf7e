//! glibc's heap, walked from outside: which chunks are in use, which are free,
//! and which pages that leaves resident for nothing.
//!
//! Pure over a [`Memory`]: nothing here reads a process. What is read is the
//! target's to forge, so every size, link and count is checked and every loop has
//! a bound; a heap that contradicts itself is told as such (see [`crate::model::heap::Quality`]).
//!
//! Facts and their sources: docs/heap.md.

mod arena;
pub mod image;
mod layout;
mod lists;
mod mapped;
pub mod maps;
pub mod memory;
mod occupancy;
mod pages;
mod region;
mod resync;
mod sum;
mod sweep;
mod walk;
mod whole;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

pub use layout::{Layout, UnknownVersion, Version};
pub use maps::{Kind, Mapping, Mappings};
pub use memory::{Lost, Memory, PageState};
pub use whole::{WalkError, walk, walk_and_tell_pages};
