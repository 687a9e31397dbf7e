//! What a Rust program does with its allocator, and its own count of it.

use std::{
    alloc::{GlobalAlloc, Layout},
    collections::BTreeMap,
    io::{BufRead as _, Write as _, stdin, stdout},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

static ALLOCATED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
static FREED: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

fn count(which: &[AtomicU64; 2], size: usize) {
    which[0].fetch_add(1, Relaxed);
    which[1].fetch_add(size as u64, Relaxed);
}

/// An allocator, its calls counted.
pub struct Counted<A>(pub A);

unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATED, layout.size());
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(&ALLOCATED, layout.size());
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(&FREED, layout.size());
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(&FREED, layout.size());
        count(&ALLOCATED, size);
        unsafe { self.0.realloc(block, layout, size) }
    }
}

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Line(#[allow(dead_code, reason = "only its room matters")] u64);

/// Works between two barriers, and tells its count.
pub fn run() {
    // What the standard library allocates for both happens before the trace.
    let mut line = String::with_capacity(100);
    let mut input = stdin().lock();
    println!("{{\"event\":\"ready\"}}");
    let before = [&ALLOCATED, &FREED].map(|which| which.each_ref().map(|it| it.load(Relaxed)));
    input.read_line(&mut line).unwrap();

    let texts: Vec<String> = (0..5000).map(|number: u32| number.to_string()).collect();
    let lines: Vec<Vec<Line>> = (0..200)
        .map(|size| vec![Line(size); size as usize])
        .collect();
    let zeroes: Vec<Vec<u8>> = (0..100).map(|size| vec![0; size * 1000]).collect();
    let sorted: BTreeMap<&str, usize> = texts
        .iter()
        .map(|text| (text.as_str(), text.len()))
        .collect();
    let mut grown = Vec::new();
    for number in 0..100_000_u64 {
        grown.push(Line(number));
    }
    drop(zeroes);
    std::hint::black_box((&lines, &sorted, &grown));

    let [allocated, freed] = [(&ALLOCATED, before[0]), (&FREED, before[1])]
        .map(|(which, before)| [0, 1].map(|index| which[index].load(Relaxed) - before[index]));
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
