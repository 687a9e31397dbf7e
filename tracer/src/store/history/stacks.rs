//! Stacks within a segment: each is written once, before the first interval that speaks of
//! it, and called by its place in the segment's table from then on.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use serde::{Deserialize, Serialize};

use crate::model::{Frame, host::Interval};

/// More than this in a segment is damage, or somebody's doing.
const STACKS_MAX: usize = 1 << 20;

/// A stack as a segment has it.
#[derive(Serialize, Deserialize)]
pub struct Stored {
    /// Its place in the table.
    place: u32,
    /// [`Interval::stacks`]' key.
    id: u64,
    /// `None`: spoken of, but not told.
    frames: Option<Vec<Frame>>,
}

/// An interval as a segment has it.
#[derive(Serialize, Deserialize)]
pub struct Packed {
    /// Without stacks; each [`crate::model::host::FaultedStack::stack`] is its place and 1, or 0.
    interval: Interval,
    /// Places of the interval's stacks.
    stacks: Vec<u32>,
}

/// The table as the writer knows it. The frames themselves are not kept.
#[derive(Debug, Default)]
pub struct Interner {
    /// By id and hash of the frames: a stack can get better names in time.
    places: HashMap<(u64, Option<u64>), u32>,
}

/// Stacks that the segment does not have yet.
#[derive(Default)]
pub struct New {
    /// To be written.
    pub stacks: Vec<Stored>,
    keys: Vec<(u64, Option<u64>)>,
}

impl Interner {
    /// The interval in the form of this segment, with the stacks that are to be written before
    /// it. It knows them only after [`Self::commit`].
    pub fn pack(&self, interval: &Interval) -> (Packed, New) {
        let mut new = New::default();
        let mut here: HashMap<u64, u32> = HashMap::new();
        let mut stacks = Vec::with_capacity(interval.stacks.len());
        for (id, frames) in &interval.stacks {
            let place = self.place(*id, Some(frames), &mut new);
            here.insert(*id, place);
            stacks.push(place);
        }
        let mut packed = interval.clone();
        packed.stacks.clear();
        for faulted in packed.lines.iter_mut().flat_map(|line| &mut line.faulted) {
            if faulted.stack != 0 {
                let id = faulted.stack;
                let place = here
                    .entry(id)
                    .or_insert_with(|| self.place(id, None, &mut new));
                faulted.stack = u64::from(*place) + 1;
            }
        }
        let interval = packed;
        (Packed { interval, stacks }, new)
    }

    fn place(&self, id: u64, frames: Option<&Vec<Frame>>, new: &mut New) -> u32 {
        let hash = frames.map(|frames| {
            let mut hasher = DefaultHasher::new();
            frames.hash(&mut hasher);
            hasher.finish()
        });
        let key = (id, hash);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        // A segment ends long before it has so many.
        let place = u32::try_from(self.places.len() + new.stacks.len()).unwrap_or(u32::MAX);
        new.stacks.push(Stored {
            place,
            id,
            frames: frames.cloned(),
        });
        new.keys.push(key);
        place
    }

    /// They are on disk.
    pub fn commit(&mut self, new: New) {
        for (key, stored) in new.keys.into_iter().zip(new.stacks) {
            self.places.insert(key, stored.place);
        }
    }
}

/// The table as a reader knows it.
#[derive(Debug, Default)]
pub struct Table {
    stacks: HashMap<u32, (u64, Option<Vec<Frame>>)>,
}

/// In [`Interval::losses`]: stacks whose frame in the history is damaged; what they grew by
/// stands under 0, no stack.
pub const LOST: &str = "stacks in damaged history";

impl Table {
    /// Takes in what stands before an interval.
    pub fn add(&mut self, stacks: Vec<Stored>) {
        for stack in stacks {
            if self.stacks.len() < STACKS_MAX {
                self.stacks.insert(stack.place, (stack.id, stack.frames));
            }
        }
    }

    /// The interval as it was.
    pub fn unpack(&self, packed: Packed) -> Interval {
        let mut interval = packed.interval;
        let mut lost = BTreeSet::new();
        for place in packed.stacks {
            match self.stacks.get(&place) {
                Some((id, Some(frames))) => {
                    interval.stacks.insert(*id, frames.clone());
                }
                _ => {
                    lost.insert(place);
                }
            }
        }
        for faulted in interval.lines.iter_mut().flat_map(|line| &mut line.faulted) {
            if let Some(place) = faulted.stack.checked_sub(1) {
                let place = u32::try_from(place).unwrap_or(u32::MAX);
                faulted.stack = self.stacks.get(&place).map_or_else(
                    || {
                        lost.insert(place);
                        0
                    },
                    |(id, _)| *id,
                );
            }
        }
        if !lost.is_empty() {
            let sum = interval.losses.entry(LOST.to_owned()).or_default();
            *sum = sum.saturating_add(lost.len() as u64);
        }
        interval
    }

    /// For a writer that goes on with this segment.
    pub fn interner(&self) -> Interner {
        let places = self.stacks.iter().map(|(place, (id, frames))| {
            let hash = frames.as_ref().map(|frames| {
                let mut hasher = DefaultHasher::new();
                frames.hash(&mut hasher);
                hasher.finish()
            });
            ((*id, hash), *place)
        });
        Interner {
            places: places.collect(),
        }
    }
}
