//! V8's heap, read from outside: the names, scripts and lines of the
//! functions on its stacks, for a Node.js that was started without any flag.
//!
//! - [`layout`](self::Layout): where members stand, by version.
//! - `heap`: words, types and strings.
//! - `function`: a function's name, its script, its place in it.
//! - `positions`: from places in code to places in scripts.
//! - `code`: compiled code, and the functions put into it.
//! - `exit`, `translation`: the same of Maglev's code, which knows it better.
//!
//! All of it is another process's memory, which changes while it is read and
//! may be made up: lengths and loops are bounded, types are asked before each
//! step, and what makes no sense is not told. The kernel side has copied what
//! names a function while its thread stood still; those copies go before what
//! the memory says later.

mod answer;
mod code;
mod exit;
mod function;
mod heap;
mod layout;
mod memory;
mod positions;
mod script;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
mod translation;

pub use answer::{Described, DescribedFrame, Script, SeenFunction};
pub use function::describe;
pub use heap::Types;
pub use layout::{Constants, Layout};
pub use memory::{Memory, MemoryFile};
pub use script::{ScriptLines, line_ends};
