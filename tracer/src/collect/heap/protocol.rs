//! What heap worker and parent say to each other, over a socket: the worker asks
//! for memory in three words, and is answered with one; what was asked for stands
//! in the shared memory then. Job and result are a length and JSON.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::{
    heap::{
        Mappings, Version, WalkError,
        memory::{PAGE, READ_MAX, STATES_MAX, WINDOW_BYTES},
    },
    model::heap::{PartlyUsed, Walked},
};

/// First argument of the child.
pub const SUBCOMMAND: &str = "heap-worker";
/// Longest job or result.
const MESSAGE_MAX: u64 = 64 << 20;

/// Where things stand in the shared memory.
pub const WINDOW: usize = 0;
/// States of the window's pages.
pub const WINDOW_STATES: usize = WINDOW + WINDOW_BYTES;
/// States that were asked for.
pub const STATES: usize = WINDOW_STATES + PAGE as usize;
/// A small read.
pub const SMALL: usize = STATES + STATES_MAX;
/// All of it.
pub const SHARED_BYTES: usize = SMALL + READ_MAX;

/// What the worker is to do.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    pub version: Version,
    pub mappings: Mappings,
    /// How many pages that are partly in use are to be told one by one.
    pub partly_used_max: usize,
}

/// How it went.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outcome {
    Walked(Box<(Walked, PartlyUsed)>),
    Refused(WalkError),
    /// The sandbox is not complete; nothing was read.
    NoSandbox(String),
}

/// What the worker asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// States of so many pages from an address on.
    States(u64, u64),
    /// The window, from an address on, so many bytes.
    Show(u64, u64),
    /// A small read.
    Read(u64, u64),
    /// Nothing more: the result follows.
    Done,
}

/// How a question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reply {
    Here = 0,
    NotResident = 1,
    Lost = 2,
}

impl Question {
    pub fn send(self, to: &mut impl Write) -> io::Result<()> {
        let words = match self {
            Self::States(start, pages) => [1, start, pages],
            Self::Show(start, bytes) => [2, start, bytes],
            Self::Read(start, bytes) => [3, start, bytes],
            Self::Done => [4, 0, 0],
        };
        let mut message = [0; 24];
        for (to, word) in message.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        to.write_all(&message)
    }

    /// The next one. Its figures are the worker's, which may have been taken over.
    pub fn receive(from: &mut impl Read) -> io::Result<Self> {
        let mut message = [0; 24];
        from.read_exact(&mut message)?;
        let mut words = [0_u64; 3];
        let (chunks, _) = message.as_chunks::<8>();
        for (word, bytes) in words.iter_mut().zip(chunks) {
            *word = u64::from_le_bytes(*bytes);
        }
        let [what, start, length] = words;
        let (is_page, question, most) = match what {
            1 => (true, Self::States(start, length), STATES_MAX as u64),
            2 => (true, Self::Show(start, length), WINDOW_BYTES as u64),
            3 => (false, Self::Read(start, length), READ_MAX as u64),
            4 => return Ok(Self::Done),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let is_aligned = !is_page || start.is_multiple_of(PAGE);
        // No process has addresses in the upper half.
        match is_aligned && length <= most && start < 1 << 63 {
            true => Ok(question),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl Reply {
    pub fn send(self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&[self as u8])
    }

    pub fn receive(from: &mut impl Read) -> io::Result<Self> {
        let mut message = [0];
        from.read_exact(&mut message)?;
        Ok(match message {
            [0] => Self::Here,
            [1] => Self::NotResident,
            _ => Self::Lost,
        })
    }
}

/// Sends a job or a result.
pub fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let message = serde_json::to_vec(message)?;
    to.write_all(&(message.len() as u64).to_le_bytes())?;
    to.write_all(&message)
}

/// Receives one.
pub fn receive<T: for<'de> Deserialize<'de>>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > MESSAGE_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = Vec::new();
    from.take(length).read_to_end(&mut message)?;
    Ok(serde_json::from_slice(&message)?)
}
