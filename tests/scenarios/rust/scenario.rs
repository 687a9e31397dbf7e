// What the scenarios in Rust share: a seed, a barrier, and telling their truth; see c/scenario.h.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, Write as _},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

/// What is never to be freed.
pub static LEAKED_BYTES: AtomicU64 = AtomicU64::new(0);

/// A seeded generator (xorshift64, G. Marsaglia 2003).
pub struct Random(u64);

impl Random {
    /// From `SCENARIO_SEED`.
    pub fn seeded() -> Self {
        let seed = std::env::var("SCENARIO_SEED").ok();
        let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
        Self(seed.wrapping_mul(2_654_435_761) + 88_172_645_463_325_252)
    }

    pub fn between(&mut self, least: usize, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        least + (self.0 >> 11) as usize % (most - least + 1)
    }
}

/// The program's own pace: an eighth of it work, as in c/scenario.h.
pub fn pause_us(microseconds: u64) {
    let end = now_ns() + microseconds * 125;
    while now_ns() < end {}
    thread::sleep(Duration::from_micros(microseconds));
}

fn now_ns() -> u64 {
    #[repr(C)]
    struct Time(i64, i64);
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut Time) -> i32;
    }
    const CLOCK_MONOTONIC: i32 = 1;
    let mut time = Time(0, 0);
    // SAFETY: the kernel writes one such structure.
    unsafe { clock_gettime(CLOCK_MONOTONIC, &raw mut time) };
    time.0 as u64 * 1_000_000_000 + time.1 as u64
}

fn write_truth(mut file: &File) {
    let line = format!(
        "{{\"ns\":{},\"pid\":{},\"leaked_bytes\":{}}}\n",
        now_ns(),
        std::process::id(),
        LEAKED_BYTES.load(Relaxed)
    );
    file.write_all(line.as_bytes()).expect("the file takes it");
}

/// From here on the truth is told; the end of standard input ends the program.
pub fn ready() {
    let path = std::env::var("SCENARIO_TRUTH").unwrap_or("/dev/stdout".to_owned());
    let file = OpenOptions::new().append(true).create(true).open(path);
    let file = file.expect("the file of the truth");
    thread::spawn(|| {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() {
                break;
            }
        }
        std::process::exit(0);
    });
    thread::spawn(move || {
        loop {
            write_truth(&file);
            pause_us(50_000);
        }
    });
}
