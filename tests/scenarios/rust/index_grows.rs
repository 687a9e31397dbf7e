// Why: Rust with jemalloc linked in under the names that `tikv-jemallocator` gives it: no symbol is
// called malloc, and no glibc heap can be walked. An index of postings gets a list for each word.
// Right answer: leak, of `add_posting`. Bytes: the lists' capacities; the index's own nodes,
// of the same function, are 2% more.

mod scenario;

use scenario::{LEAKED_BYTES, Random, pause_us, ready};
use std::{
    alloc::{GlobalAlloc, Layout},
    collections::BTreeMap,
    sync::atomic::Ordering::Relaxed,
};

unsafe extern "C" {
    fn _rjem_malloc(size: usize) -> *mut u8;
    fn _rjem_free(block: *mut u8);
    fn _rjem_realloc(block: *mut u8, size: usize) -> *mut u8;
}

struct Jemalloc;

// SAFETY: jemalloc's own contract; every alignment asked for here is at most 16.
unsafe impl GlobalAlloc for Jemalloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        assert!(layout.align() <= 16);
        // SAFETY: any size will do.
        unsafe { _rjem_malloc(layout.size()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: it came from `alloc`.
        unsafe { _rjem_free(block) }
    }

    unsafe fn realloc(&self, block: *mut u8, _layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: it came from `alloc`.
        unsafe { _rjem_realloc(block, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[inline(never)]
fn add_posting(index: &mut BTreeMap<usize, Vec<u64>>, word: usize, length: usize) {
    let list: Vec<u64> = vec![word as u64 | 1; length];
    LEAKED_BYTES.fetch_add(list.capacity() as u64 * 8, Relaxed);
    index.insert(word, list);
}

#[inline(never)]
fn search(index: &BTreeMap<usize, Vec<u64>>, word: usize) -> Vec<u64> {
    index.range(..word).next_back().map_or(vec![], |(_, list)| list.clone())
}

fn main() {
    let mut random = Random::seeded();
    let mut index = BTreeMap::new();
    ready();
    for word in 0.. {
        add_posting(&mut index, word, random.between(100, 600));
        let found = search(&index, random.between(0, word));
        std::hint::black_box(found);
        pause_us(600);
    }
}
