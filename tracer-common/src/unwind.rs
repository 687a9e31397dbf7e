//! Unwinding a user stack by its frame pointers: pure, over a memory reader.
//!
//! Each frame of code that keeps the frame pointer starts with the caller's
//! frame pointer and, above it, the return address (System V x86-64 ABI,
//! figure 3.3). Code that does not keep it is skipped or ends the walk:
//! frames found this way are approximate unless all code keeps it.

use crate::FRAMES_MAX;

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// How many frames were written.
    pub frames: usize,
    /// The stack went on after [`FRAMES_MAX`] frames.
    pub truncated: bool,
}

/// Walks from a frame whose code address and frame pointer are known, writing
/// code addresses innermost first. `read` writes the two words at an address
/// and says whether it could. (No `Option`: the verifier does not follow what
/// the compiler makes of one. No array: for BPF the compiler clears one byte
/// by byte.)
#[inline(always)]
pub fn walk_frame_pointers(
    code: u64,
    frame_pointer: u64,
    frames: &mut [u64; FRAMES_MAX],
    mut read: impl FnMut(u64, &mut u64, &mut u64) -> bool,
) -> Walk {
    frames[0] = code;
    let mut frame_pointer = frame_pointer;
    for (index, frame) in frames.iter_mut().enumerate().skip(1) {
        let (mut next, mut return_address) = (0, 0);
        let readable = read(frame_pointer, &mut next, &mut return_address);
        if !readable || return_address == 0 {
            return Walk {
                frames: index,
                truncated: false,
            };
        }
        *frame = return_address;
        if !is_caller_of(next, frame_pointer) {
            return Walk {
                frames: index + 1,
                truncated: false,
            };
        }
        frame_pointer = next;
    }
    let (mut next, mut return_address) = (0, 0);
    let truncated = read(frame_pointer, &mut next, &mut return_address) && return_address != 0;
    Walk {
        frames: FRAMES_MAX,
        truncated,
    }
}

/// Whether `next` can be the frame pointer of the caller of the frame at
/// `frame_pointer`. Stacks grow down, and frames are aligned. At the root (0
/// or 1) and in garbage this saves a read that faults, which costs as much as
/// ten that do not.
///
/// The difference is compared, not the two: from a comparison the verifier
/// learns that each frame pointer is larger than so many before it, takes no
/// two turns of the walk for the same, and gives up (Linux 6.12).
#[inline(always)]
const fn is_caller_of(next: u64, frame_pointer: u64) -> bool {
    const FARTHEST: u64 = 1 << 47;
    next.wrapping_sub(frame_pointer).wrapping_sub(1) < FARTHEST && next.is_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    /// A stack of `depth` frames at 64-byte steps, ended by a zero.
    fn stack(depth: u64) -> HashMap<u64, [u64; 2]> {
        let mut memory: HashMap<u64, [u64; 2]> = (0..depth)
            .map(|frame| {
                (
                    0x1000 + frame * 64,
                    [0x1000 + (frame + 1) * 64, 0x40_0000 + frame],
                )
            })
            .collect();
        memory.insert(0x1000 + depth * 64, [0, 0]);
        memory
    }

    fn walk(memory: &HashMap<u64, [u64; 2]>) -> (Walk, [u64; FRAMES_MAX]) {
        let mut frames = [0; FRAMES_MAX];
        let read = |at: u64, next: &mut u64, code: &mut u64| {
            memory
                .get(&at)
                .map(|found| [*next, *code] = *found)
                .is_some()
        };
        let walk = walk_frame_pointers(0x30_0000, 0x1000, &mut frames, read);
        (walk, frames)
    }

    /// Every frame of a well-formed stack is found, in order, and no more.
    #[test]
    fn walks_to_the_root() {
        let (walk, frames) = walk(&stack(5));
        assert_eq!((walk.frames, walk.truncated), (6, false));
        assert_eq!(
            frames[..6],
            [
                0x30_0000, 0x40_0000, 0x40_0001, 0x40_0002, 0x40_0003, 0x40_0004
            ]
        );
    }

    /// A stack of exactly the most frames is whole; one more is marked as cut.
    #[test]
    fn tells_a_cut_stack() {
        assert!(!walk(&stack(126)).0.truncated);
        assert_eq!(walk(&stack(126)).0.frames, FRAMES_MAX);
        assert!(walk(&stack(127)).0.truncated);
    }

    proptest! {
        /// Hostile memory (loops, garbage) ends the walk within its bound, the
        /// same way each time.
        #[test]
        fn hostile_memory_ends(words in proptest::collection::vec((0u64..64, any::<u64>()), 1..64)) {
            let read = |at: u64, next: &mut u64, code: &mut u64| {
                words.get((at % 64) as usize).map(|found| (*next, *code) = *found).is_some()
            };
            let mut first = [0; FRAMES_MAX];
            let mut second = [0; FRAMES_MAX];
            let one = walk_frame_pointers(1, 0, &mut first, read);
            let two = walk_frame_pointers(1, 0, &mut second, read);
            prop_assert!(one.frames >= 1 && one.frames <= FRAMES_MAX);
            prop_assert_eq!((one, first), (two, second));
        }
    }
}
