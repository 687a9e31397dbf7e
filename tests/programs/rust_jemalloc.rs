//! A Rust program whose allocator is a jemalloc linked into it, under the names
//! that the `tikv-jemallocator` crate gives it, called as that crate calls it.

use std::{
    alloc::{GlobalAlloc, Layout},
    ffi::{c_int, c_void},
    io::{BufRead as _, Write as _, stdin, stdout},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

unsafe extern "C" {
    fn _rjem_malloc(size: usize) -> *mut c_void;
    fn _rjem_calloc(count: usize, size: usize) -> *mut c_void;
    fn _rjem_mallocx(size: usize, flags: c_int) -> *mut c_void;
    fn _rjem_realloc(old: *mut c_void, size: usize) -> *mut c_void;
    fn _rjem_rallocx(old: *mut c_void, size: usize, flags: c_int) -> *mut c_void;
    fn _rjem_sdallocx(block: *mut c_void, size: usize, flags: c_int);
}

static ALLOCATED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
static FREED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

fn count(which: &[AtomicU64; 2], size: usize) {
    which[0].fetch_add(1, Relaxed);
    which[1].fetch_add(size as u64, Relaxed);
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
        count(&ALLOCATED, layout.size());
        unsafe {
            match flags(layout) {
                0 => _rjem_malloc(layout.size()).cast(),
                flags => _rjem_mallocx(layout.size(), flags).cast(),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATED, layout.size());
        unsafe {
            match flags(layout) {
                0 => _rjem_calloc(1, layout.size()).cast(),
                // MALLOCX_ZERO
                flags => _rjem_mallocx(layout.size(), flags | 0x40).cast(),
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(&FREED, layout.size());
        unsafe { _rjem_sdallocx(block.cast(), layout.size(), flags(layout)) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(&FREED, layout.size());
        count(&ALLOCATED, size);
        unsafe {
            match flags(layout) {
                0 => _rjem_realloc(block.cast(), size).cast(),
                flags => _rjem_rallocx(block.cast(), size, flags).cast(),
            }
        }
    }
}

#[global_allocator]
static GLOBAL: Jemalloc = Jemalloc;

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(#[allow(dead_code)] u64);

fn main() {
    // What the standard library allocates for both happens before the trace.
    let mut line = String::with_capacity(100);
    let mut input = stdin().lock();
    println!("{{\"event\":\"ready\"}}");
    let before = [&ALLOCATED, &FREED].map(|which| which.each_ref().map(|it| it.load(Relaxed)));
    input.read_line(&mut line).unwrap();

    let texts: Vec<String> = (0..5000).map(|number: u32| number.to_string()).collect();
    let lines: Vec<Vec<Line>> = (0..200).map(|size| vec![Line(size); size as usize]).collect();
    let zeroes: Vec<Vec<u8>> = (0..100).map(|size| vec![0; size * 1000]).collect();
    let sorted: std::collections::BTreeMap<&str, usize> =
        texts.iter().map(|text| (text.as_str(), text.len())).collect();
    let mut grown = Vec::new();
    for number in 0..100_000_u64 {
        grown.push(Line(number));
    }
    drop(zeroes);
    std::hint::black_box((&lines, &sorted, &grown));

    let [allocated, freed] =
        [(&ALLOCATED, before[0]), (&FREED, before[1])].map(|(which, before)| {
            [0, 1].map(|index| which[index].load(Relaxed) - before[index])
        });
    println!(
        "{{\"site\":\"all\",\"allocated_blocks\":{},\"allocated_bytes\":{},\"freed_blocks\":{},\"freed_bytes\":{}}}",
        allocated[0], allocated[1], freed[0], freed[1]
    );
    println!("{{\"event\":\"truth\"}}");
    stdout().flush().unwrap();
    line.clear();
    input.read_line(&mut line).unwrap();
    // Nothing is given back that was not counted.
    std::process::exit(0);
}
