//! V8's heap: whatever a process's memory holds, and whatever its program says
//! of it, descriptions are bounded and the same when asked for again.
//!
//! An input begins with a head of [`HEAD_BYTES`]; constants and copies whose
//! number it tells follow, then the memory.

mod constants;
mod heap;

use std::cell::Cell;

use tracer::symbolize::{
    MAX_TEXT_BYTES,
    v8::{
        Constants, Described, Layout, Memory, Script, ScriptLines, SeenFunction, Types, describe,
        line_ends,
    },
};

pub use heap::seeds;

/// Where the memory stands.
const BASE: u64 = 0x1000_0000;
/// Version, changed constants, copies, flags; function, code, bytecode, script;
/// place in the bytecode, script's number.
const HEAD_BYTES: usize = 4 + 4 * 8 + 2 * 4;
/// Words of a copy.
const COPY_WORDS: usize = 6;
/// Changed constants and copies are fewer.
const MANY: u8 = 12;
const PAGE_BYTES: usize = 4096;
/// What memory gives at most, as a process's memory is read up to a budget.
const BUDGET_BYTES: usize = 64 << 20;
/// What a read costs of that at least.
const MIN_READ_BYTES: usize = 64;
/// Functions put into one another, and the one into which they are put.
const MAX_FRAMES: usize = 65;
/// Entries of a table, lines of a script.
const MAX_POSITIONS: usize = 1 << 18;
const MAX_LINES: usize = (2 << 20) + 1;

/// What an input asks, and of which memory.
struct Input<'a> {
    constants: Constants,
    seen: SeenFunction,
    script: Script,
    memory: &'a [u8],
}

fn parse(bytes: &[u8]) -> Input<'_> {
    let mut rest = bytes;
    let [version, changes, copies, flags] = take(&mut rest);
    let [function, code, bytecode, script] = [(); 4].map(|()| word(&mut rest));
    let [bytecode_offset, number] = [(); 2].map(|()| half_word(&mut rest));
    let changes = (0..changes % MANY).map(|_| [half_word(&mut rest), half_word(&mut rest)]);
    let constants = constants::of(version, &changes.collect::<Vec<_>>());
    let mut copy = || {
        let address = word(&mut rest);
        (address, [(); COPY_WORDS].map(|()| word(&mut rest)).to_vec())
    };
    let seen = SeenFunction {
        code,
        in_builtin: flags & 1 != 0,
        function,
        bytecode,
        bytecode_offset,
        parts: (0..copies % MANY).map(|_| copy()).collect(),
    };
    let script = Script {
        address: script,
        number,
        name: None,
    };
    Input {
        constants,
        seen,
        script,
        memory: rest,
    }
}

pub fn run(bytes: &[u8]) {
    let Input {
        constants,
        seen,
        script,
        memory,
    } = parse(bytes);
    let Ok(layout) = Layout::new(&constants) else {
        return;
    };
    let types = Types::default();
    let ask = |types| {
        let memory = Bytes::new(memory);
        let described = describe(&memory, &layout, types, &seen);
        (described, memory.is_exhausted())
    };
    let (described, is_exhausted) = ask(&types);
    if let Some(described) = &described {
        check(described);
    }
    // Once more, with the types known: that takes less of the budget.
    if !is_exhausted {
        assert_eq!(ask(&types), (described, false));
    }
    if let Some(lines) = line_ends(&Bytes::new(memory), &layout, &types, &script) {
        check_lines(&lines);
    }
}

fn check(described: &Described) {
    assert!((1..=MAX_FRAMES).contains(&described.frames.len()));
    assert!(described.positions.len() <= MAX_POSITIONS);
    for frame in &described.frames {
        assert!(frame.name.len() <= MAX_TEXT_BYTES);
        let script = frame.script.as_ref().and_then(|it| it.name.as_ref());
        assert!(script.is_none_or(|name| (1..=MAX_TEXT_BYTES).contains(&name.len())));
    }
}

fn check_lines(lines: &ScriptLines) {
    assert!((1..=MAX_LINES).contains(&lines.ends.len()));
    let last = lines.before.saturating_add(lines.ends.len() as u32);
    for end in lines.ends.iter().take(64) {
        for position in [end.saturating_sub(1), *end, end.saturating_add(1)] {
            let line = lines.line(position);
            assert!(line.is_none_or(|line| (1..=last).contains(&line)));
        }
    }
}

/// Memory at [`BASE`], of which no more than a budget is given.
struct Bytes<'a> {
    bytes: &'a [u8],
    left: Cell<Option<usize>>,
}

impl<'a> Bytes<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            left: Cell::new(Some(BUDGET_BYTES)),
        }
    }

    fn is_exhausted(&self) -> bool {
        self.left.get().is_none()
    }
}

impl Memory for Bytes<'_> {
    fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        let cost = bytes.len().max(MIN_READ_BYTES);
        let left = self.left.get().and_then(|left| left.checked_sub(cost));
        self.left.set(left);
        let range = || {
            let from = usize::try_from(address.checked_sub(BASE)?).ok()?;
            Some((from, from.checked_add(bytes.len())?))
        };
        let Some((from, to)) = left.and_then(|_| range()) else {
            return false;
        };
        // There are whole pages of it.
        if to > self.bytes.len().next_multiple_of(PAGE_BYTES) {
            return false;
        }
        let mut found = self.bytes.get(from..).unwrap_or_default();
        bytes.fill_with(|| take::<1>(&mut found)[0]);
        true
    }
}

/// The next bytes of an input, zeroes behind its end.
fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (taken, behind) = rest.split_at(rest.len().min(N));
    *rest = behind;
    let mut bytes = [0; N];
    bytes[..taken.len()].copy_from_slice(taken);
    bytes
}

fn word(rest: &mut &[u8]) -> u64 {
    u64::from_le_bytes(take(rest))
}

fn half_word(rest: &mut &[u8]) -> u32 {
    u32::from_le_bytes(take(rest))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// Mutations go as deep as their seeds do: what the seeds hold is told.
    #[test]
    fn every_seed_is_told() {
        const KINDS: usize = 4;
        for (index, seed) in seeds().unwrap().iter().enumerate() {
            let it = parse(seed);
            let layout = Layout::new(&it.constants).unwrap();
            let memory = Bytes::new(it.memory);
            let told = describe(&memory, &layout, &Types::default(), &it.seen).unwrap();
            let frames: Vec<_> = (told.frames.iter())
                .map(|frame| (frame.name.as_str(), frame.position))
                .collect();
            let expected: &[_] = match index % KINDS {
                0 => &[("handle", None)],
                1 => &[("handle", Some(20))],
                2 => &[("outer", Some(12)), ("handle", Some(70))],
                _ if layout.has_known_translations() => {
                    &[("outer", Some(30)), ("handle", Some(20))]
                }
                _ => &[("handle", None)],
            };
            assert_eq!(frames, expected, "{index}");
            let positions: Vec<_> = told.positions.iter().map(|(_, it)| *it).collect();
            let all: &[_] = if index % KINDS == 0 {
                &[10, 20, 30]
            } else {
                &[]
            };
            assert_eq!(positions, all, "{index}");
        }
    }
}
