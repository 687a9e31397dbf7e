//! Sampled page faults: what the kernel side tells of one, and what it keeps of a CPU.
//!
//! The kernel counts faults by itself and runs the program on each
//! [`PERIOD`]th of a CPU. Where these come faster than [`FaultCpu::is_due`]
//! allows, one in so many is taken, by chance. Whichever is taken stands for
//! all faults of its CPU since the one before it, so that the weights add up
//! to what the kernel has counted, however many were passed over.

use crate::FRAMES_MAX;

/// The program runs on each so manieth minor fault of a CPU. A prime: programs that
/// touch pages by turns at two or at eight places are seen at all of them.
pub const PERIOD: u64 = 61;
/// The limit on samples is one on those of a window, which is 2 to the power of this, ns:
/// about a quarter of a second, so that a burst is soon met.
const WINDOW_SHIFT: u32 = 28;
/// How many windows a second has.
pub const WINDOWS: u32 = 4;
/// Most often one sample in 2 to the power of this is taken.
const SHIFT_MAX: u32 = 20;

/// One sampled fault: an element of the ring buffer, cut behind its last frame. It is
/// made where a [`crate::site::Site`] is made otherwise, with its frames at their place.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct FaultSample {
    /// What was touched.
    pub address: u64,
    /// Faults that it stands for.
    pub faults: u64,
    /// When the process began, ns since boot.
    pub start_time: u64,
    /// Counts the programs that the process has run (`self_exec_id`).
    pub exec: u64,
    /// When it was taken, `CLOCK_MONOTONIC`, ns.
    pub time: u64,
    /// The process.
    pub tgid: u32,
    /// The number under which its unwind tables were looked up; 0: it has none, and
    /// frames were followed by their frame pointers.
    pub space: u32,
    /// How many frames are valid, at most [`FRAMES_MAX`].
    pub frames: u32,
    /// Why the stack ends where it does: [`crate::unwind::Ending`], by number; 0: none
    /// could be taken.
    pub ending: u32,
    /// Innermost first, see [`crate::unwind::frame`]. Of an instruction that faulted
    /// one byte more than its address, as if it had been called before.
    pub frames_of_stack: [u64; FRAMES_MAX],
}

/// Bytes before the frames.
pub const HEADER_BYTES: usize = core::mem::offset_of!(FaultSample, frames_of_stack);

const _: () = {
    assert!(size_of::<FaultSample>() == size_of::<crate::site::Site>());
    assert!(HEADER_BYTES == core::mem::offset_of!(crate::site::Site, frames));
};

/// A process whose code has unwind tables, by its thread group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FaultSpace {
    /// [`FaultSample::start_time`] of it.
    pub start_time: u64,
    /// [`FaultSample::exec`] of it.
    pub exec: u64,
    /// Its number.
    pub space: u64,
}

/// What is kept of one CPU. Only the program on that CPU writes it, which runs where
/// nothing preempts it (`___perf_sw_event`, kernel/events/core.c).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FaultCpu {
    /// Faults that the kernel had counted when the last sample was taken.
    pub counted: u64,
    /// Samples that were told.
    pub samples: u64,
    /// Samples that found no room in the ring buffer.
    pub lost_samples: u64,
    /// Faults that those stood for.
    pub lost_faults: u64,
    /// Samples whose process or stack could not be read.
    pub unreadable: u64,
    /// How often the program ran.
    pub runs: u64,
    /// What samples took from the program's start to its end, ns.
    pub run_ns: u64,
    /// The window that the next two are of.
    window: u64,
    /// Samples in it.
    in_window: u32,
    /// One in 2 to the power of this is taken.
    shift: u32,
}

impl FaultCpu {
    /// Whether a sample is to be taken now, at `time` (ns), with `chance` a random
    /// number. `budget` samples in a window are; each time there are as many the chance
    /// of the next is halved, and doubled again when a window has had less than half.
    #[inline(always)]
    pub fn is_due(&mut self, time: u64, budget: u32, chance: u32) -> bool {
        self.runs += 1;
        let window = time >> WINDOW_SHIFT;
        if window != self.window {
            if self.in_window < budget / 2 && self.shift > 0 {
                self.shift -= 1;
            }
            // It was quiet for a while.
            if window.wrapping_sub(self.window) > u64::from(SHIFT_MAX) {
                self.shift = 0;
            }
            self.window = window;
            self.in_window = 0;
        }
        if chance & ((1 << (self.shift & 31)) - 1) != 0 {
            return false;
        }
        self.in_window += 1;
        if self.in_window >= budget {
            self.in_window = 0;
            if self.shift < SHIFT_MAX {
                self.shift += 1;
            }
        }
        true
    }

    /// The faults that a sample stands for, when the kernel has counted so many.
    #[inline(always)]
    pub const fn weigh(&mut self, counted: u64) -> u64 {
        let faults = counted.wrapping_sub(self.counted);
        self.counted = counted;
        faults
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Faults in a row, one each so many ns; samples of each second, and all weights.
    fn faults(cpu: &mut FaultCpu, from_ns: u64, every_ns: u64, count: u64) -> ([u64; 4], u64) {
        let (mut by_second, mut weights) = ([0; 4], 0);
        let mut chance = 0x9e37_79b9_u32;
        for fault in 1..=count {
            let time = from_ns + fault * every_ns;
            chance ^= chance << 13;
            chance ^= chance >> 17;
            chance ^= chance << 5;
            if fault % PERIOD == 0 && cpu.is_due(time, 12, chance) {
                by_second[((time - from_ns) >> 30) as usize & 3] += 1;
                weights += cpu.weigh(fault);
            }
        }
        (by_second, weights)
    }

    /// Of a million faults a second some hundred are sampled in the first second, and
    /// no more than three times the budget in a later one; all but the last are told of.
    #[test]
    fn a_flood_is_bounded() {
        let mut cpu = FaultCpu::default();
        let (by_second, weights) = faults(&mut cpu, 1 << 40, 1_000, 4 << 20);
        assert!((60..=250).contains(&by_second[0]), "{by_second:?}");
        assert!(
            by_second[1..].iter().all(|it| (20..=144).contains(it)),
            "{by_second:?}"
        );
        assert!(weights > (4 << 20) / 100 * 95, "{weights}");
    }

    /// After a flood it does not stay blind: quiet for a while, and each run is a sample.
    #[test]
    fn sees_all_again_when_it_is_quiet() {
        let mut cpu = FaultCpu::default();
        faults(&mut cpu, 1 << 40, 1_000, 1 << 20);
        let later = (1 << 40) + (30 << WINDOW_SHIFT);
        let (by_second, _) = faults(&mut cpu, later, 1_000_000, 2_000);
        assert_eq!(by_second.iter().sum::<u64>(), 2_000 / PERIOD);
    }

    proptest! {
        /// Whatever comes when, weights are what was counted, and nothing panics.
        #[test]
        fn weights_are_what_was_counted(steps in proptest::collection::vec((any::<u64>(), any::<u32>(), 0u64..1000), 1..200), budget: u32) {
            let mut cpu = FaultCpu::default();
            let (mut counted, mut sum) = (0, 0);
            for (time, chance, more) in steps {
                counted += more;
                if cpu.is_due(time, budget, chance) {
                    sum += cpu.weigh(counted);
                }
                prop_assert!(sum <= counted);
            }
            sum += cpu.weigh(counted);
            prop_assert_eq!(sum, counted);
        }
    }
}
