//! A Rust program whose allocator is the mimalloc of the `mimalloc` crate.

#![allow(
    clippy::undocumented_unsafe_blocks,
    clippy::unwrap_used,
    missing_docs,
    reason = "a program to be traced; it hands calls on as they come"
)]

mod rust_work;

#[global_allocator]
static GLOBAL: rust_work::Counted<mimalloc::MiMalloc> = rust_work::Counted(mimalloc::MiMalloc);

fn main() {
    rust_work::run();
}
