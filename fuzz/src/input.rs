//! Inputs: a target's seeds, then mutations of them, each a function of the
//! target, the seed number and its own number.

use fastrand::Rng;

use crate::Target;

/// Longer inputs are cut: parsers are bounded by length, and time is short.
const LENGTH_MAX: usize = 1 << 20;
/// Numbers at which arithmetic and comparisons change their mind.
const EDGES: [u64; 12] = [
    0,
    1,
    7,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 53,
    i64::MAX as u64,
    u64::MAX,
];

/// The inputs of one target.
pub struct Inputs {
    seeds: Vec<Vec<u8>>,
    words: &'static [&'static str],
    seed: u64,
}

impl Inputs {
    /// Makes the target's seeds.
    ///
    /// # Errors
    /// A seed that is compiled does not compile.
    pub fn new(target: &Target, seed: u64) -> anyhow::Result<Self> {
        Ok(Self {
            seeds: (target.seeds)()?,
            words: target.words,
            seed,
        })
    }

    /// How many of the first inputs are seeds, unchanged.
    #[must_use]
    pub fn seeds(&self) -> u64 {
        self.seeds.len() as u64
    }

    /// The input of this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Vec<u8> {
        if let Some(seed) = self.seeds.get(number as usize) {
            return seed.clone();
        }
        let mut random = Rng::with_seed(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        // One in eight owes nothing to any seed.
        let mut bytes = match random.choice(&self.seeds) {
            Some(seed) if random.u8(..) >= 32 => seed.clone(),
            _ => noise(&mut random),
        };
        for _ in 0..1_u32 << random.u32(0..5) {
            self.change(&mut bytes, &mut random);
        }
        bytes.truncate(LENGTH_MAX);
        bytes
    }

    fn change(&self, bytes: &mut Vec<u8>, random: &mut Rng) {
        let at = place(bytes.len(), random);
        let length = 1 + length(random);
        let end = at.saturating_add(length).min(bytes.len());
        match random.u8(0..9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(0..8),
            1 if at < bytes.len() => bytes[at] = random.u8(..),
            2 | 3 => {
                let edge = EDGES[random.usize(..EDGES.len())];
                let number = match random.u8(0..4) {
                    0 => edge,
                    1 => edge.wrapping_neg(),
                    2 => random.u64(..=bytes.len() as u64),
                    _ => random.u64(..),
                };
                let width = 1 << random.usize(0..4);
                let end = (at + width).min(bytes.len());
                bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
            4 => drop(bytes.drain(at..end)),
            5 => {
                let piece = bytes[at..end].to_vec();
                insert(bytes, place(bytes.len(), random), &piece);
            }
            6 => {
                let other = random.choice(&self.seeds).map_or(&[][..], Vec::as_slice);
                let from = place(other.len(), random);
                let piece = &other[from..from.saturating_add(length).min(other.len())];
                insert(bytes, at, piece);
            }
            7 => {
                let word = random.choice(self.words).map_or("", |word| word);
                insert(bytes, at, word.as_bytes());
            }
            8 if random.u8(..) < 64 => bytes.truncate(at),
            _ => insert(bytes, at, &noise(random)),
        }
    }
}

/// Up to and including the end; half the time near one of the ends, where
/// headers and tables stand.
fn place(length: usize, random: &mut Rng) -> usize {
    const NEAR: usize = 2048;
    match random.u8(0..4) {
        0 => random.usize(..=length.min(NEAR)),
        1 => random.usize(length.saturating_sub(NEAR)..=length),
        _ => random.usize(..=length),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

fn noise(random: &mut Rng) -> Vec<u8> {
    let length = length(random);
    (0..length).map(|_| random.u8(..)).collect()
}

/// Below 256, most often far below.
fn length(random: &mut Rng) -> usize {
    let bits = random.u32(0..9);
    random.usize(..1 << bits)
}
