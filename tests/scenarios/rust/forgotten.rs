// Why: safe Rust leaks too: what is forgotten (`mem::forget`) or kept in a static is never
// dropped. The names in the stacks are Rust's, mangled.
// Right answer: leak, of `keep_connection`.

mod scenario;

use scenario::{LEAKED_BYTES, Random, pause_us, ready};
use std::sync::atomic::Ordering::Relaxed;

struct Connection {
    buffer: Vec<u8>,
}

#[inline(never)]
fn keep_connection(size: usize) {
    let connection = Box::new(Connection { buffer: vec![7; size] });
    LEAKED_BYTES.fetch_add((size_of::<Connection>() + connection.buffer.capacity()) as u64, Relaxed);
    // Or it would not be allocated at all.
    std::mem::forget(std::hint::black_box(connection));
}

#[inline(never)]
fn answer(size: usize) -> usize {
    let parts: Vec<String> = (0..2).map(|part| "x".repeat(size + part)).collect();
    parts.join(",").len()
}

fn main() {
    let mut random = Random::seeded();
    ready();
    let mut sum = 0;
    loop {
        keep_connection(random.between(1000, 7000));
        sum += answer(random.between(100, 2000));
        std::hint::black_box(sum);
        pause_us(1000);
    }
}
