// Why: threads that pass owned buffers through bounded channels: allocated here, freed there,
// never more than the channels hold.
// Right answer: healthy.

mod scenario;

use scenario::{Random, pause_us, ready};
use std::{sync::mpsc::sync_channel, thread};

#[inline(never)]
fn encode(size: usize) -> Vec<u8> {
    vec![3; size]
}

fn main() {
    let mut random = Random::seeded();
    ready();
    let (sender, receiver) = sync_channel::<Vec<u8>>(200);
    let (out, last) = sync_channel::<Vec<u8>>(200);
    thread::spawn(move || {
        for message in receiver {
            let packed = message.iter().step_by(2).copied().collect();
            if out.send(packed).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for message in last {
            std::hint::black_box(message.len());
        }
    });
    loop {
        if sender.send(encode(random.between(500, 60_000))).is_err() {
            break;
        }
        pause_us(500);
    }
}
