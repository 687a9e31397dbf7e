//! A Rust program whose allocator is a jemalloc linked into it, under the names
//! that the `tikv-jemallocator` crate gives it, called as that crate calls it.

use std::{
    alloc::{GlobalAlloc, Layout},
    ffi::{c_int, c_void},
};

mod rust_work;

unsafe extern "C" {
    fn _rjem_malloc(size: usize) -> *mut c_void;
    fn _rjem_calloc(count: usize, size: usize) -> *mut c_void;
    fn _rjem_mallocx(size: usize, flags: c_int) -> *mut c_void;
    fn _rjem_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn _rjem_rallocx(old: *mut c_void, size: usize, flags: c_int) -> *mut c_void;
    fn _rjem_sdallocx(block: *mut c_void, size: usize, flags: c_int);
}

struct Jemalloc;

/// No flags up to the usual alignment.
fn flags(layout: Layout) -> c_int {
    match layout.align() {
        ..=16 => 0,
        align => align.trailing_zeros() as c_int,
    }
}

unsafe impl GlobalAlloc for Jemalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe {
            match flags(layout) {
                0 => _rjem_malloc(layout.size()).cast(),
                flags => _rjem_mallocx(layout.size(), flags).cast(),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe {
            match flags(layout) {
                0 => _rjem_calloc(1, layout.size()).cast(),
                // MALLOCX_ZERO
                flags => _rjem_mallocx(layout.size(), flags | 0x40).cast(),
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { _rjem_sdallocx(block.cast(), layout.size(), flags(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe {
            match flags(layout) {
                0 => _rjem_realloc(block.cast(), size).cast(),
                flags => _rjem_rallocx(block.cast(), size, flags).cast(),
            }
        }
    }
}

#[global_allocator]
static GLOBAL: rust_work::Counted<Jemalloc> = rust_work::Counted(Jemalloc);

fn main() {
    rust_work::run();
}
