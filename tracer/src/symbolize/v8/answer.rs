//! What is asked about functions and what is told, as it crosses from the file
//! worker to its parent.

use serde::{Deserialize, Serialize};
use tracer_common::javascript::{FunctionSeen, Part, Slots};

/// A function that was seen on a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFunction {
    /// Where its code goes on.
    pub code: u64,
    /// That is in a builtin.
    pub in_builtin: bool,
    /// The function, tagged.
    pub function: u64,
    /// Its bytecode, tagged, in an interpreted or baseline frame.
    pub bytecode: u64,
    /// Where it stands in the bytecode, counted from the object's tagged
    /// address; 0 in compiled code.
    pub bytecode_offset: u32,
    /// What was copied while its thread stood still: an address, and words.
    pub parts: Vec<(u64, Vec<u64>)>,
}

impl SeenFunction {
    /// From what the kernel side told.
    #[must_use]
    pub fn new(seen: &FunctionSeen, in_builtin: bool) -> Self {
        let Slots {
            code,
            function,
            bytecode,
            ..
        } = seen.slots;
        let parts = Part::ALL.into_iter().zip(seen.addresses);
        Self {
            code,
            in_builtin,
            function,
            bytecode,
            bytecode_offset: seen.slots.bytecode_offset() as u32,
            parts: parts
                .filter(|(_, address)| *address != 0)
                .map(|(part, address)| (address, seen.words[part.range()].to_vec()))
                .collect(),
        }
    }
}

/// A script, as its functions name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Script {
    /// Where it is in memory.
    pub address: u64,
    /// Its number, which no other has in this isolate.
    pub number: u32,
    /// Path or URL; `None` for what was made of a string.
    pub name: Option<String>,
}

/// A function on a stack; those put into it by the compiler have frames of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DescribedFrame {
    /// Its name; empty if it has none.
    pub name: String,
    /// Where its source is.
    pub script: Option<Script>,
    /// How many characters of the script stand before the call.
    pub position: Option<u32>,
}

/// What is known of a function at a place of its code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Described {
    /// Innermost first; the last is the function itself.
    pub frames: Vec<DescribedFrame>,
    /// Of an interpreted function: from which place of its bytecode on, which
    /// position. Frames at other places of it are looked up here.
    pub positions: Vec<(u32, u32)>,
    /// Functions that the compiler put into this one may be missing: its code
    /// could not be found.
    #[serde(default)]
    pub may_lack_some: bool,
}

impl Described {
    /// Something was not found that may be found later: while V8 collects
    /// garbage nothing is where it seems to be.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        let own = self.frames.last();
        let has_position = own.is_some_and(|own| own.position.is_some());
        self.may_lack_some || !has_position && self.positions.is_empty()
    }
}
