//! Samples as the history keeps them: by process, with stacks by the hash of their frames.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::{Duration, Instant},
};

use super::{Faults, Taken};
use crate::model::{Frame, host::FaultedStack};

/// For how long names are looked up at a time; what comes after has none yet.
const NAMING_PATIENCE: Duration = Duration::from_millis(500);

/// What [`Faults::name`] makes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedStacks {
    /// By pid and start, largest first: `LineInterval::faulted`.
    pub of: HashMap<(u32, u64), Vec<FaultedStack>>,
    /// `Interval::stacks`.
    pub stacks: BTreeMap<u64, Vec<Frame>>,
}

impl Faults {
    /// Gives what was taken within an interval names: of the processes that are `wanted`
    /// (pid, start), and of each the `most` largest stacks. The rest of a process is at
    /// stack 0, so that its sums are whole. Memory of its own only, not of files. Looking
    /// names up ends after half a second: frames beyond have their place only, and names
    /// when their stack comes again.
    pub fn name(
        &mut self,
        taken: &[Taken],
        wanted: impl Fn(u32, u64) -> bool,
        most: usize,
    ) -> NamedStacks {
        let mut of: HashMap<(u32, u64), HashMap<u64, FaultedStack>> = HashMap::new();
        for it in taken
            .iter()
            .filter(|it| it.bytes > 0 && wanted(it.pid, it.start_time))
        {
            let stacks = of.entry((it.pid, it.start_time)).or_default();
            add(stacks, it.stack, it.bytes, it.samples);
        }
        let until = Some(Instant::now() + NAMING_PATIENCE);
        let mut named = NamedStacks::default();
        for (process, stacks) in of {
            let mut stacks: Vec<FaultedStack> = stacks.into_values().collect();
            stacks.sort_unstable_by_key(largest_first);
            let mut sums = HashMap::new();
            for (index, it) in stacks.into_iter().enumerate() {
                let frames =
                    (index < most && it.stack != 0).then(|| self.frames_until(it.stack, until));
                let stack = match frames.flatten() {
                    Some(frames) => {
                        let key = key_of(frames);
                        named.stacks.entry(key).or_insert_with(|| frames.to_vec());
                        key
                    }
                    None => 0,
                };
                add(&mut sums, stack, it.bytes, it.samples);
            }
            let mut sums: Vec<FaultedStack> = sums.into_values().collect();
            sums.sort_unstable_by_key(largest_first);
            named.of.insert(process, sums);
        }
        named
    }
}

fn add(sums: &mut HashMap<u64, FaultedStack>, stack: u64, bytes: u64, samples: u64) {
    let sum = sums.entry(stack).or_insert(FaultedStack {
        stack,
        ..FaultedStack::default()
    });
    sum.bytes = sum.bytes.saturating_add(bytes);
    sum.samples += samples;
}

const fn largest_first(it: &FaultedStack) -> (std::cmp::Reverse<u64>, u64) {
    (std::cmp::Reverse(it.bytes), it.stack)
}

/// The same of the same frames, in whatever process and at whatever time.
fn key_of(frames: &[Frame]) -> u64 {
    let mut hash = DefaultHasher::new();
    for frame in frames {
        (
            &frame.function,
            &frame.module,
            &frame.file,
            frame.line,
            frame.inlined,
        )
            .hash(&mut hash);
        // A name says it; addresses of code that is made at run time change.
        if frame.function.is_none() {
            frame.offset.hash(&mut hash);
        }
    }
    hash.finish().max(1)
}
