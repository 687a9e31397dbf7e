//! Samples as they come out of the ring buffer.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use tracer_common::{
    FRAMES_MAX,
    fault::{FaultSample, HEADER_BYTES},
};

const WORD: usize = size_of::<u64>();
/// The kernel tells of a process's start in ns, /proc in hundredths of a second.
const TICK_NS: u64 = 10_000_000;

/// A process, while it runs one program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Program {
    /// Of the process.
    pub pid: u32,
    /// When it began, ns since boot, to the nanosecond.
    pub start_time: u64,
    /// Counts the programs that it has run.
    pub exec: u64,
}

impl Program {
    /// When the process began, as `/proc/PID/stat` has it: ns since boot, in ticks
    /// (USER_HZ is 100 on x86-64).
    pub const fn start_tick(&self) -> u64 {
        self.start_time / TICK_NS * TICK_NS
    }
}

/// One sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Who.
    pub program: Program,
    /// What was touched.
    pub address: u64,
    /// Faults that it stands for.
    pub faults: u64,
    /// The number of its tables, 0: none.
    pub space: u32,
    /// Words of the stack, innermost first.
    pub stack: Vec<u64>,
}

impl Sample {
    /// From an element of the ring buffer; `None` if it is none.
    pub fn read(item: &[u8]) -> Option<Self> {
        let long = |offset: usize| {
            let bytes = item.get(offset..offset.checked_add(WORD)?)?;
            Some(u64::from_ne_bytes(bytes.try_into().ok()?))
        };
        let int = |offset: usize| {
            let bytes = item.get(offset..offset.checked_add(4)?)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        let frames = int(std::mem::offset_of!(FaultSample, frames))? as usize;
        let stack = (0..frames.min(FRAMES_MAX)).map(|index| long(HEADER_BYTES + index * WORD));
        Some(Self {
            program: Program {
                pid: int(std::mem::offset_of!(FaultSample, tgid))?,
                start_time: long(std::mem::offset_of!(FaultSample, start_time))?,
                exec: long(std::mem::offset_of!(FaultSample, exec))?,
            },
            address: long(std::mem::offset_of!(FaultSample, address))?,
            faults: long(std::mem::offset_of!(FaultSample, faults))?,
            space: int(std::mem::offset_of!(FaultSample, space))?,
            stack: stack.collect::<Option<_>>()?,
        })
    }

    /// Names its stack in its process; 0: it has none.
    pub fn stack_key(&self) -> u64 {
        if self.stack.is_empty() {
            return 0;
        }
        let mut hash = DefaultHasher::new();
        (self.program, self.space, &self.stack).hash(&mut hash);
        hash.finish().max(1)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(sample: &Sample) -> Vec<u8> {
        let mut words = vec![
            sample.address,
            sample.faults,
            sample.program.start_time,
            sample.program.exec,
            0,
            u64::from(sample.program.pid) | u64::from(sample.space) << 32,
            sample.stack.len() as u64,
        ];
        words.extend(&sample.stack);
        words.iter().flat_map(|word| word.to_ne_bytes()).collect()
    }

    proptest! {
        /// What the kernel side writes is read as it was, whatever its stack is.
        #[test]
        fn samples_are_read(pid: u32, start_time: u64, space: u32, faults: u64, stack in proptest::collection::vec(any::<u64>(), 0..127)) {
            let program = Program { pid, start_time, exec: 7 };
            let sample = Sample { program, address: 5, faults, space, stack };
            prop_assert_eq!(Sample::read(&element(&sample)).unwrap(), sample.clone());
            prop_assert_eq!(sample.stack_key() == 0, sample.stack.is_empty());
        }

        /// Arbitrary bytes never panic.
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
            let _ = Sample::read(&bytes);
        }
    }

    /// A sample cut in its stack is none.
    #[test]
    fn a_cut_sample_is_none() {
        let program = Program::default();
        let sample = Sample {
            program,
            address: 1,
            faults: 2,
            space: 3,
            stack: vec![4, 5],
        };
        let whole = element(&sample);
        assert_eq!(Sample::read(&whole[..whole.len() - 1]), None);
    }
}
