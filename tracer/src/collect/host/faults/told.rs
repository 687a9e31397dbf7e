//! What sampling takes, and what it could not see.

use std::collections::BTreeMap;

use tracer_common::fault::FaultCpu;

use super::Faults;

/// Files without names that are told.
const NOTES_MAX: usize = 16;

/// What sampling has taken of the host's processors since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Minor faults, which the kernel counts one by one.
    pub faults: u64,
    /// Of them the program looked at so many, or passed them over.
    pub runs: u64,
    /// Samples.
    pub samples: u64,
    /// Time that samples took.
    pub sample_ns: u64,
}

impl Cost {
    /// What one fault costs more as it is counted, and one run of the program besides the
    /// samples' time: see [`crate::probe::FaultLimits`]'s module.
    const COUNTED_NS: u64 = 10;
    const RUN_NS: u64 = 400;

    /// All of it, of processors' time, ns.
    #[must_use]
    pub const fn ns(&self) -> u64 {
        self.sample_ns + self.faults * Self::COUNTED_NS + self.runs * Self::RUN_NS
    }
}

impl Faults {
    /// What was not seen or kept since the start: what, and how often.
    #[must_use]
    pub fn losses(&self) -> BTreeMap<String, u64> {
        let sum = self.sum();
        let losses = [
            ("page fault samples: the buffer was full", sum.lost_samples),
            (
                "page faults in samples for which the buffer was full",
                sum.lost_faults,
            ),
            (
                "page fault samples whose process could not be read",
                sum.unreadable,
            ),
            (
                "page fault samples beyond what is taken in at once",
                self.unread,
            ),
            (
                "JavaScript frames of page faults that could not be told of",
                self.untold_functions[0],
            ),
            (
                "stacks of page faults that made room for others",
                self.stacks.evicted,
            ),
        ];
        let had = losses.into_iter().filter(|(_, count)| *count > 0);
        had.map(|(what, count)| (what.to_owned(), count)).collect()
    }

    /// What this kernel does not allow, and what could not be named. Sentences.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.stacks.notes().take(NOTES_MAX).cloned().collect();
        if self.without_table > 0 {
            let times = self.without_table;
            notes.push(format!("Not all unwind tables fit that were wanted, or could be built ({times} times): stacks of page faults through their files follow frame pointers, and are marked approximate."));
        }
        if !self.kernel.tells_functions() {
            notes.push("Stacks of page faults are of 40 frames at most, without names of JavaScript functions: this kernel has no bpf_loop (Linux 5.17).".to_owned());
        }
        if !self.pages.tells_huge() {
            notes.push("Page faults of huge pages count as those of small ones: /proc/kpageflags cannot be read.".to_owned());
        }
        notes
    }

    /// What the BPF maps take at most.
    #[must_use]
    pub fn map_bytes(&self) -> u64 {
        self.limits.map_bytes()
    }

    /// What sampling has taken since the start.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let sum = self.sum();
        Cost {
            faults: sum.counted,
            runs: sum.runs,
            samples: sum.samples,
            sample_ns: sum.run_ns,
        }
    }

    /// Over the processors; what cannot be read is 0.
    fn sum(&self) -> FaultCpu {
        let cpus = self.kernel.fault_cpus().unwrap_or_default();
        cpus.into_iter().fold(FaultCpu::default(), |mut sum, cpu| {
            sum.counted += cpu.counted;
            sum.samples += cpu.samples;
            sum.lost_samples += cpu.lost_samples;
            sum.lost_faults += cpu.lost_faults;
            sum.unreadable += cpu.unreadable;
            sum.runs += cpu.runs;
            sum.run_ns += cpu.run_ns;
            sum
        })
    }
}
