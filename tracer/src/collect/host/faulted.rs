//! Who makes processes larger: sampled page faults, by stack.
//!
//! [`FaultSource`] is what the sampling has to offer; without one lines have no stacks.

use std::collections::{BTreeMap, HashMap};

use super::lines::Lines;
use crate::model::{
    Frame,
    host::{FaultedStack, LineId},
    verdict::VerdictStack,
};

/// Stacks kept of each line and interval.
const STACKS: usize = 16;
/// Followed of a line that is larger than usual.
const STACKS_MOST: usize = 1024;
/// Of a peak, those told.
const PEAK_STACKS: usize = 5;

/// Page faults of one stack since the last time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Whose.
    pub pid: u32,
    /// When that process began, ns since boot.
    pub start_time: u64,
    /// A hash of the stack's frames; 0: no stack could be taken.
    pub stack: u64,
    /// Estimated.
    pub bytes: u64,
    /// That this is made from.
    pub samples: u64,
}

/// Samples page faults.
pub trait FaultSource: Send {
    /// All since the last time.
    fn take(&mut self) -> Vec<Fault>;
    /// Of a stack that was told of, innermost first.
    fn frames(&mut self, stack: u64) -> Vec<Frame>;
    /// What was lost since the start: what, and how often.
    fn losses(&self) -> Vec<(String, u64)>;
    /// What this kernel does not allow, and what has no names. Sentences.
    fn notes(&self) -> Vec<String>;
    /// Bytes of its maps.
    fn map_bytes(&self) -> u64;
    /// What its programs take of one processor, 0 to 1.
    fn cost(&self) -> f64;
}

/// The faults of lines, for the interval and for peaks.
#[derive(Debug, Default)]
pub struct Faulted {
    /// Since the line was at rest: bytes by stack.
    since_rest: HashMap<LineId, HashMap<u64, FaultedStack>>,
}

impl Faulted {
    /// Gives lines what the source has: largest first, the small ones left out. Of those that are
    /// at a new highest mark it is told who brought them there.
    pub fn take_in(
        &mut self,
        source: &mut dyn FaultSource,
        lines: &mut Lines,
        peaks: &[LineId],
    ) -> HashMap<LineId, Vec<VerdictStack>> {
        let mut of_lines: HashMap<LineId, Vec<FaultedStack>> = HashMap::new();
        for fault in source.take() {
            let Some(line) = lines.of_process(fault.pid, fault.start_time) else {
                continue;
            };
            let stack = FaultedStack {
                stack: fault.stack,
                bytes: fault.bytes,
                samples: fault.samples,
            };
            add(self.since_rest.entry(line).or_default(), &stack);
            of_lines.entry(line).or_default().push(stack);
        }
        for (id, mut stacks) in of_lines {
            stacks.sort_unstable_by_key(|it| std::cmp::Reverse(it.bytes));
            let rest = stacks.split_off(stacks.len().min(STACKS));
            if !rest.is_empty() {
                // The sums stay whole: what has no place of its own is at no stack.
                let mut none = FaultedStack::default();
                let is_none = |it: &mut FaultedStack| it.stack == 0;
                for it in stacks.extract_if(.., is_none).chain(rest) {
                    join(&mut none, &it);
                }
                stacks.push(none);
            }
            if let Some(line) = lines.get_mut(id) {
                line.gathered.faulted = stacks;
            }
        }
        let of_peaks = (peaks.iter())
            .filter_map(|id| Some((*id, told(self.since_rest.get(id)?, source))))
            .collect();
        // What is at its usual size begins again: of a spike those are told who made it.
        self.since_rest.retain(|id, stacks| {
            stacks.len() <= STACKS_MOST && lines.get_mut(*id).is_some_and(|line| line.is_high())
        });
        of_peaks
    }
}

/// The largest of them, with their frames.
fn told(stacks: &HashMap<u64, FaultedStack>, source: &mut dyn FaultSource) -> Vec<VerdictStack> {
    let mut stacks: Vec<&FaultedStack> = stacks.values().collect();
    stacks.sort_unstable_by_key(|it| std::cmp::Reverse(it.bytes));
    let whole = stacks
        .iter()
        .map(|it| it.bytes)
        .fold(0, u64::saturating_add);
    let largest = stacks.into_iter().take(PEAK_STACKS);
    let told = largest.map(|it| VerdictStack {
        share: it.bytes as f64 / whole.max(1) as f64,
        frames: source.frames(it.stack),
    });
    told.filter(|it| !it.frames.is_empty()).collect()
}

fn add(stacks: &mut HashMap<u64, FaultedStack>, more: &FaultedStack) {
    let stack = stacks.entry(more.stack).or_default();
    stack.stack = more.stack;
    join(stack, more);
}

fn join(sum: &mut FaultedStack, more: &FaultedStack) {
    sum.bytes = sum.bytes.saturating_add(more.bytes);
    sum.samples = sum.samples.saturating_add(more.samples);
}

/// The frames of stacks that an interval speaks of.
pub fn frames(
    source: &mut dyn FaultSource,
    stacks: impl Iterator<Item = u64>,
) -> BTreeMap<u64, Vec<Frame>> {
    let stacks: std::collections::BTreeSet<u64> = stacks.filter(|it| *it != 0).collect();
    (stacks.into_iter())
        .map(|stack| (stack, source.frames(stack)))
        .collect()
}
