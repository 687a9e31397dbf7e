//! Unwinding by frame pointers over a stack that the target wrote.

use tracer_common::{FRAMES_MAX, unwind::walk_frame_pointers};

/// Where the bytes stand in memory.
const BASE: u64 = 0x7ffd_0000_0000;

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let stack = |frames: u64| {
        let frame = |number| [BASE + (number + 1) * 16, 0x40_0000 + number];
        (0..frames)
            .flat_map(frame)
            .chain([0, 0])
            .flat_map(u64::to_le_bytes)
            .collect()
    };
    Ok(vec![stack(5), stack(126), stack(127), stack(300)])
}

pub fn run(bytes: &[u8]) {
    let word = |at: u64| {
        let at = usize::try_from(at.checked_sub(BASE)?).ok()?;
        let word = bytes.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    };
    let mut read_at = Vec::new();
    let mut frames = [0; FRAMES_MAX];
    let walk = walk_frame_pointers(1, BASE, &mut frames, |at, next, code| {
        read_at.push(at);
        let words = word(at).zip(at.checked_add(8).and_then(word));
        words.map(|found| (*next, *code) = found).is_some()
    });
    assert!((1..=FRAMES_MAX).contains(&walk.frames));
    assert!(!walk.truncated || walk.frames == FRAMES_MAX);
    assert!(read_at.is_sorted_by(|one, other| one < other), "a loop");
    // Each frame is what stands above the frame pointer that was read for it.
    for (frame, at) in frames[1..walk.frames].iter().zip(&read_at) {
        assert_eq!(Some(*frame), word(at + 8));
    }
    assert!(frames[walk.frames..].iter().all(|frame| *frame == 0));
}
